"""Ways to lose an event without notice, or to give somebody access to it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from workbench.loss_modes.model import (
    SQS_DEFAULT_RETENTION_SECONDS,
    Breaches,
    Rule,
    Template,
    as_list,
)

_DEPTH: Final = "ApproximateNumberOfMessagesVisible"
_IN_WORK: Final = "ApproximateNumberOfMessagesNotVisible"
_AGE: Final = "ApproximateAgeOfOldestMessage"
_SUM: Final = re.compile(r"\w+ \+ \w+")
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


def _topic_without_receiver(template: Template) -> Breaches:
    topics = dict(template.of_type("AWS::SNS::Topic"))
    received = {template.referred(each["TopicArn"]) for _, each in template.of_type("AWS::SNS::Subscription")}
    for _, channel in template.of_type("AWS::Chatbot::SlackChannelConfiguration"):
        received |= {template.referred(topic) for topic in channel.get("SnsTopicArns", [])}
    for logical_id in sorted(_alarm_topics(template) - received):
        if not topics[logical_id].get("Subscription"):
            yield logical_id, "alarms notify it, and it has no subscription"


def _alarm_topics(template: Template) -> set[str]:
    actions = [
        template.referred(action)
        for _, alarm in template.of_type("AWS::CloudWatch::Alarm")
        for action in alarm.get("AlarmActions", [])
    ]
    return {name for name in actions if name and template.resources[name]["Type"] == "AWS::SNS::Topic"}


def _dead_letters_unseen(template: Template) -> Breaches:
    queues = dict(template.queues())
    for logical_id in sorted(template.dead_letter_queues()):
        dimension = _queue_dimension(logical_id, queues[logical_id])
        if not any(goes_off_at(1, alarm) for alarm in template.alarms_on(_DEPTH, dimension)):
            yield logical_id, f"no alarm on the first message ({_DEPTH})"


def _expiry_unseen(template: Template) -> Breaches:
    dead_letter_queues = template.dead_letter_queues()
    for logical_id, queue in template.queues():
        dimension = _queue_dimension(logical_id, queue)
        if logical_id in dead_letter_queues:
            life = _shortest_life(template, logical_id, queue)
            # Another rule handles a time of zero: every letter may be deleted on arrival.
            if life > 0 and not any(each < life for each in _never_empty(template, dimension)):
                yield logical_id, f"no alarm on messages that wait, read or not, for less than {life} s"
        elif not any(
            goes_off_at(_retention(queue) - 1, alarm) for alarm in template.alarms_on(_AGE, dimension)
        ):
            yield logical_id, f"no alarm on {_AGE} before its retention ends"


def _shortest_life(template: Template, logical_id: str, queue: Mapping[str, Any]) -> int:
    """Seconds that a dead letter has if it came when it nearly expired in the queue before."""
    waited = [
        _retention(source)
        for _, source in template.queues()
        if template.referred(source.get("RedrivePolicy", {}).get("deadLetterTargetArn")) == logical_id
    ]
    return _retention(queue) - max(waited, default=0)


def _never_empty(template: Template, dimension: Mapping[str, Any]) -> Iterator[int]:
    """Seconds after which an alarm says that the queue was never empty, by the sum of all messages."""
    for _, alarm in template.of_type("AWS::CloudWatch::Alarm"):
        stats = [each["MetricStat"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
        watched = {
            stat["Metric"]["MetricName"] for stat in stats if dimension in stat["Metric"]["Dimensions"]
        }
        sums = [each for each in alarm.get("Metrics", []) if _SUM.fullmatch(each.get("Expression", ""))]
        if sums and watched == {_DEPTH, _IN_WORK} and goes_off_at(1, alarm):
            yield alarm["EvaluationPeriods"] * stats[0]["Period"]


def _retention(queue: Mapping[str, Any]) -> int:
    seconds: int = queue.get("MessageRetentionPeriod", SQS_DEFAULT_RETENTION_SECONDS)
    return seconds


def _queue_dimension(logical_id: str, queue: Mapping[str, Any]) -> Mapping[str, Any]:
    name = queue.get("QueueName", {"Fn::GetAtt": [logical_id, "QueueName"]})
    return {"Name": "QueueName", "Value": name}


def _failed_delivery_unseen(template: Template) -> Breaches:
    for logical_id, rule in template.of_type("AWS::Events::Rule"):
        name = rule.get("Name", {"Ref": logical_id})
        for target in rule.get("Targets", []):
            # The last delivery counts: into the dead-letter queue, if there is one.
            has_next = "DeadLetterConfig" in target
            metric = "InvocationsFailedToBeSentToDlq" if has_next else "FailedInvocations"
            alarms = template.alarms_on(metric, {"Name": "RuleName", "Value": name})
            if not any(goes_off_at(1, alarm) for alarm in alarms):
                yield logical_id, f"no alarm on {metric}"


def goes_off_at(value: float, alarm: Mapping[str, Any]) -> bool:
    """Whether an alarm goes off at this value of its metric."""
    match alarm["ComparisonOperator"]:
        case "GreaterThanOrEqualToThreshold":
            return bool(value >= alarm["Threshold"])
        case "GreaterThanThreshold":
            return bool(value > alarm["Threshold"])
    return False


def _wildcard_actions(template: Template) -> Breaches:
    for logical_id, resource in template.resources.items():
        for statement in _statements(resource):
            actions = as_list(statement.get("Action", []))
            if statement["Effect"] == "Allow" and (
                "NotAction" in statement or any("*" in action for action in actions)
            ):
                yield logical_id, f"allows {', '.join(actions) or 'all but some actions'}"


def _statements(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    # Key policies are not included: without kms:* for the account, nobody could administer the key.
    properties = resource.get("Properties", {})
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    if resource["Type"] in _POLICIES:
        documents.append(properties["PolicyDocument"])
    for document in documents:
        yield from document["Statement"]


RULES: Final = (
    Rule("AlarmAction", "The alarm goes off and notifies nobody.", _alarm_tells_nobody),
    Rule("AlarmReceiver", "The alarm notifies a topic without subscribers.", _topic_without_receiver),
    Rule(
        "DeadLetterAlarm",
        "Nobody notices the dead letters until SQS deletes them.",
        _dead_letters_unseen,
    ),
    Rule(
        "ExpiryAlarm",
        "An alarm reports the first message, but not that SQS will delete the others soon.",
        _expiry_unseen,
    ),
    Rule(
        "DeliveryAlarm",
        "EventBridge could not deliver an event, and nobody knows that it has to be replayed.",
        _failed_delivery_unseen,
    ),
    Rule(
        "WildcardAction",
        "A defect or an intruder can purge a queue or delete items, not only add them.",
        _wildcard_actions,
    ),
)
