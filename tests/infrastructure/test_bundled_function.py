"""A further function of the stream: what its few lines give it, and what nobody can forget for it."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from aws_cdk import App
from constructs import Construct

from infrastructure.acknowledgements import ACKNOWLEDGEMENTS, STREAM_FAILURES, STREAM_FUNCTION, STREAM_ROLE
from infrastructure.alarm_spec import AlarmSpec
from infrastructure.bundled_function import BundledFunction
from infrastructure.function_alarms import FunctionAlarms
from infrastructure.stack import ShipmentEventsStack
from infrastructure.stream_alarms import StreamAlarms
from infrastructure.stream_source import StreamSource
from infrastructure.validation import accept_findings, enforce_rules
from shipment_events.stages import StageSettings, settings_for
from tests.infrastructure.template import Template, permissions, text
from tests.infrastructure.test_permissions import STREAM_ACTIONS
from tests.infrastructure.watched import alarm_metrics, alarm_named, unwatched

NAME: Final = "shipment-follower-dev"
FAILURES: Final = "shipmentfollower-failures-dev"


class Following(Construct):
    """A throw-away function that follows the stream of the table, and the queue of its failures."""

    def __init__(self, stack: ShipmentEventsStack) -> None:
        super().__init__(stack, "Following")
        stream = StreamSource(
            self,
            settings=stack.settings,
            events=stack.storage.table,
            failures_name=FAILURES,
            failures_retention_days=7,
        )
        Follower(self, stack, stream)


class Follower(BundledFunction):
    """The function. Some of its alarms and all of its graphs are forgotten."""

    def __init__(self, scope: Construct, stack: ShipmentEventsStack, stream: StreamSource) -> None:
        super().__init__(
            scope,
            "Follower",
            settings=stack.settings,
            key=stack.key,
            name=NAME,
            called="follower",
            description="Follows the table",
            handler="table.store.handler",
            rooms=("contract", "table"),
            statements=stream.permissions([]),
            environment={"ENVIRONMENT": stack.settings.environment},
            memory_mb=256,
            timeout_seconds=30,
        )
        stream.connect(self, batch_size=10, retry_attempts=5, max_age_hours=2)
        for spec in _follower_alarms(stack.settings):
            stack.monitoring.add_alarm(spec)


def _follower_alarms(settings: StageSettings) -> list[AlarmSpec]:
    function = FunctionAlarms(settings, NAME, timeout_seconds=30)
    stream = StreamAlarms(settings=settings, called="follower", function_name=NAME, failures_name=FAILURES)
    lost, log = "It gave up.", "its log."
    return [
        function.error_rate("follower-errors", meaning="It fails.", look_at=log),
        stream.failures("follower-failures", threshold=1, meaning=lost, look_at=log),
        stream.failures_old("follower-failures-old", days=3, retention_days=7, look_at=log),
        stream.long_lag("follower-lag", seconds=600, max_age_hours=2, meaning="It is late.", look_at=log),
        stream.stopped("follower-stopped", done="Followed", periods=2, meaning="It stopped.", look_at=log),
    ]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Template of a stage with the throw-away function. A finding that nobody accepted ends the synthesis.

    No way to lose an event is accepted for it beyond those of the tracker.
    """
    folder = tmp_path_factory.mktemp("followed")
    app = App(outdir=str(folder), analytics_reporting=False)
    # A stage without tracking, so that the throw-away function is the only one that follows the table.
    stack = ShipmentEventsStack(app, settings=replace(settings_for("dev"), tracking=False))
    Following(stack)
    rows = {
        "Following/Failures": STREAM_FAILURES,
        "Following/Follower/Role": STREAM_ROLE,
        "Following/Follower/Function": STREAM_FUNCTION,
    }
    accept_findings(stack, stack.settings, {**ACKNOWLEDGEMENTS, **rows})
    enforce_rules(app)
    app.synth()
    return Template(folder, "dev")


def test_it_runs_as_the_processor_does(followed: Template) -> None:
    processor = followed.properties("AWS::Lambda::Function", FunctionName="shipment-event-processor-dev")
    follower = followed.properties("AWS::Lambda::Function", FunctionName=NAME)
    assert {name for name in processor if follower[name] != processor[name]} == {
        "Code", "Description", "Environment", "FunctionName", "Handler", "LoggingConfig", "MemorySize",
        "Role", "Timeout",
    }  # fmt: skip
    logging = {name: value for name, value in follower["LoggingConfig"].items() if name != "LogGroup"}
    assert logging.items() <= processor["LoggingConfig"].items()


def test_its_role_allows_its_calls_and_its_own_log_and_nothing_else(followed: Template) -> None:
    role = followed.properties("AWS::IAM::Role", Description="Exactly what the shipment event follower calls")
    log = text(followed.arn("AWS::Logs::LogGroup", LogGroupName=f"/aws/lambda/{NAME}"))
    table = followed.logical_id("AWS::DynamoDB::Table")
    assert permissions(role) == {
        *((f"dynamodb:{action}", f"${{{table}.StreamArn}}") for action in STREAM_ACTIONS),
        ("dynamodb:ListStreams", f"${{{table}.Arn}}/stream/*"),
        ("sqs:SendMessage", text(followed.arn("AWS::SQS::Queue", QueueName=FAILURES))),
        ("logs:CreateLogStream", log),
        ("logs:PutLogEvents", log),
        ("xray:PutTraceSegments", "*"),
        ("xray:PutTelemetryRecords", "*"),
    }
    assert not followed.types() & {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}


def test_its_log_may_use_the_key(followed: Template) -> None:
    """Otherwise CloudWatch Logs refuses to create the log group."""
    statements = followed.properties("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    (allowed,) = (each["Condition"]["ArnEquals"] for each in statements if each.get("Sid") == "AllowLogs")
    (arns,) = allowed.values()
    assert {text(arn).rpartition("/")[2] for arn in arns} == {"shipment-event-processor-dev", NAME}


def test_its_bundle_has_its_rooms_alone(followed: Template) -> None:
    key = followed.properties("AWS::Lambda::Function", FunctionName=NAME)["Code"]["S3Key"]
    bundle = followed.folder / f"asset.{Path(key).stem}" / "shipment_events"
    assert {path.name for path in bundle.iterdir() if path.is_dir()} == {"contract", "table"}


def test_its_event_source_is_its_own(followed: Template) -> None:
    function = followed.ref("AWS::Lambda::Function", FunctionName=NAME)
    aliases = dict(followed.of_type("AWS::Lambda::Alias"))
    (alias,) = (name for name, alias in aliases.items() if alias["FunctionName"] == function)
    (source,) = (
        source
        for _, source in followed.of_type("AWS::Lambda::EventSourceMapping")
        if "StreamArn" in str(source["EventSourceArn"])
    )
    assert source["FunctionName"] == {"Ref": alias}
    assert source["DestinationConfig"]["OnFailure"]["Destination"] == followed.arn(
        "AWS::SQS::Queue", QueueName=FAILURES
    )
    assert (source["BatchSize"], source["MaximumRetryAttempts"]) == (10, 5)
    assert source["MaximumRecordAgeInSeconds"] == 2 * 3600


def test_one_without_a_row_in_alarms_and_dashboard_is_noticed(
    followed: Template, every_template: Template
) -> None:
    assert unwatched(every_template) == {}
    graphs = {"graph of Invocations", "graph of Errors", "graph of Throttles", "graph of Duration"}
    assert unwatched(followed) == {NAME: {"alarm on Throttles", "alarm on Duration", *graphs}}


def test_its_alarms_are_made_by_its_names(followed: Template) -> None:
    watched = {
        alarm: {(metric, *(each.values())) for _, metric, each in alarm_metrics(alarm_named(followed, alarm))}
        for alarm in ("follower-errors", "follower-failures-old", "follower-lag", "follower-stopped")
    }
    assert watched == {
        "follower-errors": {("Errors", NAME), ("Invocations", NAME)},
        "follower-failures-old": {
            ("ApproximateNumberOfMessagesVisible", FAILURES),
            ("ApproximateNumberOfMessagesNotVisible", FAILURES),
        },
        "follower-lag": {("IteratorAge", NAME)},
        "follower-stopped": {("Followed", "dev"), ("Stored", "dev")},
    }


def test_its_alarms_end_with_what_is_so_of_every_stream(followed: Template) -> None:
    described = {
        name: text(alarm_named(followed, name)["AlarmDescription"]).partition(" Look at:")[0]
        for name in ("follower-failures-old", "follower-lag", "follower-stopped")
    }
    assert described == {
        "follower-failures-old": "The queue of the follower's failures was not empty for 3 days. SQS deletes "
        "a failure after 7 days.",
        "follower-lag": "It is late. Lambda gives up on records after 2 hours.",
        "follower-stopped": "It stopped. The stream deletes a record after a day.",
    }
