"""Ways to lose an event unseen, or to let somebody take it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from workbench.loss_modes.model import Breaches, Rule, Template, as_list

_DEPTH: Final = "ApproximateNumberOfMessagesVisible"
_POLICIES: Final = {
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}


def _alarm_tells_nobody(template: Template) -> Breaches:
    for logical_id, alarm in template.of_type("AWS::CloudWatch::Alarm"):
        if not alarm.get("AlarmActions") or alarm.get("ActionsEnabled", True) is not True:
            yield logical_id, "no action, or actions are off"


def _dead_letters_unseen(template: Template) -> Breaches:
    queues = dict(template.queues())
    for logical_id in sorted(template.dead_letter_queues()):
        name = queues[logical_id].get("QueueName", {"Fn::GetAtt": [logical_id, "QueueName"]})
        seen = any(
            alarm["Threshold"] <= 1
            for alarm in _alarms(template, _DEPTH, {"Name": "QueueName", "Value": name})
        )
        if not seen:
            yield logical_id, f"no alarm on the first message ({_DEPTH})"


def _failed_delivery_unseen(template: Template) -> Breaches:
    for logical_id, rule in template.of_type("AWS::Events::Rule"):
        name = rule.get("Name", {"Ref": logical_id})
        for target in rule.get("Targets", []):
            # What counts is the last hop: with a dead-letter queue, the way into that one.
            has_next = "DeadLetterConfig" in target
            metric = "InvocationsFailedToBeSentToDlq" if has_next else "FailedInvocations"
            if not list(_alarms(template, metric, {"Name": "RuleName", "Value": name})):
                yield logical_id, f"no alarm on {metric}"


def _alarms(template: Template, metric: str, dimension: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for _, alarm in template.of_type("AWS::CloudWatch::Alarm"):
        if alarm.get("MetricName") == metric and dimension in alarm.get("Dimensions", []):
            yield alarm


def _wildcard_actions(template: Template) -> Breaches:
    for logical_id, resource in template.resources.items():
        for statement in _statements(resource):
            actions = as_list(statement.get("Action", []))
            if statement["Effect"] == "Allow" and (
                "NotAction" in statement or any("*" in action for action in actions)
            ):
                yield logical_id, f"allows {', '.join(actions) or 'all but some actions'}"


def _statements(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    # Not the policies of keys: without kms:* for the account, nobody could ever administer the key.
    properties = resource.get("Properties", {})
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    if resource["Type"] in _POLICIES:
        documents.append(properties["PolicyDocument"])
    for document in documents:
        yield from document["Statement"]


RULES: Final = (
    Rule("AlarmAction", "The alarm goes off and nobody hears it.", _alarm_tells_nobody),
    Rule(
        "DeadLetterAlarm",
        "Dead letters wait unseen until their retention ends, then they are gone.",
        _dead_letters_unseen,
    ),
    Rule(
        "DeliveryAlarm",
        "The bus could not deliver an event anywhere, and nobody knows that it has to be replayed.",
        _failed_delivery_unseen,
    ),
    Rule(
        "WildcardAction",
        "A defect or an intruder can purge a queue or delete items, not only add them.",
        _wildcard_actions,
    ),
)
