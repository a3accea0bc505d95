"""What a stage that tracks shipments has, spelled out, and what one without tracking lacks."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from infrastructure.alarms import alarm_specs
from shipment_events.stages import StageSettings, settings_for
from shipment_events.table.item import StoredEvent
from shipment_events.tracking.item import tracked_item
from shipment_events.tracking.settings import TrackerSettings
from tests.infrastructure.metric_math import Series, states
from tests.infrastructure.template import PROCESSOR, TRACKER, Template, text
from tests.infrastructure.watched import alarm_named, dashboard, watches
from tests.tracking.histories import NOON, stored
from tests.tracking.small_tracker import SmallTracker

STREAM: Final = "AWS::Lambda::EventSourceMapping"
OWN_ATTRIBUTES: Final = {"memory", "version", "expires_at"}


def shipments_table(template: Template) -> dict[str, Any]:
    return template.properties("AWS::DynamoDB::Table", TableName=f"shipments-{template.environment}")


def failures(template: Template) -> dict[str, list[str]]:
    return template.arn("AWS::SQS::Queue", QueueName=f"shipmenttracker-failures-{template.environment}")


def test_table_of_shipments(every_template: Template) -> None:
    table = shipments_table(every_template)
    assert table["KeySchema"] == [{"AttributeName": "shipment_id", "KeyType": "HASH"}]
    assert {each["AttributeType"] for each in table["AttributeDefinitions"]} == {"S"}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TableClass"] == "STANDARD"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    keys = {
        index["IndexName"]: [each["AttributeName"] for each in index["KeySchema"]]
        for index in table["GlobalSecondaryIndexes"]
    }
    assert keys == {
        "status-latest-index": ["status", "latest_at"],
        "tracking-number-index": ["tracking_number", "latest_at"],
        "open-latest-index": ["open", "latest_at"],
    }


def test_indexes_have_all_that_a_reader_shows_and_not_the_memory(template: Template) -> None:
    """From an item that the tracker really writes, so that a new attribute cannot be forgotten."""
    tracker = SmallTracker()
    fields: dict[str, Any] = {
        "carrier": "DHL",
        "tracking_number": "T",
        "estimated_delivery": "2026-03-02T12:00:00Z",
        "location": {"city": "Łódź"},
    }
    event: StoredEvent = stored(NOON, "d", "shipment.delivered", **fields)
    tracker.take([event], [event])
    delivered = tracked_item(tracker.tracked, timedelta(days=90))
    shown = {*delivered, "open"} - OWN_ATTRIBUTES
    table = shipments_table(template)
    for index in table["GlobalSecondaryIndexes"]:
        keys = {each["AttributeName"] for each in (*index["KeySchema"], *table["KeySchema"])}
        projected = set(index["Projection"]["NonKeyAttributes"])
        assert projected | keys | {"open"} == shown
        # DynamoDB may refuse a key among them.
        assert not projected & keys


def test_status_bus_and_its_archive(every_template: Template) -> None:
    environment = every_template.environment
    bus = every_template.arn("AWS::Events::EventBus", Name=f"shipmentstatus-{environment}")
    archive = every_template.properties(
        "AWS::Events::Archive", ArchiveName=f"shipmentstatus-archive-{environment}"
    )
    assert archive["SourceArn"] == bus
    assert archive["RetentionDays"] == 7
    assert "EventPattern" not in archive


def test_archive_is_there_before_the_first_change(every_template: Template) -> None:
    archive = every_template.logical_id(
        "AWS::Events::Archive", ArchiveName=f"shipmentstatus-archive-{every_template.environment}"
    )
    source = every_template.resources[every_template.logical_id(STREAM, of=TRACKER)]
    assert archive in source["DependsOn"]


def test_queue_of_failures(every_template: Template) -> None:
    queue = every_template.properties(
        "AWS::SQS::Queue", QueueName=f"shipmenttracker-failures-{every_template.environment}"
    )
    assert queue["MessageRetentionPeriod"] == 14 * 86_400


def test_tracker_runs_as_the_processor_does(every_template: Template) -> None:
    processor, tracker = (
        every_template.properties("AWS::Lambda::Function", of=name) for name in (PROCESSOR, TRACKER)
    )
    assert {name for name in processor if tracker[name] != processor[name]} == {
        "Code", "Description", "Environment", "FunctionName", "Handler", "LoggingConfig", "Role",
    }  # fmt: skip
    assert tracker["Handler"] == "shipment_events.tracking.handler.handler"
    assert (tracker["MemorySize"], tracker["Timeout"]) == (512, 60)


def test_tracker_understands_its_environment(template: Template) -> None:
    variables = template.properties("AWS::Lambda::Function", of=TRACKER)["Environment"]["Variables"]
    named = {name: text(value) for name, value in variables.items()}
    assert TrackerSettings.from_environment(named) == TrackerSettings(
        environment="dev",
        events_table_name=text(template.ref("AWS::DynamoDB::Table", **template.events_table)),
        shipments_table_name=text(template.ref("AWS::DynamoDB::Table", TableName="shipments-dev")),
        status_bus_name=text(template.ref("AWS::Events::EventBus", Name="shipmentstatus-dev")),
        failures_queue_url=text(template.ref("AWS::SQS::Queue", QueueName="shipmenttracker-failures-dev")),
        retention=timedelta(days=90),
    )


def test_event_source_of_the_stream(every_template: Template) -> None:
    # Tags are tested for all resources.
    found = every_template.properties(STREAM, of=TRACKER).items()
    source = {name: value for name, value in found if name != "Tags"}
    events = every_template.logical_id("AWS::DynamoDB::Table", **every_template.events_table)
    assert source == {
        "EventSourceArn": {"Fn::GetAtt": [events, "StreamArn"]},
        "FunctionName": every_template.ref("AWS::Lambda::Alias", of=TRACKER),
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 1000,
        "MaximumRecordAgeInSeconds": 6 * 3600,
        "FilterCriteria": {"Filters": [{"Pattern": json.dumps({"eventName": ["INSERT"]})}]},
        "DestinationConfig": {"OnFailure": {"Destination": failures(every_template)}},
    }


def test_a_new_version_of_the_tracker_replaces_the_old_one_at_once(every_template: Template) -> None:
    """With a canary, two versions would write the same states in turn."""
    alias = every_template.resources[every_template.logical_id("AWS::Lambda::Alias", of=TRACKER)]
    assert "UpdatePolicy" not in alias


def test_failures_page_at_the_first_and_before_they_expire(every_template: Template) -> None:
    queue = {"QueueName": f"shipmenttracker-failures-{every_template.environment}"}
    first = alarm_named(every_template, "tracker-failures")
    assert watches(first) == ("ApproximateNumberOfMessagesVisible", queue)
    assert (first["ComparisonOperator"], first["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    old = alarm_named(every_template, "tracker-failures-old")
    (period,) = {each["MetricStat"]["Period"] for each in old["Metrics"] if "MetricStat" in each}
    assert period * old["EvaluationPeriods"] == 5 * 86_400


def test_lag_pages_long_before_lambda_gives_up(every_template: Template) -> None:
    tracker = {"FunctionName": f"{TRACKER}-{every_template.environment}"}
    late, hours = (alarm_named(every_template, name) for name in ("tracker-lag", "tracker-lag-hours"))
    assert watches(late) == watches(hours) == ("IteratorAge", tracker)
    assert (late["Threshold"], hours["Threshold"]) == (60_000, 3_600_000)
    source = every_template.properties(STREAM, of=TRACKER)
    assert hours["Threshold"] / 1000 <= source["MaximumRecordAgeInSeconds"] / 2


NO: Final = None


@pytest.mark.parametrize(
    ("stored", "folded", "on"),
    [
        pytest.param([9, 9, 9, 9, NO], [9, 0, NO, NO, 3], "...!.", id="events all the time"),
        pytest.param([1, NO, 1, NO, 1, NO], [NO] * 6, "..!!!!", id="an event in every other period"),
        pytest.param([1, NO, NO, 1, NO, NO], [NO] * 6, "..!!!!", id="an event in every third period"),
        pytest.param([1, *[NO] * 6, 1, NO, NO], [NO] * 10, "..!!!....!", id="an event now and then"),
        pytest.param([9, NO, NO, 0], [NO, NO, NO, 0], "..!!", id="batches without a new event"),
        pytest.param([9, 9, 9, 9], [9, NO, NO, 9], "....", id="retried for two periods"),
        pytest.param([1, NO, 1, NO, 1, NO], [NO, 1, NO, 1, NO, 1], "......", id="folded a period later"),
        pytest.param([1, 1, 1, NO, 1, NO], [NO, 1, 1, 1, NO, 1], "......", id="each a period later"),
        pytest.param([NO, 0, NO, NO], [NO] * 4, "....", id="no events"),
    ],
)
def test_a_tracker_that_is_never_invoked_pages(
    template: Template, stored: Series, folded: Series, on: str
) -> None:
    """Without an invocation there is neither an age nor a line in the log."""
    found = states(alarm_named(template, "tracker-stopped"), stored=stored, folded=folded)
    assert found == [each == "!" for each in on]


@pytest.fixture(scope="module")
def untracked_settings() -> StageSettings:
    return replace(settings_for("dev"), tracking=False, alarm_emails=("oncall@example.org",))


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory, untracked_settings: StageSettings) -> Template:
    """Template of the stage ``dev`` without tracking. A finding that nobody accepted ends the synthesis."""
    from infrastructure.app import build_app

    folder: Path = tmp_path_factory.mktemp("untracked")
    build_app(untracked_settings, folder).synth()
    return Template(folder, "dev")


def test_a_stage_without_tracking_has_nothing_of_it(template: Template, untracked: Template) -> None:
    gone = template.resources.keys() - untracked.resources.keys()
    alarms = ("Tracker", "SlowTracker", "Watcher", "SlowWatcher", "Api", "SlowApi")
    of_tracking = ("Tracking", "Api", *(f"Monitoring{name}" for name in alarms))
    assert gone == {name for name in template.resources if name.startswith(of_tracking)}
    assert untracked.resources.keys() <= template.resources.keys()
    for part in ("tracker", "watcher", "shipments-dev", "shipmentstatus", "IteratorAge"):
        assert part not in json.dumps(untracked.body)
    assert template.body["Outputs"].keys() - untracked.body["Outputs"].keys() == {
        "ApiURL",
        "ShipmentsTableName",
        "StatusBusName",
    }


def test_nothing_else_changes_without_tracking(template: Template, untracked: Template) -> None:
    changed = {
        resource["Type"]
        for name, resource in untracked.resources.items()
        if resource["Properties"] != template.resources[name]["Properties"]
    }
    # The key names the log groups that may use it.
    assert changed == {"AWS::CloudWatch::Dashboard", "AWS::KMS::Key"}


def test_alarms_and_graphs_of_tracking_come_and_go_with_it(
    template: Template, untracked: Template, untracked_settings: StageSettings
) -> None:
    names = {spec.name for spec in alarm_specs(settings_for("dev"))}
    left = {spec.name for spec in alarm_specs(untracked_settings)}
    assert {name for name in names - left if not {"tracker", "watcher", "api"} & {*name.split("-")}} == set()
    titles = {
        one: {widget["properties"].get("title") for widget in dashboard(one)["widgets"]}
        for one in (template, untracked)
    }
    assert {title.partition(":")[0] for title in titles[template] - titles[untracked]} == {
        "API",
        "Tracker",
        "Watcher",
        "States",
        "Shipments",
    }
