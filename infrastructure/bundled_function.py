"""The parts that all our functions share: a log group, a role, the code, and an alias of the current version.

The construct of a function names what is its own: rooms of the package, permissions, variables. The rest is
the same for all of them, so that a further function cannot forget it.

Tests fail while a further function lacks one of these:

- a handler in a room, which is a layer in ``pyproject.toml``;
- a construct, in a file that the overview in ``__init__.py`` names;
- alarms on its errors, throttles and duration in ``alarms.py``, ``tracking_alarms.py`` or ``api_alarms.py``,
  and the entry of each alarm in the runbook;
- its row in ``dashboard.py``;
- what AwsSolutions finds, in ``acknowledgements.py`` (``make audit`` asks for the rest of its rows);
- what it counts in its log, in ``log_metrics.py``;
- its alarms and metrics in the bill, ``cost/usage.py``;
- its name in the tests of this package.

No test asks for its name in ``names.py``, its invocations in the bill, its parts in ``docs/contract.md`` and
``docs/security.md``, or its room among those that may not import boto3 (``pyproject.toml``).

A function that follows the table's stream is connected by ``stream_source.py`` and has the alarms of
``stream_alarms.py``. Tests ask for those on failures and for one on the lag.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from aws_cdk import Duration, IgnoreMode, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infrastructure.encryption import StageKey
from shipment_events.contract import names
from shipment_events.stages import StageSettings

SOURCE_ROOT: Final = Path(__file__).resolve().parent.parent / "src"

LOG_RETENTION: Final = {
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}

SYSTEM_LOG_LEVEL: Final = lambda_.SystemLogLevel.WARN
"""Level of Lambda's own lines. WARN keeps only those of invocations that failed or timed out.
Only the JSON format has levels. It writes an exception as one JSON line.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html"""
APPLICATION_LOG_LEVEL: Final = lambda_.ApplicationLogLevel.INFO
"""Level of our lines. INFO is the lowest level that they have. The JSON format does not change printed lines,
so log_metrics.py finds their fields.
https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html"""
VERSION_POLICY: Final = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
"""Older versions stay, so that there is one to shift back to. A version whose own deployment failed goes,
because it would fail the next try: "A version for this Lambda function exists"."""


class BundledFunction(Construct):
    """A function with the bundle of its rooms, a role that allows exactly its calls, and an alias.

    A room is a package in ``shipment_events``; it is bundled whole. The role gets ``statements`` and the
    permissions to write logs and traces. Callers invoke ``alias``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        key: StageKey,
        name: str,
        called: str,
        description: str,
        handler: str,
        rooms: Sequence[str],
        statements: Sequence[iam.PolicyStatement],
        environment: Mapping[str, str],
        memory_mb: int,
        timeout_seconds: int,
    ) -> None:
        """Build the function ``name``. ``called`` is its short name, for example for the role's policy.

        ``handler`` is a module of ``shipment_events`` and a function in it. ``key`` encrypts
        the logs.
        """
        super().__init__(scope, construct_id)
        self.name = name
        self.log_group = self._build_log_group(settings, key)
        self.role = self._build_role(called, statements)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=description,
            runtime=lambda_.Runtime.PYTHON_3_12,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"shipment_events.{handler}",
            code=_bundle(rooms),
            memory_size=memory_mb,
            timeout=Duration.seconds(timeout_seconds),
            tracing=lambda_.Tracing.ACTIVE,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=SYSTEM_LOG_LEVEL,
            application_log_level_v2=APPLICATION_LOG_LEVEL,
            # CDK would add permissions of its own choice, for traces for one, to a mutable role.
            role=self.role.without_policy_updates(),
            environment=dict(environment),
            current_version_options=lambda_.VersionOptions(removal_policy=VERSION_POLICY),
        )
        self.alias = self._build_alias()

    def _build_log_group(self, settings: StageSettings, key: StageKey) -> logs.LogGroup:
        log_group_name = names.log_group_name(self.name)
        key.allow_logs(log_group_name)
        return logs.LogGroup(
            self,
            "Logs",
            log_group_name=log_group_name,
            retention=LOG_RETENTION[settings.log_retention_days],
            # The cheaper class has no metric filters.
            log_group_class=logs.LogGroupClass.STANDARD,
            encryption_key=key.key,
            # Logs are not a record of events. A log group that stays would prevent the stage from being
            # created again.
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _build_role(self, called: str, statements: Sequence[iam.PolicyStatement]) -> iam.Role:
        # Lambda checks the permissions when it creates an event source. The policy is inline, so the role
        # never exists without it.
        return iam.Role(
            self,
            "Role",
            description=f"Exactly what the shipment event {called} calls",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={
                called: iam.PolicyDocument(
                    statements=[
                        *statements,
                        iam.PolicyStatement(
                            sid="WriteLogs",
                            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                            resources=[self.log_group.log_group_arn],
                        ),
                        iam.PolicyStatement(
                            sid="WriteTraces",
                            actions=["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
                            resources=["*"],
                        ),
                    ]
                )
            },
        )

    def _build_alias(self) -> lambda_.Alias:
        return lambda_.Alias(
            self,
            "Live",
            alias_name=names.LIVE_ALIAS,
            description="The version that callers invoke",
            # CDK publishes a new version whenever code or configuration changes, environment variables too.
            version=self.function.current_version,
        )


def _bundle(rooms: Sequence[str]) -> lambda_.Code:
    # An allow list in gitignore terms: everything is out, then a folder has to come back in before its files
    # can. Anything else beside the sources, byte code above all, would change the hash of the bundle from
    # machine to machine.
    exclude = [
        "*",
        "!/shipment_events/",
        "!/shipment_events/__init__.py",
        "!/shipment_events/aws_errors.py",
        "!/shipment_events/errors.py",
        *(f"!/shipment_events/{room}/" for room in rooms),
        *(f"!/shipment_events/{room}/*.py" for room in rooms),
        "__pycache__/",
    ]
    return lambda_.Code.from_asset(str(SOURCE_ROOT), exclude=exclude, ignore_mode=IgnoreMode.GIT)
