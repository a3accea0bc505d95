"""Adapts the stack's template to the local engine.

``prepare`` takes out of it, or changes, what the engine would refuse; the module ``gaps`` lists that. After
the deploy the module ``completion`` creates through the services' own APIs what was taken out.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shipment_events.contract import names
from workbench.engine.gaps import (
    API_ADDRESS,
    ARCHIVE,
    BATCH_PERMISSIONS,
    BOOTSTRAP,
    METRIC_MATH_ALARM,
    POINT_IN_TIME_RECOVERY,
    ROLLOUT,
    SCHEDULED_TIME,
    TIME_TO_LIVE,
    TLS_ONLY,
    Gap,
)
from workbench.engine.settings import ACCOUNT, REGION

_SQS_ACTIONS_WITH_BATCH: Final = ("sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
_PARTIQL_ACTIONS: Final = {"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"}
_RESOURCE_POLICIES: Final = ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy")
_PLAIN_HTTP: Final = {"Bool": {"aws:SecureTransport": "false"}}
_ROLLOUT_TYPES: Final = (
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Lambda::Alias",
    "AWS::Lambda::Version",
)
_SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"
_UNPUBLISHED: Final = "$LATEST"
_HELPER_OUTPUT: Final = "LocalEngine"


@dataclass(frozen=True)
class Substitution:
    """A difference from AWS that concerns this stack: the gap and the name of the resource."""

    gap: Gap
    name: str


@dataclass(frozen=True)
class Prepared:
    """A template that the engine accepts, and what to create after its deploy.

    ``archives`` holds the properties of those to create by hand, with every value that only the deployed
    stack knows replaced by a reference to an output of the prepared template.
    """

    template: dict[str, Any]
    substitutions: tuple[Substitution, ...]
    archives: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class _LeftOutType:
    gap: Gap
    name_property: str
    arn: str
    is_created_later: bool


_LEFT_OUT_TYPES: Final = {
    "AWS::Events::Archive": _LeftOutType(
        ARCHIVE, "ArchiveName", f"arn:aws:events:{REGION}:{ACCOUNT}:archive/{{}}", True
    ),
    "AWS::CloudWatch::Alarm": _LeftOutType(
        METRIC_MATH_ALARM, "AlarmName", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{{}}", False
    ),
}


def prepare(template: Mapping[str, Any], endpoint: str) -> Prepared:
    """Remove or change the parts of a synthesized template that the engine would refuse.

    It also adds outputs: those that ``completion`` needs, and one by which the commands know that the counts
    of queues are exact. The given template is left as it is. ``endpoint`` is the URL of the engine.
    """
    changed, left_out = _without_rollout(copy.deepcopy(dict(template)))
    substitutions = [
        *left_out,
        *_drop_bootstrap_check(changed),
        *_allow_batch_calls(changed),
        *_allow_plain_http(changed),
        *_drop_scheduled_time(changed),
        *_address_api(changed, endpoint),
    ]
    archives: list[dict[str, Any]] = []
    values = _DeployedValues()
    for logical_id, resource, kind in list(_left_out(changed)):
        del changed["Resources"][logical_id]
        properties = resource.get("Properties", {})
        name = properties.get(kind.name_property, logical_id)
        changed = _replace_references(changed, logical_id, name, kind.arn.format(name))
        substitutions.append(Substitution(kind.gap, name))
        if kind.is_created_later:
            archives.append({**properties, kind.name_property: name})
    for logical_id, resource in changed["Resources"].items():
        substitutions.extend(_ignored_table_settings(logical_id, resource))
    extracted = tuple(map(values.extract, archives))
    if values.outputs:
        changed.setdefault("Outputs", {}).update(values.outputs)
    if names.OUTPUT_QUEUE_URL in changed.get("Outputs", {}):
        changed["Outputs"][names.OUTPUT_EXACT_COUNTS] = {"Value": "true"}
    return Prepared(changed, tuple(substitutions), extracted)


def fill_in(node: Any, outputs: Mapping[str, str]) -> Any:
    """Replace the references that ``prepare`` left by the values of a deployed stack's outputs."""
    if isinstance(node, Mapping):
        if node.keys() == {_HELPER_OUTPUT}:
            return outputs[node[_HELPER_OUTPUT]]
        return {key: fill_in(value, outputs) for key, value in node.items()}
    if isinstance(node, list):
        return [fill_in(value, outputs) for value in node]
    return node


def public_outputs(outputs: Mapping[str, str]) -> dict[str, str]:
    """The outputs that the stack itself declares, without those that ``prepare`` added."""
    return {key: value for key, value in outputs.items() if not key.startswith(_HELPER_OUTPUT)}


class _DeployedValues:
    """Turns expressions such as ``Fn::GetAtt`` into extra outputs, so that the engine resolves them."""

    def __init__(self) -> None:
        self.outputs: dict[str, Any] = {}

    def extract(self, node: Any) -> Any:
        if isinstance(node, Mapping):
            if len(node) == 1 and next(iter(node)).startswith(("Ref", "Fn::")):
                name = f"{_HELPER_OUTPUT}{len(self.outputs)}"
                self.outputs[name] = {"Value": dict(node)}
                return {_HELPER_OUTPUT: name}
            return {key: self.extract(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self.extract(value) for value in node]
        return node


def _without_rollout(template: dict[str, Any]) -> tuple[dict[str, Any], list[Substitution]]:
    resources = template["Resources"]
    left_out = [name for name, resource in resources.items() if resource["Type"] in _ROLLOUT_TYPES]
    # Their logical ids end in hashes, so the types tell a reader more.
    kinds = [resources[name]["Type"].rpartition("::")[2] for name in left_out]
    for logical_id in left_out:
        resource = resources.pop(logical_id)
        if resource["Type"] == "AWS::Lambda::Alias":
            function = resource["Properties"]["FunctionName"]["Ref"]
            # A reference to an alias is its ARN.
            template = _replaced(template, {"Ref": logical_id}, {"Fn::GetAtt": [function, "Arn"]})
        elif resource["Type"] == "AWS::Lambda::Version":
            template = _replaced(template, {"Fn::GetAtt": [logical_id, "Version"]}, _UNPUBLISHED)
        resources = template["Resources"]
    return template, [Substitution(ROLLOUT, kind) for kind in kinds]


def _replaced(node: Any, expression: Mapping[str, Any], value: Any) -> Any:
    if node == expression:
        return value
    if isinstance(node, dict):
        return {key: _replaced(each, expression, value) for key, each in node.items()}
    if isinstance(node, list):
        return [_replaced(each, expression, value) for each in node]
    return node


def _left_out(template: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], _LeftOutType]]:
    for logical_id, resource in template["Resources"].items():
        kind = _LEFT_OUT_TYPES.get(resource["Type"])
        plain_alarm = resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" not in resource["Properties"]
        if kind is not None and not plain_alarm:
            yield logical_id, resource, kind


def _replace_references(node: Any, logical_id: str, name: str, arn: str) -> Any:
    if isinstance(node, dict):
        if node == {"Ref": logical_id}:
            return name
        if node in ({"Fn::GetAtt": [logical_id, "Arn"]}, {"Fn::GetAtt": f"{logical_id}.Arn"}):
            return arn
        return {
            key: _without(value, logical_id)
            if key == "DependsOn"
            else _replace_references(value, logical_id, name, arn)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_replace_references(value, logical_id, name, arn) for value in node]
    return node


def _without(depends_on: str | list[str], logical_id: str) -> list[str]:
    everything = [depends_on] if isinstance(depends_on, str) else depends_on
    return [other for other in everything if other != logical_id]


def _drop_bootstrap_check(template: dict[str, Any]) -> list[Substitution]:
    template.get("Rules", {}).pop("CheckBootstrapVersion", None)
    if template.get("Parameters", {}).pop("BootstrapVersion", None) is None:
        return []
    return [Substitution(BOOTSTRAP, "BootstrapVersion")]


def _allow_batch_calls(template: Mapping[str, Any]) -> list[Substitution]:
    changed = []
    for logical_id, resource in template["Resources"].items():
        for document in _role_policies(resource):
            statements = document["Statement"]
            added = [extra for statement in statements for extra in _batch_statements(statement)]
            if added:
                document["Statement"] = [*statements, *added]
                changed.append(Substitution(BATCH_PERMISSIONS, logical_id))
    return changed


def _batch_statements(statement: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    actions = statement.get("Action", [])
    actions = [actions] if isinstance(actions, str) else actions
    if statement["Effect"] != "Allow":
        return
    if not _PARTIQL_ACTIONS.isdisjoint(actions):
        # The engine does not find the table in the text of the statements.
        yield {"Effect": "Allow", "Action": ["dynamodb:BatchExecuteStatement"], "Resource": "*"}
    batches = [f"{action}Batch" for action in actions if action in _SQS_ACTIONS_WITH_BATCH]
    if batches:
        yield {"Effect": "Allow", "Action": batches, "Resource": statement["Resource"]}


def _drop_scheduled_time(template: Mapping[str, Any]) -> Iterator[Substitution]:
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Scheduler::Schedule":
            target = resource["Properties"]["Target"]
            if _SCHEDULED_TIME in str(target.get("Input")):
                del target["Input"]
                yield Substitution(SCHEDULED_TIME, logical_id)


def _address_api(template: Mapping[str, Any], endpoint: str) -> Iterator[Substitution]:
    output = template.get("Outputs", {}).get(names.OUTPUT_API_URL)
    if output is not None:
        api = output["Value"]["Fn::GetAtt"][0]
        output["Value"] = {"Fn::Join": ["", [f"{endpoint}/_aws/execute-api/", {"Ref": api}, "/$default"]]}
        yield Substitution(API_ADDRESS, api)


def _role_policies(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    properties = resource.get("Properties", {})
    if resource["Type"] == "AWS::IAM::Role":
        return [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        return [properties["PolicyDocument"]]
    return []


def _allow_plain_http(template: Mapping[str, Any]) -> list[Substitution]:
    changed = []
    for logical_id, resource in list(template["Resources"].items()):
        if resource["Type"] not in _RESOURCE_POLICIES:
            continue
        document = resource["Properties"]["PolicyDocument"]
        kept = [
            statement
            for statement in document["Statement"]
            if statement["Effect"] != "Deny" or statement.get("Condition") != _PLAIN_HTTP
        ]
        if len(kept) == len(document["Statement"]):
            continue
        changed.append(Substitution(TLS_ONLY, logical_id))
        document["Statement"] = kept
        if not kept:
            del template["Resources"][logical_id]
    return changed


def _ignored_table_settings(logical_id: str, resource: Mapping[str, Any]) -> Iterator[Substitution]:
    if resource["Type"] != "AWS::DynamoDB::Table":
        return
    properties = resource["Properties"]
    name = properties.get("TableName", logical_id)
    if "TimeToLiveSpecification" in properties:
        yield Substitution(TIME_TO_LIVE, name)
    if "PointInTimeRecoverySpecification" in properties:
        yield Substitution(POINT_IN_TIME_RECOVERY, name)
