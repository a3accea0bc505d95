"""Alarms: what they watch, whom they tell, and what they say."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App
from aws_cdk import aws_cloudwatch as cloudwatch

from infrastructure.alarms import alarm_specs
from infrastructure.rollout import guard_specs
from infrastructure.stack import ShipmentEventsStack
from shipment_events.stages import STAGES, StageSettings
from tests.infrastructure.metric_math import evaluate, states
from tests.infrastructure.template import Template, text
from tests.infrastructure.watched import alarm_metrics, alarm_named, watches

TOPICS = {
    "queue-depth": "warning",
    "error-rate": "page",
    "dead-letters": "page",
    "oldest-message": "warning",
    "oldest-message-hours": "page",
    "quarantined": "warning",
    "retried": "warning",
    "throttles": "warning",
    "undelivered": "page",
    "delivery-dead-lettered": "warning",
    "delivery-lost": "page",
    "unmatched": "warning",
    "unmatched-lost": "page",
    "slow-processor": "warning",
    "concurrency": "warning",
    "table-throttled": "warning",
    "index-throttled": "warning",
    "table-errors": "warning",
    "latency": "warning",
    "tracker-failures": "page",
    "tracker-lag": "warning",
    "tracker-lag-hours": "page",
    "tracker-errors": "page",
    "tracker-throttles": "warning",
    "slow-tracker": "warning",
    "tracker-retried": "warning",
    "watcher-errors": "warning",
    "watcher-silent": "warning",
    "watcher-throttles": "warning",
    "slow-watcher": "warning",
    "api-failed": "warning",
    "api-errors": "page",
    "api-throttles": "warning",
    "slow-api": "warning",
}
"""Of alarms that also tell their end."""
TOPICS_OF_BEGINS = {
    "dead-letters-old": "page",
    "dead-letters-new": "page",
    "dead-letters-daily": "warning",
    "tracker-failures-old": "page",
    "tracker-stopped": "page",
}
"""Of alarms whose end is no news."""


def test_contract_alarms(every_template: Template) -> None:
    environment = every_template.environment
    depth = alarm_named(every_template, "queue-depth")
    assert watches(depth) == (
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": f"shipmentevents-queue-{environment}"},
    )
    assert (depth["ComparisonOperator"], depth["Threshold"]) == ("GreaterThanThreshold", 1000)
    assert (depth["EvaluationPeriods"], depth["DatapointsToAlarm"]) == (2, 2)

    dead_letters = alarm_named(every_template, "dead-letters")
    assert watches(dead_letters) == (
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": f"shipmentevents-dlq-{environment}"},
    )
    assert dead_letters["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert dead_letters["Threshold"] == 1
    assert dead_letters["EvaluationPeriods"] == 1

    errors = alarm_named(every_template, "error-rate")
    assert (errors["ComparisonOperator"], errors["Threshold"]) == ("GreaterThanThreshold", 5)
    (rate,) = (each for each in errors["Metrics"] if "Expression" in each)
    assert rate["Expression"] == "errors / invocations * 100"
    parts = {each["Id"]: each for each in errors["Metrics"] if "MetricStat" in each}
    assert {name: part["MetricStat"]["Metric"]["MetricName"] for name, part in parts.items()} == {
        "errors": "Errors",
        "invocations": "Invocations",
    }
    assert {part["MetricStat"]["Stat"] for part in parts.values()} == {"Sum"}
    assert [each["Id"] for each in errors["Metrics"] if each.get("ReturnData", True)] == [rate["Id"]]


def test_topic_of_every_alarm_is_expected(template: Template) -> None:
    prefix = f"shipmentevents-{template.environment}-"
    alarms = [
        alarm["AlarmName"].removeprefix(prefix) for _, alarm in template.of_type("AWS::CloudWatch::Alarm")
    ]
    assert sorted(alarms) == sorted([*TOPICS, *TOPICS_OF_BEGINS]), "add a new alarm to one of the two tables"


@pytest.mark.parametrize(("alarm", "topic"), TOPICS.items())
def test_alarm_tells_the_right_people(every_template: Template, alarm: str, topic: str) -> None:
    properties = alarm_named(every_template, alarm)
    told = [_topic(every_template, topic)]
    assert properties["AlarmActions"] == told
    assert properties["OKActions"] == told
    assert properties.get("ActionsEnabled", True)


@pytest.mark.parametrize(("alarm", "topic"), TOPICS_OF_BEGINS.items())
def test_alarm_whose_end_is_no_news_tells_its_begin_only(
    every_template: Template, alarm: str, topic: str
) -> None:
    """Dead letters that expire end it, or events that no longer come: an "OK" would be an all-clear."""
    properties = alarm_named(every_template, alarm)
    assert properties["AlarmActions"] == [_topic(every_template, topic)]
    assert "OKActions" not in properties


def test_every_alarm_explains_itself_and_only_one_takes_silence_for_a_failure(
    every_template: Template,
) -> None:
    alarms = list(every_template.of_type("AWS::CloudWatch::Alarm"))
    stage = STAGES[every_template.environment]
    guards = [] if stage.canary_minutes is None else guard_specs(stage, "7")
    assert len(alarms) == len(alarm_specs(stage)) + len(guards)
    for logical_id, alarm in alarms:
        assert alarm["AlarmActions"], logical_id
        name = text(alarm["AlarmName"]).removeprefix(f"shipmentevents-{every_template.environment}-")
        # The number of a version is only known once it is published.
        name = name.partition("-${")[0]
        silence = "breaching" if name == "watcher-silent" else "notBreaching"
        assert alarm["TreatMissingData"] == silence, logical_id
        form = rf".+\. Look at: .+\. Runbook: docs/runbook\.md#{name}"
        assert re.fullmatch(form, alarm["AlarmDescription"]), logical_id
        assert len(alarm["AlarmDescription"]) <= 1024, logical_id


def test_every_alarm_has_its_entry_in_the_runbook_and_no_entry_is_of_none() -> None:
    settings = replace(STAGES["prod"], expected_event_hours=6)
    runbook = (Path(__file__).resolve().parents[2] / "docs" / "runbook.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## ([a-z-]+)$", runbook, re.MULTILINE)
    guards = [spec.name for spec in guard_specs(settings, "7")]
    assert sorted(entries) == sorted([*_spec_names(settings), *guards])


def test_a_stage_that_expects_events_is_paged_by_silence() -> None:
    stack = ShipmentEventsStack(App(), settings=replace(STAGES["dev"], expected_event_hours=6))
    alarm = stack.node.find_child("Monitoring").node.find_child("NoEvents").node.default_child
    assert isinstance(alarm, cloudwatch.CfnAlarm)
    assert (alarm.comparison_operator, alarm.threshold) == ("LessThanThreshold", 1)
    assert alarm.treat_missing_data == "breaching"
    assert alarm.period == 6 * 3600
    assert _spec_names(STAGES["dev"]) == [
        name for name in _spec_names(replace(STAGES["dev"], expected_event_hours=6)) if name != "no-events"
    ]


def test_thresholds_come_before_the_limits_they_warn_of() -> None:
    for settings in STAGES.values():
        specs = {spec.name: spec for spec in alarm_specs(settings)}
        assert 0 < specs["slow-processor"].threshold < settings.processor_timeout_seconds * 1000
        assert specs["concurrency"].threshold <= settings.processor_max_concurrency
        assert specs["oldest-message"].threshold < settings.queue_retention_days * 86_400


def test_only_what_needs_metric_math_has_it(template: Template) -> None:
    """CDK turns a label into metric math, which costs more and which the local engine cannot evaluate."""
    with_math = [
        alarm["AlarmName"].removeprefix("shipmentevents-dev-")
        for _, alarm in template.of_type("AWS::CloudWatch::Alarm")
        if "Metrics" in alarm
    ]
    assert sorted(with_math) == [
        "api-errors",
        "dead-letters-daily",
        "dead-letters-new",
        "dead-letters-old",
        "error-rate",
        "index-throttled",
        "table-errors",
        "table-throttled",
        "tracker-errors",
        "tracker-failures-old",
        "tracker-stopped",
    ]


def test_alarms_on_a_table_end_without_a_value(every_template: Template) -> None:
    """AWS documents that alarms on DynamoDB's metrics ignore what they are told of missing values."""
    on_a_table = [
        alarm
        for _, alarm in every_template.of_type("AWS::CloudWatch::Alarm")
        if any(namespace == "AWS/DynamoDB" for namespace, _, _ in alarm_metrics(alarm))
    ]
    assert len(on_a_table) == 3
    for alarm in on_a_table:
        (expression,) = (each["Expression"] for each in alarm["Metrics"] if "Expression" in each)
        assert evaluate(expression, {"failures": [None, 3, None]}) == [0, 3, 0]
        # A value may come when its window is no longer the newest.
        assert states(alarm, failures=[None, 3, None, None, 1]) == [False, True, True, False, True]


def _topic(template: Template, urgency: str) -> Any:
    return template.ref("AWS::SNS::Topic", TopicName=f"shipmentevents-{template.environment}-{urgency}")


def _spec_names(settings: StageSettings) -> list[str]:
    return [spec.name for spec in alarm_specs(settings)]
