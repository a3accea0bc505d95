"""Alarms that reach somebody and watch something that exists, and a dashboard that shows the rest."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest

from shipment_events.api.telemetry import report_request
from shipment_events.contract.outcome import Outcome
from shipment_events.processor.telemetry import report_batch
from shipment_events.tracking.batch import Tracking
from shipment_events.tracking.records import StreamRecord, read_record
from shipment_events.tracking.telemetry import report_batch as report_tracked
from shipment_events.tracking.watcher import Watch
from tests.infrastructure.log_filters import Measured, measured
from tests.infrastructure.template import API, FUNCTIONS, PROCESSOR, TRACKER, WATCHER, Template
from tests.infrastructure.watched import alarm_metrics, dashboard_metrics
from tests.processor.outcomes import settled_as
from tests.tracking.histories import NOON, stored
from tests.tracking.services import World
from tests.tracking.test_watcher_handler import run_watcher

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
        "IteratorAge",
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


def _tracked(capsys: pytest.CaptureFixture[str]) -> str:
    """What the tracker really prints for a batch whose one event gave two changes, half a second later."""
    record = World().store(stored(NOON, "p", "shipment.picked_up"), "S-1")
    read = read_record(record)
    assert isinstance(read, StreamRecord)
    settled_at = datetime.fromisoformat(read.news.stored_at) + timedelta(milliseconds=500)
    tracking = Tracking(folded=[read], announced=2, unsettled=[("7", "Throttled")], settled_at=settled_at)
    report_tracked(tracking, "dev", "request", "7")
    return capsys.readouterr().out.splitlines()[-1]


def _emitted(template: Template, lines: list[str], function: str = PROCESSOR) -> set[Emitted]:
    """Metrics that the filters of the stack make of these lines of a function."""
    return {
        (tuple(name for name, _ in each.dimensions), each.name)
        for line in lines
        for each in measured(template, line, function)
    }


def _watched(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the watcher really prints for a run that looked at three shipments and announced two delays."""
    run_watcher(monkeypatch, Watch(looked_at=3, announced=2))
    return capsys.readouterr().out.splitlines()[-1]


def _answered(capsys: pytest.CaptureFixture[str]) -> str:
    """What the API really prints for a request that was not modified."""
    status = HTTPStatus.NOT_MODIFIED
    report_request("GET /events", status, 12, environment="dev", request_id="request", version="7")
    return capsys.readouterr().out


@pytest.fixture
def emitted(
    template: Template, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> set[Emitted]:
    """Metrics of each function, of the processor for a batch in which every outcome occurred."""
    of_processor = _emitted(template, _lines(capsys, *Outcome))
    of_watcher = _emitted(template, [_watched(monkeypatch, capsys)], WATCHER)
    of_api = _emitted(template, [_answered(capsys)], API)
    return of_processor | _emitted(template, [_tracked(capsys)], TRACKER) | of_watcher | of_api


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


def test_log_of_the_tracker_becomes_metrics(
    every_template: Template, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = (("Environment", "dev"),)
    assert measured(every_template, _tracked(capsys), TRACKER) == [
        Measured("ChangesAnnounced", stage, 2, "Count"),
        Measured("Folded", stage, 1, "Count"),
        Measured("StoredToState", stage, 500, "Milliseconds"),
        Measured("Unsettled", stage, 1, "Count"),
    ]


def test_log_of_the_watcher_becomes_metrics(
    every_template: Template, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = (("Environment", "dev"),)
    assert measured(every_template, _watched(monkeypatch, capsys), WATCHER) == [
        Measured("DelaysAnnounced", stage, 2, "Count"),
        Measured("OpenShipments", stage, 3, "Count"),
    ]


def test_log_of_the_api_becomes_metrics(every_template: Template, capsys: pytest.CaptureFixture[str]) -> None:
    stage = (("Environment", "dev"),)
    assert measured(every_template, _answered(capsys), API) == [
        Measured("ApiDuration", stage, 12, "Milliseconds"),
        Measured("ApiFailed", stage, 0, "Count"),
        Measured("ApiNotModified", stage, 1, "Count"),
        Measured("ApiRefused", stage, 0, "Count"),
        Measured("ApiRequests", stage, 1, "Count"),
    ]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_filters_read_the_log_of_the_function_and_are_there_before_its_first_line(
    every_template: Template, function: str
) -> None:
    """Filters do not look back."""
    log = every_template.ref("AWS::Logs::LogGroup", of=function)
    filters = {
        logical_id
        for logical_id, each in every_template.of_type("AWS::Logs::MetricFilter")
        if each["LogGroupName"] == log
    }
    assert filters
    # "Metric filters are supported only for log groups in the Standard log class":
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html
    assert every_template.properties("AWS::Logs::LogGroup", of=function)["LogGroupClass"] == "STANDARD"
    logical_id = every_template.logical_id("AWS::Lambda::Function", of=function)
    assert filters <= set(every_template.resources[logical_id]["DependsOn"])


def test_good_batch_has_a_value_for_every_alarm(
    template: Template, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An alarm whose metric is silent looks back at older values, and ends late."""
    watched = {
        (tuple(sorted(dimensions)), name)
        for _, alarm in template.of_type("AWS::CloudWatch::Alarm")
        for namespace, name, dimensions in alarm_metrics(alarm)
        if namespace == "ShipmentEvents"
    }
    of_processor = _emitted(template, _lines(capsys, Outcome.STORED))
    of_tracker = _emitted(template, [_tracked(capsys)], TRACKER)
    of_watcher = _emitted(template, [_watched(monkeypatch, capsys)], WATCHER)
    assert {name for _, name in watched & of_processor} == {
        "Quarantined",
        "Retried",
        "EventToStored",
        "Stored",
    }
    assert {name for _, name in watched & of_tracker} == {"Folded", "Unsettled"}
    assert {name for _, name in watched & of_watcher} == {"OpenShipments"}
    of_api = _emitted(template, [_answered(capsys)], API)
    assert {name for _, name in watched & of_api} == {"ApiFailed"}
    assert watched <= of_processor | of_tracker | of_watcher | of_api


def test_every_alarm_watches_what_something_reports(every_template: Template, emitted: set[Emitted]) -> None:
    for logical_id, alarm in every_template.of_type("AWS::CloudWatch::Alarm"):
        metrics = list(alarm_metrics(alarm))
        assert metrics, logical_id
        for namespace, name, dimensions in metrics:
            _assert_reported(every_template, emitted, namespace, name, dimensions)


def test_every_graph_shows_what_something_reports(every_template: Template, emitted: set[Emitted]) -> None:
    metrics = list(dashboard_metrics(every_template))
    assert metrics
    for namespace, name, dimensions in metrics:
        _assert_reported(every_template, emitted, namespace, name, dimensions)


def test_functions_report_nothing_that_nobody_watches(
    templates: Mapping[str, Template], emitted: set[Emitted]
) -> None:
    prod = templates["prod"]
    alarmed = (each for _, alarm in prod.of_type("AWS::CloudWatch::Alarm") for each in alarm_metrics(alarm))
    watched = {
        (tuple(sorted(dimensions)), name)
        for namespace, name, dimensions in (*dashboard_metrics(prod), *alarmed)
        if namespace == "ShipmentEvents"
    }
    assert watched == emitted


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
