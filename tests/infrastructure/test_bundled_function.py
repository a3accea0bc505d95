"""A further function: what its few lines give it, and what nobody can forget for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from aws_cdk import App
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources

from infrastructure.acknowledgements import ACKNOWLEDGEMENTS, EXECUTION_ROLE, FUNCTION, Accepted
from infrastructure.bundled_function import BundledFunction
from infrastructure.function_alarms import FunctionAlarms
from infrastructure.stack import ShipmentEventsStack
from infrastructure.validation import accept_findings, enforce_rules
from shipment_events.stages import settings_for
from tests.infrastructure.template import Template, permissions, text
from tests.infrastructure.watched import unwatched

NAME: Final = "shipment-follower-dev"
STREAM_RULES: Final = ("StreamFailures", "StreamRetries", "StreamBisect", "StreamLagAlarm")


class Follower(BundledFunction):
    """A throw-away function that reads the stream of the table."""

    def __init__(self, stack: ShipmentEventsStack) -> None:
        table = stack.storage.table
        super().__init__(
            stack,
            "Following",
            settings=stack.settings,
            key=stack.key,
            name=NAME,
            called="follower",
            description="Follows the table",
            handler="table.store.handler",
            rooms=("contract", "table"),
            statements=[
                iam.PolicyStatement(
                    actions=["dynamodb:GetRecords"], resources=[str(table.table_stream_arn)], sid="ReadStream"
                )
            ],
            environment={"ENVIRONMENT": stack.settings.environment},
            memory_mb=256,
            timeout_seconds=30,
        )
        start = lambda_.StartingPosition.TRIM_HORIZON
        self.alias.add_event_source(event_sources.DynamoEventSource(table, starting_position=start))
        alarms = FunctionAlarms(stack.settings, NAME, timeout_seconds=30)
        stack.monitoring.add_alarm(
            alarms.error_rate("follower-errors", meaning="It fails.", look_at="its log.")
        )


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Template of a stage with the throw-away function. A finding that nobody accepted ends the synthesis."""
    folder = tmp_path_factory.mktemp("followed")
    app = App(outdir=str(folder), analytics_reporting=False)
    # A stage without tracking, so that the throw-away function is the only one that follows the table.
    stack = ShipmentEventsStack(app, settings=replace(settings_for("dev"), tracking=False))
    Follower(stack)
    stream = [f"LossModes::{name}" for name in (*STREAM_RULES, "PartialBatchResponse")]
    rows = {
        "Following/Role": EXECUTION_ROLE,
        "Following/Function": FUNCTION,
        "Following/Live": (Accepted(tuple(stream), "It is never deployed, so it loses no record."),),
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
    stream = followed.logical_id("AWS::DynamoDB::Table")
    assert permissions(role) == {
        ("dynamodb:GetRecords", f"${{{stream}.StreamArn}}"),
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


def test_its_event_source_invokes_its_alias(followed: Template) -> None:
    function = followed.ref("AWS::Lambda::Function", FunctionName=NAME)
    aliases = dict(followed.of_type("AWS::Lambda::Alias"))
    (alias,) = (name for name, alias in aliases.items() if alias["FunctionName"] == function)
    (source,) = (
        source
        for _, source in followed.of_type("AWS::Lambda::EventSourceMapping")
        if "StreamArn" in str(source["EventSourceArn"])
    )
    assert alias in str(source["FunctionName"])


def test_one_without_a_row_in_alarms_and_dashboard_is_noticed(
    followed: Template, every_template: Template
) -> None:
    assert unwatched(every_template) == {}
    graphs = {"graph of Invocations", "graph of Errors", "graph of Throttles", "graph of Duration"}
    assert unwatched(followed) == {NAME: {"alarm on Throttles", "alarm on Duration", *graphs}}


def test_its_alarms_are_made_by_its_name(followed: Template) -> None:
    alarm = followed.properties("AWS::CloudWatch::Alarm", AlarmName="shipmentevents-dev-follower-errors")
    watched: list[dict[str, Any]] = [each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each]
    assert {each["Metric"]["Dimensions"][0]["Value"] for each in watched} == {NAME}
