"""Each rule against loss catches the mistake it is for, and lets the real stack through."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from shipment_events.stages import settings_for
from tests.infrastructure.template import Template
from workbench.loss_modes.rules import RULES, breaches

Change = Callable[["Broken"], None]

QUEUE: Final = "shipmentevents-queue-dev"
DEAD_LETTERS: Final = "shipmentevents-dlq-dev"
FAILURES: Final = "shipmenttracker-failures-dev"


class Broken:
    """A copy of the template, to break."""

    def __init__(self, template: Template) -> None:
        self.body = copy.deepcopy(template.body)
        self.resources: dict[str, dict[str, Any]] = self.body["Resources"]

    def resource(self, resource_type: str, **wanted: str) -> dict[str, Any]:
        """The first resource of the type with these properties."""
        return next(
            resource
            for resource in self.resources.values()
            if resource["Type"] == resource_type and wanted.items() <= resource["Properties"].items()
        )

    def properties(self, resource_type: str, **wanted: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.resource(resource_type, **wanted)["Properties"]
        return properties

    def target(self, rule: str = "shipment-event-rule-dev") -> dict[str, Any]:
        target: dict[str, Any] = self.properties("AWS::Events::Rule", Name=rule)["Targets"][0]
        return target

    def remove(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        for logical_id in [name for name, resource in self.resources.items() if wanted(resource)]:
            del self.resources[logical_id]

    @property
    def source(self) -> dict[str, Any]:
        return self.properties("AWS::Lambda::EventSourceMapping")

    @property
    def stream(self) -> dict[str, Any]:
        """The event source of the tracker."""
        return self.properties("AWS::Lambda::EventSourceMapping", StartingPosition="TRIM_HORIZON")

    @property
    def table(self) -> dict[str, Any]:
        return self.properties("AWS::DynamoDB::Table")


def queue(name: str, **changed: Any) -> Change:
    return lambda broken: broken.properties("AWS::SQS::Queue", QueueName=name).update(changed)


def without(find: Callable[[Broken], dict[str, Any]], key: str) -> Change:
    return lambda broken: find(broken).pop(key)


def given(find: Callable[[Broken], dict[str, Any]], **changed: Any) -> Change:
    return lambda broken: find(broken).update(changed)


def one_rule_for_both_mistakes_missing(broken: Broken) -> None:
    rule = broken.properties("AWS::Events::Rule", Name="shipment-event-unmatched-dev")
    rule["EventPattern"] = rule["EventPattern"]["$or"][0]


def no_rule_for_the_rest(broken: Broken) -> None:
    broken.remove(lambda each: each["Properties"].get("Name") == "shipment-event-unmatched-dev")


def rules_have_no_permissions(broken: Broken) -> None:
    for policy in broken.resources.values():
        if policy["Type"] == "AWS::SQS::QueuePolicy":
            statements = policy["Properties"]["PolicyDocument"]["Statement"]
            statements[:] = [each for each in statements if each["Effect"] == "Deny"]


def one_topic_has_no_receiver(broken: Broken) -> None:
    topic = broken.properties("AWS::SNS::Subscription")["TopicArn"]
    broken.remove(
        lambda each: each["Type"] == "AWS::SNS::Subscription" and each["Properties"]["TopicArn"] == topic
    )


def permissions_are_of_another_rule(broken: Broken) -> None:
    for policy in broken.resources.values():
        if policy["Type"] == "AWS::SQS::QueuePolicy":
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                if arn := statement["Condition"].get("ArnEquals", {}).get("aws:SourceArn"):
                    arn["Fn::Join"][1][-1] += "-of-another-stage"


def alarm_on(metric: str) -> Callable[[dict[str, Any]], bool]:
    return lambda each: (
        each["Type"] == "AWS::CloudWatch::Alarm" and each["Properties"].get("MetricName") == metric
    )


def dead_letter_alarm(broken: Broken) -> dict[str, Any]:
    return broken.properties("AWS::CloudWatch::Alarm", AlarmName="shipmentevents-dev-dead-letters")


def delivery_alarm(broken: Broken) -> dict[str, Any]:
    return broken.properties("AWS::CloudWatch::Alarm", AlarmName="shipmentevents-dev-delivery-lost")


def lag_alarms_watch_for_no_lag(broken: Broken) -> None:
    for each in filter(alarm_on("IteratorAge"), broken.resources.values()):
        each["Properties"]["ComparisonOperator"] = "LessThanThreshold"


def old_letters_alarm(broken: Broken) -> dict[str, Any]:
    return broken.properties("AWS::CloudWatch::Alarm", AlarmName="shipmentevents-dev-dead-letters-old")


def failures_alarm(broken: Broken) -> dict[str, Any]:
    return broken.properties("AWS::CloudWatch::Alarm", AlarmName="shipmentevents-dev-tracker-failures")


def failures_may_not_be_sent(broken: Broken) -> None:
    role = broken.properties("AWS::IAM::Role", Description="Exactly what the shipment event tracker calls")
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    statements[:] = [each for each in statements if each["Sid"] != "ReportFailures"]


def filtered(pattern: dict[str, Any]) -> Change:
    criteria = {"Filters": [{"Pattern": json.dumps(pattern)}]}
    return lambda broken: broken.stream.update(FilterCriteria=criteria)


def first_statement(broken: Broken) -> dict[str, Any]:
    policies = broken.properties("AWS::IAM::Role")["Policies"]
    statement: dict[str, Any] = policies[0]["PolicyDocument"]["Statement"][0]
    return statement


MISTAKES: Final[tuple[tuple[str, Change], ...]] = (
    ("RuleTargetDeadLetterQueue", without(Broken.target, "DeadLetterConfig")),
    ("RuleTargetPermission", rules_have_no_permissions),
    ("RuleTargetPermission", permissions_are_of_another_rule),
    ("PermissionBeforeRule", without(lambda broken: broken.resource("AWS::Events::Rule"), "DependsOn")),
    ("WholeEnvelope", given(Broken.target, InputPath="$.detail")),
    ("UnmatchedEvents", no_rule_for_the_rest),
    ("UnmatchedEvents", one_rule_for_both_mistakes_missing),
    ("RuleEnabled", given(lambda broken: broken.properties("AWS::Events::Rule"), State="DISABLED")),
    ("Archive", lambda broken: broken.remove(lambda each: each["Type"] == "AWS::Events::Archive")),
    (
        "Archive",
        given(lambda broken: broken.properties("AWS::Events::Archive"), EventPattern={"source": ["x"]}),
    ),
    (
        "QueueRedrive",
        without(lambda broken: broken.properties("AWS::SQS::Queue", QueueName=QUEUE), "RedrivePolicy"),
    ),
    (
        "EnoughReceives",
        lambda broken: broken.properties("AWS::SQS::Queue", QueueName=QUEUE)["RedrivePolicy"].update(
            maxReceiveCount=1
        ),
    ),
    ("DeadLetterRetention", queue(DEAD_LETTERS, MessageRetentionPeriod=345_600)),
    ("DeadLetterRetention", queue(QUEUE, MessageRetentionPeriod=1_209_600)),
    ("VisibilityTimeout", queue(QUEUE, VisibilityTimeout=359)),
    ("VisibilityTimeout", given(lambda broken: broken.properties("AWS::Lambda::Function"), Timeout=61)),
    ("PartialBatchResponse", without(lambda broken: broken.source, "FunctionResponseTypes")),
    ("EventSourceFilter", given(lambda broken: broken.source, FilterCriteria={"Filters": []})),
    ("EventSourceEnabled", given(lambda broken: broken.source, Enabled=False)),
    ("EventSourceConcurrency", without(lambda broken: broken.source, "ScalingConfig")),
    (
        "EventSourceConcurrency",
        given(lambda broken: broken.properties("AWS::Lambda::Function"), ReservedConcurrentExecutions=5),
    ),
    ("PartialBatchResponse", without(lambda broken: broken.stream, "FunctionResponseTypes")),
    ("EventSourceEnabled", given(lambda broken: broken.stream, Enabled=False)),
    ("StreamStart", given(lambda broken: broken.stream, StartingPosition="LATEST")),
    ("StreamFailures", failures_may_not_be_sent),
    ("StreamRetries", given(lambda broken: broken.stream, MaximumRetryAttempts=-1)),
    ("StreamRetries", without(lambda broken: broken.stream, "MaximumRetryAttempts")),
    ("StreamRetries", given(lambda broken: broken.stream, MaximumRecordAgeInSeconds=86_400)),
    ("StreamBisect", without(lambda broken: broken.stream, "BisectBatchOnFunctionError")),
    ("StreamFilter", filtered({"eventName": ["MODIFY", "REMOVE"]})),
    ("StreamFilter", filtered({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"x": {"S": ["y"]}}}})),
    ("StreamLagAlarm", lambda broken: broken.remove(alarm_on("IteratorAge"))),
    ("StreamLagAlarm", lag_alarms_watch_for_no_lag),
    ("DeadLetterAlarm", given(failures_alarm, Threshold=2)),
    ("ExpiryAlarm", queue(FAILURES, MessageRetentionPeriod=5 * 86_400)),
    ("PointInTimeRecovery", without(lambda broken: broken.table, "PointInTimeRecoverySpecification")),
    ("Stream", given(lambda broken: broken.table, StreamSpecification={"StreamViewType": "KEYS_ONLY"})),
    ("TimeToLive", without(lambda broken: broken.table, "TimeToLiveSpecification")),
    ("Retained", without(lambda broken: broken.resource("AWS::DynamoDB::Table"), "DeletionPolicy")),
    ("Retained", given(lambda broken: broken.resource("AWS::SQS::Queue"), UpdateReplacePolicy="Delete")),
    (
        "Retained",
        given(lambda broken: broken.resource("AWS::DynamoDB::Table"), DeletionPolicy="Snapshot"),
    ),
    (
        "Retained",
        given(
            lambda broken: broken.resource("AWS::DynamoDB::Table"), UpdateReplacePolicy="RetainExceptOnCreate"
        ),
    ),
    ("AlarmAction", without(dead_letter_alarm, "AlarmActions")),
    ("AlarmReceiver", lambda broken: broken.remove(lambda each: each["Type"] == "AWS::SNS::Subscription")),
    ("AlarmReceiver", one_topic_has_no_receiver),
    ("AlarmAction", given(dead_letter_alarm, ActionsEnabled=False)),
    ("DeadLetterAlarm", given(dead_letter_alarm, Threshold=10)),
    ("DeadLetterAlarm", given(dead_letter_alarm, ComparisonOperator="GreaterThanThreshold")),
    ("DeadLetterAlarm", given(dead_letter_alarm, ComparisonOperator="LessThanThreshold")),
    ("ExpiryAlarm", given(old_letters_alarm, ComparisonOperator="LessThanThreshold")),
    ("ExpiryAlarm", given(old_letters_alarm, Threshold=1000)),
    ("DeliveryAlarm", given(delivery_alarm, ComparisonOperator="LessThanThreshold")),
    ("DeadLetterAlarm", given(dead_letter_alarm, MetricName="NumberOfMessagesSent")),
    ("ExpiryAlarm", lambda broken: broken.remove(alarm_on("ApproximateAgeOfOldestMessage"))),
    ("ExpiryAlarm", given(old_letters_alarm, EvaluationPeriods=10 * 24)),
    ("ExpiryAlarm", lambda broken: old_letters_alarm(broken)["Metrics"][0].update(Expression="waiting")),
    ("DeliveryAlarm", lambda broken: broken.remove(alarm_on("InvocationsFailedToBeSentToDlq"))),
    ("DeliveryAlarm", lambda broken: broken.remove(alarm_on("FailedInvocations"))),
    ("WildcardAction", given(first_statement, Action=["dynamodb:*"])),
    ("WildcardAction", given(first_statement, Action="sqs:Delete*")),
)


def test_the_real_stack_breaks_no_rule(every_template: Template) -> None:
    assert not list(breaches(every_template.body))


@pytest.mark.parametrize(
    ("rule", "mistake"), MISTAKES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_mistake_is_caught_by_its_rule(template: Template, rule: str, mistake: Change) -> None:
    broken = Broken(template)
    mistake(broken)
    found = list(breaches(broken.body))
    assert {breach.rule.name for breach in found} == {rule}
    assert all(breach.logical_id in broken.resources for breach in found)


def test_an_event_source_of_a_stream_without_a_destination_is_caught(template: Template) -> None:
    """Its queue is then no dead-letter queue, and lacks a redrive policy as well."""
    broken = Broken(template)
    broken.stream.pop("DestinationConfig")
    assert "StreamFailures" in {breach.rule.name for breach in breaches(broken.body)}


def test_a_stream_without_a_filter_breaks_no_rule(template: Template) -> None:
    broken = Broken(template)
    broken.stream.pop("FilterCriteria")
    assert not list(breaches(broken.body))


def test_every_rule_has_a_mistake_that_it_catches() -> None:
    assert {rule for rule, _ in MISTAKES} == {rule.name for rule in RULES}


@pytest.mark.slow
def test_a_breach_ends_the_synthesis_and_names_the_resource(tmp_path: Path) -> None:
    from aws_cdk import CfnResource

    from infrastructure.app import build_app

    app = build_app(settings_for("dev"), tmp_path / "assembly")
    source = next(
        each
        for each in app.node.find_all()
        if isinstance(each, CfnResource) and each.cfn_resource_type == "AWS::Lambda::EventSourceMapping"
    )
    source.add_property_deletion_override("FunctionResponseTypes")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report = json.loads((tmp_path / "assembly" / "validation-report.json").read_text())
    assert "PartialBatchResponse" in json.dumps(report)


@pytest.mark.slow
def test_a_stage_whose_data_may_go_says_so_itself(tmp_path: Path) -> None:
    from infrastructure.app import build_app

    settings = replace(settings_for("dev"), retain_data=False, alarm_emails=("oncall@example.org",))
    build_app(settings, tmp_path / "assembly").synth()
    found = list(breaches(Template(tmp_path / "assembly", "dev").body))
    assert {breach.rule.name for breach in found} == {"Retained"}
