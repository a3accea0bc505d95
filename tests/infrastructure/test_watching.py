"""The watcher of a stage that tracks shipments: when it runs, its input, and what reports its silence."""

import json
from datetime import timedelta

from shipment_events.stages import settings_for
from shipment_events.tracking.watcher_settings import WatcherSettings
from tests.infrastructure.template import TRACKER, WATCHER, Template, text
from tests.infrastructure.watched import alarm_named, watches


def test_schedule_invokes_the_watcher_with_its_time(every_template: Template) -> None:
    schedule = every_template.properties("AWS::Scheduler::Schedule")
    assert schedule["Name"] == f"{WATCHER}-{every_template.environment}"
    assert schedule["ScheduleExpression"] == "rate(15 minutes)"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert "State" not in schedule
    target = schedule["Target"]
    assert target["Arn"] == every_template.ref("AWS::Lambda::Alias", of=WATCHER)
    assert json.loads(target["Input"]) == {"time": "<aws.scheduler.scheduled-time>"}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 900}


def test_archive_is_there_before_the_first_run(every_template: Template) -> None:
    archive = every_template.logical_id(
        "AWS::Events::Archive", ArchiveName=f"shipmentstatus-archive-{every_template.environment}"
    )
    schedule = every_template.resources[every_template.logical_id("AWS::Scheduler::Schedule")]
    assert archive in schedule["DependsOn"]


def test_watcher_runs_as_the_tracker_does(every_template: Template) -> None:
    tracker, watcher = (
        every_template.properties("AWS::Lambda::Function", of=name) for name in (TRACKER, WATCHER)
    )
    assert {name for name in tracker if tracker[name] != watcher[name]} == {
        "Code", "Description", "Environment", "FunctionName", "Handler", "LoggingConfig", "Role", "Timeout",
    }  # fmt: skip
    assert watcher["Handler"] == "shipment_events.tracking.watcher_handler.handler"


def test_a_run_ends_before_the_next_one(every_template: Template) -> None:
    settings = settings_for(every_template.environment)
    assert every_template.properties("AWS::Lambda::Function", of=WATCHER)["Timeout"] < (
        settings.watcher_minutes * 60
    )


def test_watcher_understands_its_environment(template: Template) -> None:
    variables = template.properties("AWS::Lambda::Function", of=WATCHER)["Environment"]["Variables"]
    named = {name: text(value) for name, value in variables.items()}
    assert WatcherSettings.from_environment(named) == WatcherSettings(
        environment="dev",
        shipments_table_name=text(template.ref("AWS::DynamoDB::Table", TableName="shipments-dev")),
        status_bus_name=text(template.ref("AWS::Events::EventBus", Name="shipmentstatus-dev")),
        retention=timedelta(days=90),
        stalled_after_hours=48,
    )


def test_silence_of_an_hour_is_an_alarm(every_template: Template) -> None:
    """A run without open shipments logs a zero, so only a missing run has no value."""
    alarm = alarm_named(every_template, "watcher-silent")
    assert watches(alarm) == ("OpenShipments", {"Environment": every_template.environment})
    assert (alarm["Statistic"], alarm["ComparisonOperator"]) == ("SampleCount", "LessThanThreshold")
    assert alarm["Threshold"] == 1
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 3600
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]


def test_a_failure_that_lambda_repairs_is_no_alarm(every_template: Template) -> None:
    """Lambda invokes a failed run twice again, within minutes."""
    alarm = alarm_named(every_template, "watcher-errors")
    assert watches(alarm)[0] == "Errors"
    assert (alarm["Threshold"], alarm["Period"]) == (2, 900)
