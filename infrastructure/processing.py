"""The function that stores events, and the event source that feeds it from the queue."""

from datetime import timedelta
from typing import Final

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infrastructure.bundled_function import BundledFunction
from infrastructure.encryption import StageKey
from shipment_events.contract import names
from shipment_events.processor.settings import ProcessorSettings
from shipment_events.stages import StageSettings

BUNDLED_ROOMS: Final = ("contract", "function", "processor", "queue", "table")


class EventProcessing(BundledFunction):
    """The processor: it stores the events of the queue in the table, and quarantines invalid ones."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        key: StageKey,
        table: dynamodb.Table,
        queue: sqs.Queue,
        dead_letter_queue: sqs.Queue,
    ) -> None:
        """Build the processor of the stage, which reads ``queue`` and writes to ``table``."""
        super().__init__(
            scope,
            construct_id,
            settings=settings,
            key=key,
            name=names.processor_name(settings.environment),
            called="processor",
            description="Stores shipment events once and in order; sets aside those that can never be stored",
            handler="processor.handler.handler",
            rooms=BUNDLED_ROOMS,
            statements=_permissions(table, queue, dead_letter_queue),
            environment=ProcessorSettings(
                environment=settings.environment,
                table_name=table.table_name,
                queue_url=queue.queue_url,
                dead_letter_queue_url=dead_letter_queue.queue_url,
                visibility_timeout=settings.visibility_timeout_seconds,
                retention=timedelta(days=settings.event_retention_days),
                status_index_shards=settings.status_index_shards,
            ).variables(),
            memory_mb=settings.processor_memory_mb,
            timeout_seconds=settings.processor_timeout_seconds,
        )
        self._build_event_source(settings, queue)

    def _build_event_source(self, settings: StageSettings, queue: sqs.Queue) -> None:
        # CDK's SqsEventSource would change the logical id of the mapping. CloudFormation would then create
        # the new mapping before it deletes the old one, and Lambda refuses a second mapping of the same queue
        # and function:
        # https://github.com/aws/aws-cdk/issues/18706
        pollers = settings.provisioned_pollers
        lambda_.CfnEventSourceMapping(
            self,
            "EventSource",
            event_source_arn=queue.queue_arn,
            function_name=self.alias.function_arn,
            batch_size=settings.batch_size,
            # 0 is Lambda's default, but a property may keep its old value if the template no longer has it.
            maximum_batching_window_in_seconds=settings.batching_window_seconds,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=(
                None
                if pollers
                else lambda_.CfnEventSourceMapping.ScalingConfigProperty(
                    maximum_concurrency=settings.processor_max_concurrency
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


def _permissions(
    table: dynamodb.Table, queue: sqs.Queue, dead_letter_queue: sqs.Queue
) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            sid="StoreEvents",
            actions=["dynamodb:PartiQLInsert", "dynamodb:BatchGetItem"],
            resources=[table.table_arn],
        ),
        iam.PolicyStatement(
            sid="ConsumeQueue",
            actions=[
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ChangeMessageVisibility",
            ],
            resources=[queue.queue_arn],
        ),
        iam.PolicyStatement(
            sid="Quarantine",
            actions=["sqs:SendMessage"],
            resources=[dead_letter_queue.queue_arn],
        ),
    ]
