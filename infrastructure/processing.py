"""The function that stores events, the role that bounds it and the event source that feeds it."""

from pathlib import Path
from typing import Final

from aws_cdk import Duration, IgnoreMode, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infrastructure.validation import acknowledge
from shipment_events.contract import names
from shipment_events.stages import StageSettings

SOURCE_ROOT: Final = Path(__file__).resolve().parent.parent / "src"

BUNDLED_ROOMS: Final = ("contract", "processor", "queue", "table")
"""Packages of ``shipment_events`` that the function may import, whole."""

# An allow list in gitignore terms: everything is out, then a folder has to come back in before its files can.
# Anything else, caches and byte code above all, would change the hash of the bundle from machine to machine.
BUNDLE_EXCLUDES: Final = (
    "*",
    "!/shipment_events/",
    "!/shipment_events/__init__.py",
    "!/shipment_events/aws_errors.py",
    "!/shipment_events/errors.py",
    *(f"!/shipment_events/{room}/" for room in BUNDLED_ROOMS),
    *(f"!/shipment_events/{room}/*.py" for room in BUNDLED_ROOMS),
    "__pycache__/",
)


LOG_RETENTION: Final = {
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


class EventProcessing(Construct):
    """Processor with a role that allows exactly the calls it makes, invoked by an alias of its versions."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        table: dynamodb.Table,
        queue: sqs.Queue,
        dead_letter_queue: sqs.Queue,
        log_key: kms.Key,
    ) -> None:
        """Build the processor of the stage, which moves events from ``queue`` to ``table``."""
        super().__init__(scope, construct_id)
        self._settings = settings
        self._table = table
        self._queue = queue
        self._dead_letter_queue = dead_letter_queue
        self._log_key = log_key
        self.log_group = self._build_log_group()
        self.role = self._build_role()
        self.function = self._build_function()
        self.alias = self._build_alias()
        self._build_event_source()

    def _build_log_group(self) -> logs.LogGroup:
        return logs.LogGroup(
            self,
            "Logs",
            log_group_name=names.log_group_name(self._settings.environment),
            retention=LOG_RETENTION[self._settings.log_retention_days],
            log_group_class=logs.LogGroupClass.STANDARD,
            encryption_key=self._log_key,
            # Logs are no record of events, and a group left behind would block creating the stage anew.
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _build_role(self) -> iam.Role:
        # Inline, so that no moment exists in which the role is there and its permissions are not: Lambda
        # checks them when it creates the event source.
        role = iam.Role(
            self,
            "Role",
            description="Exactly what the shipment event processor calls",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={"processor": iam.PolicyDocument(statements=self._permissions())},
        )
        acknowledge(
            role,
            ("AwsSolutions-IAM5[Resource::*]", "Serverless-LambdaStarPermissions"),
            "Only the X-Ray statement has the resource '*': PutTraceSegments and PutTelemetryRecords act on "
            "no resource that a policy could name (Service Authorization Reference, AWS X-Ray). They write "
            "traces and read nothing.",
        )
        acknowledge(
            role,
            (
                "NIST.800.53.R5-IAMNoInlinePolicy",
                "HIPAA.Security-IAMNoInlinePolicy",
                "PCI.DSS.321-IAMNoInlinePolicy",
            ),
            "The rule is against permissions scattered over principals. This role has one function and one "
            "policy; inline, that one cannot be attached elsewhere, and the role never exists without it. "
            "Tests hold its actions to the exact list.",
        )
        return role

    def _permissions(self) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(
                sid="StoreEvents",
                actions=["dynamodb:PartiQLInsert", "dynamodb:BatchGetItem"],
                resources=[self._table.table_arn],
            ),
            iam.PolicyStatement(
                sid="ConsumeQueue",
                actions=[
                    "sqs:ReceiveMessage",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:ChangeMessageVisibility",
                ],
                resources=[self._queue.queue_arn],
            ),
            iam.PolicyStatement(
                sid="Quarantine",
                actions=["sqs:SendMessage"],
                resources=[self._dead_letter_queue.queue_arn],
            ),
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

    def _build_function(self) -> lambda_.Function:
        function = lambda_.Function(
            self,
            "Function",
            function_name=names.processor_name(self._settings.environment),
            description="Stores shipment events once and in order; sets aside those that can never be stored",
            runtime=lambda_.Runtime.PYTHON_3_12,
            architecture=lambda_.Architecture.ARM_64,
            handler="shipment_events.processor.handler.handler",
            code=lambda_.Code.from_asset(
                str(SOURCE_ROOT), exclude=list(BUNDLE_EXCLUDES), ignore_mode=IgnoreMode.GIT
            ),
            memory_size=self._settings.processor_memory_mb,
            timeout=Duration.seconds(self._settings.processor_timeout_seconds),
            tracing=lambda_.Tracing.ACTIVE,
            log_group=self.log_group,
            # Lambda's own lines on an invocation that went well are INFO, those on one that failed or timed
            # out WARN. Only the JSON format has levels; an exception is one JSON line in it.
            # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            # What is printed goes out as it is, in this format too, so that log_metrics.py finds its fields:
            # https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
            # Where Lambda looks for a level in it, INFO is the lowest that telemetry.py writes.
            application_log_level_v2=lambda_.ApplicationLogLevel.INFO,
            # Tracing would add permissions of CDK's choice to a mutable role.
            role=self.role.without_policy_updates(),
            environment={
                "EVENTS_TABLE_NAME": self._table.table_name,
                "ENVIRONMENT": self._settings.environment,
                "QUEUE_URL": self._queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": self._dead_letter_queue.queue_url,
                "VISIBILITY_TIMEOUT_SECONDS": str(self._settings.visibility_timeout_seconds),
                "EVENT_RETENTION_DAYS": str(self._settings.event_retention_days),
                **self._shards(),
            },
            # Older versions stay, so that there is one to shift back to. One whose own deployment failed
            # goes, or the next try would fail: "A version for this Lambda function exists".
            current_version_options=lambda_.VersionOptions(
                removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            ),
        )
        self._acknowledge_function_findings(function)
        return function

    def _shards(self) -> dict[str, str]:
        shards = self._settings.status_index_shards
        return {} if shards is None else {"STATUS_INDEX_SHARDS": str(shards)}

    def _acknowledge_function_findings(self, function: lambda_.Function) -> None:
        acknowledge(
            function,
            ("AwsSolutions-L1", "Serverless-LambdaLatestVersion"),
            "Python 3.12 on purpose: the version is part of the pipeline's published contract, and AWS still "
            "maintains it (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html). A newer one "
            "is a change of that contract, not of a default.",
        )
        acknowledge(
            function,
            (
                "Serverless-LambdaDLQ",
                "NIST.800.53.R5-LambdaDLQ",
                "HIPAA.Security-LambdaDLQ",
                "CKV_AWS_116",
            ),
            "Lambda uses a function's dead-letter queue for asynchronous invocations only, and nothing "
            "invokes this function that way: its one event source reads the queue, whose redrive policy "
            "moves what fails to the dead-letter queue.",
        )
        acknowledge(
            function,
            (
                "NIST.800.53.R5-LambdaInsideVPC",
                "HIPAA.Security-LambdaInsideVPC",
                "PCI.DSS.321-LambdaInsideVPC",
                "CKV_AWS_117",
            ),
            "The function listens on no network and reaches nothing inside a VPC: it calls DynamoDB and SQS "
            "over TLS, bounded by its role. A VPC would add endpoints, subnets and an outage of them to the "
            "ways in which events are delayed, and protect nothing.",
        )
        acknowledge(
            function,
            ("NIST.800.53.R5-LambdaConcurrency", "HIPAA.Security-LambdaConcurrency", "CKV_AWS_115"),
            "Concurrency is bounded where it arises, by the event source's maximum. A reserve on the "
            "function would bound it by throttling, and a throttled receive counts towards the few that an "
            "event has; and it fails to deploy in accounts that have their initial quota.",
        )
        acknowledge(
            function,
            ("CKV_AWS_173",),
            "The variables are names, URLs and numbers, all of them in the template; none is a secret. "
            "Lambda encrypts them at rest with its own key.",
        )
        acknowledge(
            function,
            ("W3005",),
            "CDK itself adds the dependency on the role that the reference to the role implies already.",
        )

    def _build_alias(self) -> lambda_.Alias:
        return lambda_.Alias(
            self,
            "Live",
            alias_name=names.PROCESSOR_ALIAS,
            description="The version that the event source invokes",
            # CDK publishes a new one whenever code or configuration changes, environment variables too.
            version=self.function.current_version,
        )

    def _build_event_source(self) -> None:
        pollers = self._settings.provisioned_pollers
        event_source = lambda_.CfnEventSourceMapping(
            self,
            "EventSource",
            event_source_arn=self._queue.queue_arn,
            function_name=self.alias.function_arn,
            batch_size=self._settings.batch_size,
            # 0 is Lambda's default, but a property that has gone from the template may keep its old value.
            maximum_batching_window_in_seconds=self._settings.batching_window_seconds,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=(
                None
                if pollers
                else lambda_.CfnEventSourceMapping.ScalingConfigProperty(
                    maximum_concurrency=self._settings.processor_max_concurrency
                )
            ),
            provisioned_poller_config=(
                lambda_.CfnEventSourceMapping.ProvisionedPollerConfigProperty(
                    minimum_pollers=pollers.minimum, maximum_pollers=pollers.maximum
                )
                if pollers
                else None
            ),
        )
        acknowledge(
            event_source,
            ("Serverless-LambdaEventSourceMappingDestination",),
            "Destinations on failure exist for streams, not for queues: what fails goes back to the queue "
            "and from there, by its redrive policy, to the dead-letter queue.",
        )
