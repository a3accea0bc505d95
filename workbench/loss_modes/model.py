"""The input and the output of a rule."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

SQS_DEFAULT_RETENTION_SECONDS: Final = 4 * 86_400
SQS_DEFAULT_VISIBILITY_SECONDS: Final = 30

Breaches = Iterator[tuple[str, str]]
"""Logical id of each resource that breaks a rule, and the problem."""


@dataclass(frozen=True)
class Rule:
    """One way to lose events. ``lost`` says how they are lost, and ``check`` finds it in a template."""

    name: str
    lost: str
    check: "Callable[[Template], Breaches]"


@dataclass(frozen=True)
class Breach:
    """A rule that a resource of a template breaks."""

    rule: Rule
    logical_id: str
    problem: str


class Template:
    """A CloudFormation template with the queries that rules need."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        """Wrap the parsed template."""
        self.resources: Mapping[str, Mapping[str, Any]] = body["Resources"]

    def of_type(self, resource_type: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Logical id and properties of every resource of a type."""
        for logical_id, resource in self.resources.items():
            if resource["Type"] == resource_type:
                yield logical_id, resource.get("Properties", {})

    def targets(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Logical id of the rule and the target, for every target of every rule."""
        for rule, properties in self.of_type("AWS::Events::Rule"):
            for target in properties.get("Targets", []):
                yield rule, target

    def queue_sources(self) -> Iterator[tuple[str, Mapping[str, Any], str]]:
        """Logical id and properties of every event source that reads a queue, and that queue's logical id."""
        for logical_id, source in self.of_type("AWS::Lambda::EventSourceMapping"):
            queue = self.referred(source.get("EventSourceArn"))
            if queue is not None and self.resources[queue]["Type"] == "AWS::SQS::Queue":
                yield logical_id, source, queue

    def stream_sources(self) -> Iterator[tuple[str, Mapping[str, Any], str]]:
        """Logical id and properties of every event source that reads a stream, and the stream's table."""
        for logical_id, source in self.of_type("AWS::Lambda::EventSourceMapping"):
            table = self.referred(source.get("EventSourceArn"))
            if table is not None and self.resources[table]["Type"] == "AWS::DynamoDB::Table":
                yield logical_id, source, table

    def allowed_to(self, function: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Action and logical id of the resource, for what the role of a function allows."""
        role = self.referred(function["Role"])
        policies = [] if role is None else self.resources[role]["Properties"].get("Policies", [])
        for policy in policies:
            for statement in policy["PolicyDocument"]["Statement"]:
                for resource in as_list(statement["Resource"]):
                    name = self.referred(resource)
                    if name is not None and statement["Effect"] == "Allow":
                        yield from ((action, name) for action in as_list(statement["Action"]))

    def function_of(self, source: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Properties of the function that an event source invokes, directly or through an alias."""
        invoked = self.referred(source["FunctionName"])
        if invoked is not None and self.resources[invoked]["Type"] == "AWS::Lambda::Alias":
            invoked = self.referred(self.resources[invoked]["Properties"]["FunctionName"])
        return None if invoked is None else self.resources[invoked]["Properties"]

    def dead_letter_queues(self) -> set[str]:
        """Logical ids of the queues for what a queue, a rule's target or an event source gives up on."""
        arns = [queue.get("RedrivePolicy", {}).get("deadLetterTargetArn") for _, queue in self.queues()]
        arns += [target.get("DeadLetterConfig", {}).get("Arn") for _, target in self.targets()]
        arns += [
            source.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
            for _, source in self.of_type("AWS::Lambda::EventSourceMapping")
        ]
        return {name for name in map(self.referred, arns) if name is not None}

    def alarms_on(self, metric: str, dimension: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Properties of every alarm on a single metric with the dimension."""
        for _, alarm in self.of_type("AWS::CloudWatch::Alarm"):
            if alarm.get("MetricName") == metric and dimension in alarm.get("Dimensions", []):
                yield alarm

    def queues(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Logical id and properties of every queue."""
        return self.of_type("AWS::SQS::Queue")

    def referred(self, value: Any) -> str | None:
        """Logical id of the resource that ``Ref`` or ``Fn::GetAtt`` names; None for anything else."""
        match value:
            case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), _]} if name in self.resources:
                return name
        return None


def as_list(value: Any) -> list[Any]:
    """Return a list. In a policy, a list of one element may be the element itself."""
    return value if isinstance(value, list) else [value]
