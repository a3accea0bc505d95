"""The parts that all our functions share: a log group, a role, the code, and an alias of the current version.

The construct of a function adds only its own parts: rooms of the package, permissions and variables. So a
new function cannot forget a shared part.
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
        invoked_by: str = "the event source",
    ) -> None:
        """Build the function ``name``. ``called`` is its short name, for example for the role's policy.

        ``handler`` is a module of ``shipment_events`` and a function in it. ``invoked_by`` is the caller that
        the description of the alias names. ``key`` encrypts the logs.
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
            code=lambda_.Code.from_asset(
                str(SOURCE_ROOT), exclude=bundle_excludes(rooms), ignore_mode=IgnoreMode.GIT
            ),
            memory_size=memory_mb,
            timeout=Duration.seconds(timeout_seconds),
            tracing=lambda_.Tracing.ACTIVE,
            log_group=self.log_group,
            # Lambda logs its own lines at INFO for a good invocation, and at WARN for one that failed or
            # timed out. Only the JSON format has levels. It writes an exception as one JSON line.
            # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            # This format does not change printed lines, so the filters of log_metrics.py find their fields:
            # https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
            # If Lambda finds a level in a printed line, INFO is the lowest that telemetry.py writes.
            application_log_level_v2=lambda_.ApplicationLogLevel.INFO,
            # CDK would add its own permissions to a mutable role, for traces for example.
            role=self.role.without_policy_updates(),
            environment=dict(environment),
            # Older versions are retained, so that a rollout can shift back to one. A version whose own
            # deployment failed is deleted, because it would make the next deployment fail: "A version for
            # this Lambda function exists".
            current_version_options=lambda_.VersionOptions(
                removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            ),
        )
        self.alias = lambda_.Alias(
            self,
            "Live",
            alias_name=names.PROCESSOR_ALIAS,
            description=f"The version that {invoked_by} invokes",
            # CDK publishes a new version for each change of code or configuration, environment variables
            # included.
            version=self.function.current_version,
        )

    def _build_log_group(self, settings: StageSettings, key: StageKey) -> logs.LogGroup:
        log_group_name = f"/aws/lambda/{self.name}"
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


def bundle_excludes(rooms: Sequence[str]) -> list[str]:
    """Return gitignore patterns that leave out everything except for the Python files of the rooms.

    A pattern has to include a folder again before another can include its files. Other files beside the
    sources, such as byte code, would give the bundle another hash on each machine.
    """
    return [
        "*",
        "!/shipment_events/",
        "!/shipment_events/__init__.py",
        "!/shipment_events/aws_errors.py",
        "!/shipment_events/errors.py",
        *(f"!/shipment_events/{room}/" for room in rooms),
        *(f"!/shipment_events/{room}/*.py" for room in rooms),
        "__pycache__/",
    ]
