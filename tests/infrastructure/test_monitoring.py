"""Alarms that reach somebody and watch something that exists, and a dashboard that shows the rest."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App
from aws_cdk import aws_cloudwatch as cloudwatch

from infrastructure.alarms import alarm_specs
from infrastructure.rollout import guard_specs
from infrastructure.stack import ShipmentEventsStack
from shipment_events.contract.outcome import Outcome
from shipment_events.processor.telemetry import report_batch
from shipment_events.stages import STAGES, StageSettings
from tests.infrastructure.log_filters import Measured, measured
from tests.infrastructure.metric_math import Series, evaluate
from tests.infrastructure.template import Template, text
from tests.processor.outcomes import settled_as

# What the services report, by namespace, with the dimensions that they report it under; from the metric pages
# of their documentation. What is made of the processor's log is read off its own output below.
REPORTED = {
    ("AWS/SQS", "QueueName"): {
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateAgeOfOldestMessage",
        "NumberOfMessagesSent",
        "NumberOfMessagesDeleted",
    },
    ("AWS/Lambda", "FunctionName"): {
        "Invocations",
        "Errors",
        "Duration",
        "Throttles",
        "ConcurrentExecutions",
    },
    ("AWS/Lambda", "ExecutedVersion", "FunctionName", "Resource"): {"Errors", "Duration"},
    ("AWS/Events", "EventBusName", "RuleName"): {
        "MatchedEvents",
        "FailedInvocations",
        "InvocationsSentToDlq",
        "InvocationsFailedToBeSentToDlq",
    },
    ("AWS/DynamoDB", "TableName"): {
        "ConsumedReadCapacityUnits",
        "ConsumedWriteCapacityUnits",
        "ReadThrottleEvents",
        "WriteThrottleEvents",
        "ConditionalCheckFailedRequests",
    },
    ("AWS/DynamoDB", "GlobalSecondaryIndexName", "TableName"): {
        "ConsumedReadCapacityUnits",
        "ConsumedWriteCapacityUnits",
        "WriteThrottleEvents",
    },
    ("AWS/DynamoDB", "Operation", "TableName"): {"SystemErrors"},
}


Emitted = tuple[tuple[str, ...], str]
"""Names of the dimensions, and name of the metric."""


def _lines(capsys: pytest.CaptureFixture[str], *outcomes: Outcome) -> list[str]:
    """What the processor really prints for a batch with these outcomes, half a second after the bus."""
    accepted = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    body = {
        "id": "1",
        "time": accepted.isoformat(),
        "source": "shipment.service",
        "detail-type": "shipment.departed",
        "detail": {
            "shipment_id": "S-1",
            "event_timestamp": accepted.isoformat(),
            "event_type": "shipment.departed",
        },
    }
    stored_at = accepted + timedelta(milliseconds=500)
    batch = [settled_as(outcome, json.dumps(body), stored_at) for outcome in outcomes]
    report_batch(batch, "dev", "request", "7")
    return capsys.readouterr().out.splitlines()


def _emitted(template: Template, lines: list[str]) -> set[Emitted]:
    """Metrics that the filters of the stack make of these lines."""
    return {
        (tuple(name for name, _ in each.dimensions), each.name)
        for line in lines
        for each in measured(template, line)
    }


@pytest.fixture
def emitted(template: Template, capsys: pytest.CaptureFixture[str]) -> set[Emitted]:
    """Metrics of a batch in which every outcome occurred."""
    return _emitted(template, _lines(capsys, *Outcome))


def test_log_becomes_metrics(every_template: Template, capsys: pytest.CaptureFixture[str]) -> None:
    """From the function's own output, through the filters of the stack."""
    *of_events, of_batch = _lines(capsys, *Outcome, Outcome.RETRIED)
    assert not [found for line in of_events for found in measured(every_template, line)]
    stage = (("Environment", "dev"),)
    version = (*stage, ("FunctionVersion", "7"))
    assert measured(every_template, of_batch) == [
        Measured("Conflict", stage, 1, "Count"),
        Measured("Duplicate", stage, 1, "Count"),
        Measured("EventToStored", stage, 500, "Milliseconds"),
        Measured("Failed", version, 3, "Count"),
        Measured("Quarantined", stage, 1, "Count"),
        Measured("Retried", stage, 2, "Count"),
        Measured("Settled", version, 6, "Count"),
        Measured("Stored", stage, 1, "Count"),
    ]


def test_filters_read_the_log_of_the_processor_and_are_there_before_its_first_line(
    every_template: Template,
) -> None:
    """Filters do not look back."""
    name = f"/aws/lambda/shipment-event-processor-{every_template.environment}"
    filters = dict(every_template.of_type("AWS::Logs::MetricFilter"))
    log = every_template.ref("AWS::Logs::LogGroup", LogGroupName=name)
    assert [each["LogGroupName"] for each in filters.values()] == [log] * 8
    function = every_template.logical_id(
        "AWS::Lambda::Function", FunctionName=name.removeprefix("/aws/lambda/")
    )
    # "Metric filters are supported only for log groups in the Standard log class":
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html
    assert every_template.properties("AWS::Logs::LogGroup", LogGroupName=name)["LogGroupClass"] == "STANDARD"
    assert filters.keys() <= set(every_template.resources[function]["DependsOn"])


def test_good_batch_has_a_value_for_every_alarm(
    template: Template, capsys: pytest.CaptureFixture[str]
) -> None:
    """An alarm whose metric is silent looks back at older values, and ends late."""
    watched = {
        (tuple(sorted(dimensions)), name)
        for _, alarm in template.of_type("AWS::CloudWatch::Alarm")
        for namespace, name, dimensions in _alarm_metrics(alarm)
        if namespace == "ShipmentEvents"
    }
    assert {name for _, name in watched} == {"Quarantined", "Retried", "EventToStored"}
    assert watched <= _emitted(template, _lines(capsys, Outcome.STORED))


def test_graph_of_outcomes_has_no_holes(template: Template) -> None:
    (graph,) = [
        widget["properties"]
        for widget in _dashboard(template)["widgets"]
        if widget["properties"].get("title") == "Outcomes"
    ]
    shown = [metric[0] for metric in graph["metrics"] if isinstance(metric[0], dict)]
    assert [each["label"] for each in shown] == [outcome.metric for outcome in Outcome]
    assert all(each["expression"].startswith("FILL(") for each in shown)


def test_contract_alarms(every_template: Template) -> None:
    environment = every_template.environment
    depth = _alarm(every_template, "queue-depth")
    assert _watches(depth) == (
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": f"shipmentevents-queue-{environment}"},
    )
    assert (depth["ComparisonOperator"], depth["Threshold"]) == ("GreaterThanThreshold", 1000)
    assert (depth["EvaluationPeriods"], depth["DatapointsToAlarm"]) == (2, 2)

    dead_letters = _alarm(every_template, "dead-letters")
    assert _watches(dead_letters) == (
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": f"shipmentevents-dlq-{environment}"},
    )
    assert dead_letters["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert dead_letters["Threshold"] == 1
    assert dead_letters["EvaluationPeriods"] == 1

    errors = _alarm(every_template, "error-rate")
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


@pytest.mark.parametrize(
    ("alarm", "topic"),
    [
        ("queue-depth", "warning"),
        ("error-rate", "page"),
        ("dead-letters", "page"),
        ("oldest-message", "warning"),
        ("oldest-message-hours", "page"),
        ("quarantined", "warning"),
        ("retried", "warning"),
        ("throttles", "warning"),
        ("undelivered", "page"),
        ("delivery-dead-lettered", "warning"),
        ("delivery-lost", "page"),
        ("unmatched", "warning"),
        ("unmatched-lost", "page"),
        ("slow-processor", "warning"),
        ("concurrency", "warning"),
        ("table-throttled", "warning"),
        ("index-throttled", "warning"),
        ("table-errors", "warning"),
        ("latency", "warning"),
    ],
)
def test_alarm_tells_the_right_people(every_template: Template, alarm: str, topic: str) -> None:
    properties = _alarm(every_template, alarm)
    told = [_topic(every_template, topic)]
    assert properties["AlarmActions"] == told
    assert properties["OKActions"] == told
    assert properties.get("ActionsEnabled", True)


@pytest.mark.parametrize(
    ("alarm", "topic"),
    [("dead-letters-old", "page"), ("dead-letters-new", "page"), ("dead-letters-daily", "warning")],
)
def test_alarm_whose_end_is_no_news_tells_its_begin_only(
    every_template: Template, alarm: str, topic: str
) -> None:
    """Dead letters that expire end it, too: an "OK" would be taken for an all-clear."""
    properties = _alarm(every_template, alarm)
    assert properties["AlarmActions"] == [_topic(every_template, topic)]
    assert "OKActions" not in properties


def test_every_alarm_explains_itself_and_takes_silence_for_health(every_template: Template) -> None:
    alarms = list(every_template.of_type("AWS::CloudWatch::Alarm"))
    stage = STAGES[every_template.environment]
    guards = [] if stage.canary_minutes is None else guard_specs(stage, "7")
    assert len(alarms) == len(alarm_specs(stage)) + len(guards)
    for logical_id, alarm in alarms:
        assert alarm["AlarmActions"], logical_id
        assert alarm["TreatMissingData"] == "notBreaching", logical_id
        name = text(alarm["AlarmName"]).removeprefix(f"shipmentevents-{every_template.environment}-")
        # The number of a version is only known once it is published.
        name = name.partition("-${")[0]
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


def test_main_queue_pages_long_before_its_events_expire(every_template: Template) -> None:
    alarm = _alarm(every_template, "oldest-message-hours")
    queue = every_template.properties(
        "AWS::SQS::Queue", QueueName=f"shipmentevents-queue-{every_template.environment}"
    )
    assert _watches(alarm) == ("ApproximateAgeOfOldestMessage", {"QueueName": queue["QueueName"]})
    assert alarm["Threshold"] == 3600
    assert alarm["Threshold"] <= queue["MessageRetentionPeriod"] / 2


def test_oldest_dead_letter_pages_days_before_it_expires(every_template: Template) -> None:
    """A letter expires by its first send time, which may be the whole retention of the queue ago.

    It is no older, in the dead-letter queue, than that queue has been in use: so the alarm is on before.
    """
    alarm = _alarm(every_template, "dead-letters-old")
    kept = [
        every_template.properties("AWS::SQS::Queue", QueueName=f"{name}-{every_template.environment}")[
            "MessageRetentionPeriod"
        ]
        for name in ("shipmentevents-dlq", "shipmentevents-queue")
    ]
    (period,) = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}
    looked_back = period * alarm["EvaluationPeriods"]
    assert alarm["EvaluationPeriods"] == alarm["DatapointsToAlarm"]
    assert looked_back <= kept[0] - kept[1] - 2 * 86_400
    # CloudWatch refuses more: 7 days, and a day where a period is shorter than an hour.
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    assert period >= 3600
    assert looked_back <= 7 * 86_400


def test_reading_dead_letters_blinds_no_alarm_on_old_ones(every_template: Template) -> None:
    """SQS leaves what was received three times out of the age, and what is being read out of the visible.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    """
    for name in ("dead-letters-old", "dead-letters-daily"):
        alarm = _alarm(every_template, name)
        watched = {metric: dimensions for _, metric, dimensions in _alarm_metrics(alarm)}
        dead_letters = {"QueueName": f"shipmentevents-dlq-{every_template.environment}"}
        assert watched == {
            "ApproximateNumberOfMessagesVisible": dead_letters,
            "ApproximateNumberOfMessagesNotVisible": dead_letters,
        }
        (expression,) = (each["Expression"] for each in alarm["Metrics"] if "Expression" in each)
        assert "waiting + in_work" in expression
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert _values(every_template, "dead-letters-old", waiting=[0, 3, 0, 0], in_work=[None, None, 3, 0]) == [
        0, 3, 3, 0,
    ]  # fmt: skip


def test_dead_letters_that_wait_are_told_once_a_day(every_template: Template) -> None:
    """An alarm notifies when it changes: one that stays on says nothing of letters that came later."""
    hours = _values(every_template, "dead-letters-daily", waiting=[2] * 48, in_work=[None] * 48)
    assert [hour for hour, value in enumerate(hours) if value] == [8, 32]
    assert not any(_values(every_template, "dead-letters-daily", waiting=[0] * 48, in_work=[0] * 48))


def test_new_dead_letters_are_told_while_old_ones_wait(every_template: Template) -> None:
    alarm = _alarm(every_template, "dead-letters-new")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert alarm["DatapointsToAlarm"] == 1
    # Of the first letter the alarm dead-letters tells; the queue has no metrics while it is asleep.
    waiting: Series = [None, 0, 5, 5, 7, 3, 3, 4]
    asleep: Series = [None] * 8
    found = _values(every_template, "dead-letters-new", waiting=waiting, in_work=asleep)
    assert [index for index, value in enumerate(found) if value and value >= 1] == [4, 7]


def test_dead_letters_that_come_back_from_a_reader_are_not_new(every_template: Template) -> None:
    waiting: Series = [5, 5, 0, 5, 5]
    in_work: Series = [None, 5, 5, 5, None]
    found = _values(every_template, "dead-letters-new", waiting=waiting, in_work=in_work)
    assert not [value for value in found if value and value >= 1]


def _topic(template: Template, urgency: str) -> Any:
    return template.ref("AWS::SNS::Topic", TopicName=f"shipmentevents-{template.environment}-{urgency}")


def _spec_names(settings: StageSettings) -> list[str]:
    return [spec.name for spec in alarm_specs(settings)]


def test_only_what_needs_metric_math_has_it(template: Template) -> None:
    """CDK turns a label into metric math, which costs more and which the local engine cannot evaluate."""
    with_math = [
        alarm["AlarmName"].removeprefix("shipmentevents-dev-")
        for _, alarm in template.of_type("AWS::CloudWatch::Alarm")
        if "Metrics" in alarm
    ]
    assert sorted(with_math) == ["dead-letters-daily", "dead-letters-new", "dead-letters-old", "error-rate"]


def test_every_alarm_watches_what_something_reports(every_template: Template, emitted: set[Emitted]) -> None:
    for logical_id, alarm in every_template.of_type("AWS::CloudWatch::Alarm"):
        metrics = list(_alarm_metrics(alarm))
        assert metrics, logical_id
        for namespace, name, dimensions in metrics:
            _assert_reported(every_template, emitted, namespace, name, dimensions)


def test_every_graph_shows_what_something_reports(every_template: Template, emitted: set[Emitted]) -> None:
    metrics = list(_dashboard_metrics(every_template))
    assert metrics
    for namespace, name, dimensions in metrics:
        _assert_reported(every_template, emitted, namespace, name, dimensions)


def test_processor_reports_nothing_that_nobody_watches(
    templates: Mapping[str, Template], emitted: set[Emitted]
) -> None:
    prod = templates["prod"]
    alarmed = (each for _, alarm in prod.of_type("AWS::CloudWatch::Alarm") for each in _alarm_metrics(alarm))
    watched = {
        (tuple(sorted(dimensions)), name)
        for namespace, name, dimensions in (*_dashboard_metrics(prod), *alarmed)
        if namespace == "ShipmentEvents"
    }
    assert watched == emitted


def test_dashboard_shows_every_part(template: Template) -> None:
    shown = {
        (namespace, dimensions.get("QueueName"), name)
        for namespace, name, dimensions in _dashboard_metrics(template)
    }
    queue, dead_letters = "shipmentevents-queue-dev", "shipmentevents-dlq-dev"
    assert shown >= {
        ("AWS/SQS", queue, "ApproximateNumberOfMessagesVisible"),
        ("AWS/SQS", queue, "ApproximateAgeOfOldestMessage"),
        ("AWS/SQS", queue, "NumberOfMessagesSent"),
        ("AWS/SQS", queue, "NumberOfMessagesDeleted"),
        ("AWS/SQS", dead_letters, "ApproximateNumberOfMessagesVisible"),
        ("AWS/Lambda", None, "Invocations"),
        ("AWS/Lambda", None, "Errors"),
        ("AWS/Lambda", None, "Duration"),
        ("AWS/Lambda", None, "Throttles"),
        ("AWS/DynamoDB", None, "ConsumedWriteCapacityUnits"),
        ("AWS/DynamoDB", None, "ConsumedReadCapacityUnits"),
        ("AWS/DynamoDB", None, "WriteThrottleEvents"),
        ("AWS/DynamoDB", None, "SystemErrors"),
    }


def test_first_row_answers_the_three_questions(every_template: Template) -> None:
    widgets = _dashboard(every_template)["widgets"]
    top = sorted((each for each in widgets if each["y"] == 0), key=lambda each: int(each["x"]))
    assert [each["properties"]["title"] for each in top] == [
        "Is it healthy?",
        "How far behind?",
        "What fails?",
    ]
    assert len(top[0]["properties"]["alarms"]) == len(list(every_template.of_type("AWS::CloudWatch::Alarm")))


def test_every_row_fills_the_width(template: Template) -> None:
    rows: dict[int, int] = {}
    for widget in _dashboard(template)["widgets"]:
        rows[widget["y"]] = rows.get(widget["y"], 0) + widget["width"]
    assert set(rows.values()) == {24}


def _alarm(template: Template, name: str) -> dict[str, Any]:
    return template.properties(
        "AWS::CloudWatch::Alarm", AlarmName=f"shipmentevents-{template.environment}-{name}"
    )


def _values(template: Template, alarm: str, **metrics: Series) -> Series:
    """Values of the alarm's expression for values of its metrics."""
    (expression,) = (
        each["Expression"] for each in _alarm(template, alarm)["Metrics"] if "Expression" in each
    )
    return evaluate(expression, metrics)


def _watches(alarm: dict[str, Any]) -> tuple[str, dict[str, str]]:
    return alarm["MetricName"], _dimensions(alarm["Dimensions"])


def _dimensions(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in pairs}


def _alarm_metrics(alarm: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    stats = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each]
    for metric in stats or [alarm]:
        yield metric["Namespace"], metric["MetricName"], _dimensions(metric["Dimensions"])


def _dashboard(template: Template) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        text(template.properties("AWS::CloudWatch::Dashboard")["DashboardBody"])
    )
    return body


def _dashboard_metrics(template: Template) -> Iterator[tuple[str, str, dict[str, str]]]:
    for widget in _dashboard(template)["widgets"]:
        for namespace, name, *rest in (
            each for each in widget["properties"].get("metrics", ()) if isinstance(each[0], str)
        ):
            pairs = [each for each in rest if isinstance(each, str)]
            yield namespace, name, dict(zip(pairs[::2], pairs[1::2], strict=True))


def _assert_reported(
    template: Template, emitted: set[Emitted], namespace: str, name: str, dimensions: dict[str, str]
) -> None:
    if namespace == "ShipmentEvents":
        assert (tuple(sorted(dimensions)), name) in emitted
        assert dimensions["Environment"] == template.environment
        return
    assert name in REPORTED[(namespace, *sorted(dimensions))]
    names = {
        "QueueName": ("AWS::SQS::Queue", "QueueName"),
        "FunctionName": ("AWS::Lambda::Function", "FunctionName"),
        "EventBusName": ("AWS::Events::EventBus", "Name"),
        "RuleName": ("AWS::Events::Rule", "Name"),
        "TableName": ("AWS::DynamoDB::Table", "TableName"),
    }
    for dimension, (resource_type, attribute) in names.items():
        if dimension in dimensions:
            existing = {properties[attribute] for _, properties in template.of_type(resource_type)}
            assert dimensions[dimension] in existing
