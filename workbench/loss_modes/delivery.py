"""Ways to lose an event between the bus and the queue."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from workbench.loss_modes.model import Breaches, Rule, Template, as_list


def _target_without_dead_letter_queue(template: Template) -> Breaches:
    last_resorts = template.dead_letter_queues()
    for rule, target in template.targets():
        is_last_resort = template.referred(target["Arn"]) in last_resorts
        if "Arn" not in target.get("DeadLetterConfig", {}) and not is_last_resort:
            yield rule, f"target {target['Id']} has no DeadLetterConfig"


def _target_not_permitted(template: Template) -> Breaches:
    for rule, target in template.targets():
        for arn in (target["Arn"], target.get("DeadLetterConfig", {}).get("Arn")):
            queue = template.referred(arn)
            if queue is not None and not _may_send(template, rule, queue):
                yield rule, f"the policy of {queue} does not let the rule send"


def _may_send(template: Template, rule: str, queue: str) -> bool:
    return any(
        statement["Effect"] == "Allow"
        and statement.get("Principal") == {"Service": "events.amazonaws.com"}
        and "sqs:SendMessage" in as_list(statement["Action"])
        and _is_arn_of(template, statement["Condition"]["ArnEquals"]["aws:SourceArn"], rule)
        for _, policy in _policies(template, queue)
        for statement in policy["PolicyDocument"]["Statement"]
        if "ArnEquals" in statement.get("Condition", {})
    )


def _policies(template: Template, queue: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for logical_id, policy in template.of_type("AWS::SQS::QueuePolicy"):
        if {"Ref": queue} in policy["Queues"]:
            yield logical_id, policy


def _is_arn_of(template: Template, arn: Any, rule: str) -> bool:
    if template.referred(arn) == rule:
        return True
    # The ARN is text: the policy has to exist before the rule, and a reference would reverse that.
    properties = template.resources[rule]["Properties"]
    bus_name = properties.get("EventBusName")
    if (bus := template.referred(bus_name)) is not None:
        bus_name = template.resources[bus]["Properties"]["Name"]
    match arn:
        case {"Fn::Join": ["", [*_, str(end)]]}:
            return end == f":rule/{bus_name}/{properties.get('Name')}"
    return False


def _matches_before_it_may_send(template: Template) -> Breaches:
    for rule, target in template.targets():
        before = as_list(template.resources[rule].get("DependsOn", []))
        for arn in (target["Arn"], target.get("DeadLetterConfig", {}).get("Arn")):
            queue = template.referred(arn)
            policies = set() if queue is None else {name for name, _ in _policies(template, queue)}
            if policies and not policies & set(before):
                yield rule, f"does not wait for the policy of {queue}"


def _target_alters_the_envelope(template: Template) -> Breaches:
    for rule, target in template.targets():
        for name in ("Input", "InputPath", "InputTransformer"):
            if name in target:
                yield rule, f"target {target['Id']} has {name}"


def _unmatched_go_nowhere(template: Template) -> Breaches:
    patterns: dict[str, list[Mapping[str, Any]]] = {
        bus: [] for bus, _ in template.of_type("AWS::Events::EventBus")
    }
    for _, rule in template.of_type("AWS::Events::Rule"):
        bus = template.referred(rule.get("EventBusName"))
        if bus is not None and rule.get("Targets"):
            patterns[bus].append(rule["EventPattern"])
    for bus in _buses_of_functions(template):
        # A misspelt event is a defect of the function, whose tests find it. Subscribers have their own rules.
        patterns.pop(bus, None)
    for bus, found in patterns.items():
        wanted = [pattern for pattern in found if "$or" not in pattern]
        # This rule can derive the complement of one pattern, but not of several.
        if len(wanted) != 1 or _rest_of(wanted[0]) not in found:
            yield bus, "no rule delivers exactly the events that the others do not match"


def _buses_of_functions(template: Template) -> Iterator[str]:
    """Logical ids of the buses that a function of the stack publishes to."""
    for _, function in template.of_type("AWS::Lambda::Function"):
        yield from (name for action, name in template.allowed_to(function) if action == "events:PutEvents")


def _rest_of(pattern: Mapping[str, Any]) -> dict[str, Any]:
    return {"$or": [{field: [{"anything-but": _but(values)}]} for field, values in pattern.items()]}


def _but(values: list[Any]) -> Any:
    return values[0] if isinstance(values[0], dict) else values


def _rule_disabled(template: Template) -> Breaches:
    for logical_id, rule in template.of_type("AWS::Events::Rule"):
        if rule.get("State", "ENABLED") == "DISABLED":
            yield logical_id, "State is DISABLED"


def _bus_without_archive(template: Template) -> Breaches:
    archived = {
        template.referred(archive["SourceArn"])
        for _, archive in template.of_type("AWS::Events::Archive")
        if "EventPattern" not in archive
    }
    for bus, _ in template.of_type("AWS::Events::EventBus"):
        if bus not in archived:
            yield bus, "no archive takes every event of the bus"


RULES: Final = (
    Rule(
        "RuleTargetDeadLetterQueue",
        "If the target refuses an event for the whole retry period, EventBridge drops it.",
        _target_without_dead_letter_queue,
    ),
    Rule(
        "RuleTargetPermission",
        "Without the queue's permission, EventBridge drops the event and does not retry.",
        _target_not_permitted,
    ),
    Rule(
        "PermissionBeforeRule",
        "EventBridge drops an event without a retry if the queue's policy does not exist yet.",
        _matches_before_it_may_send,
    ),
    Rule(
        "WholeEnvelope",
        "The processor needs the whole envelope, and a redrive cannot restore it.",
        _target_alters_the_envelope,
    ),
    Rule(
        "UnmatchedEvents",
        "The bus drops an event with a misspelt source or detail-type.",
        _unmatched_go_nowhere,
    ),
    Rule("RuleEnabled", "The bus drops the events of a disabled rule.", _rule_disabled),
    Rule("Archive", "Events that a defect of ours damaged cannot be replayed.", _bus_without_archive),
)
