"""The function that keeps the states of shipments, its event source, and the queue of its failures."""

import json
from datetime import timedelta
from typing import Final

from aws_cdk import Duration, aws_events
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infrastructure.announcing import ChangeAnnouncing
from infrastructure.bundled_function import BundledFunction
from infrastructure.encryption import StageKey
from infrastructure.log_metrics import TRACKER_METRICS, LogMetrics
from infrastructure.retention import removal_policy
from infrastructure.shipments import ShipmentStorage
from infrastructure.watching import Watcher
from shipment_events.contract import names
from shipment_events.stages import StageSettings
from shipment_events.tracking.settings import TrackerSettings

BUNDLED_ROOMS: Final = ("contract", "function", "publishing", "queue", "table", "tracking")


class ShipmentTracking(Construct):
    """All that a stage without tracking leaves out, but for alarms and graphs."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        key: StageKey,
        events: dynamodb.Table,
    ) -> None:
        """Build the tracker of the stage, which follows the stream of the table ``events``."""
        super().__init__(scope, construct_id)
        self.storage = ShipmentStorage(self, "Storage", settings=settings)
        self.announcing = ChangeAnnouncing(self, "Announcing", settings=settings)
        self.failures = _build_failures_queue(self, settings)
        self.tracker = Tracker(
            self,
            "Tracker",
            settings=settings,
            key=key,
            events=events,
            shipments=self.storage.table,
            bus=self.announcing.bus,
            failures=self.failures,
        )
        LogMetrics(self, "LogMetrics", of=self.tracker, metrics=TRACKER_METRICS)
        self.watcher = Watcher(
            self,
            "Watcher",
            settings=settings,
            key=key,
            shipments=self.storage.table,
            bus=self.announcing.bus,
        )
        # The archive has the first change, too.
        for caller in (self.tracker.event_source, self.watcher.schedule):
            caller.node.add_dependency(self.announcing.archive)


class Tracker(BundledFunction):
    """The tracker: it folds each stored event into its shipment's state, and announces what changed.

    It has no canary. A canary would let two versions write the same states in turn for minutes, so each
    version would have to read what the other remembers. A bad version loses nothing: the stream keeps its
    records, and ``shipments rebuild`` makes the states from the events.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        key: StageKey,
        events: dynamodb.Table,
        shipments: dynamodb.Table,
        bus: aws_events.EventBus,
        failures: sqs.Queue,
    ) -> None:
        """Build the tracker of the stage, which follows the stream of the table ``events``."""
        super().__init__(
            scope,
            construct_id,
            settings=settings,
            key=key,
            name=names.tracker_name(settings.environment),
            called="tracker",
            description="Keeps the current state of each shipment, and announces its changes",
            handler="tracking.handler.handler",
            rooms=BUNDLED_ROOMS,
            statements=_permissions(events, shipments, bus, failures),
            environment=TrackerSettings(
                environment=settings.environment,
                events_table_name=events.table_name,
                shipments_table_name=shipments.table_name,
                status_bus_name=bus.event_bus_name,
                failures_queue_url=failures.queue_url,
                retention=timedelta(days=settings.event_retention_days),
            ).variables(),
            memory_mb=settings.tracker_memory_mb,
            timeout_seconds=settings.tracker_timeout_seconds,
        )
        self.event_source = self._build_event_source(settings, events, failures)

    def _build_event_source(
        self, settings: StageSettings, events: dynamodb.Table, failures: sqs.Queue
    ) -> lambda_.CfnEventSourceMapping:
        # The class of the processor's event source, for the same reason.
        mapping = lambda_.CfnEventSourceMapping
        return mapping(
            self,
            "EventSource",
            event_source_arn=events.table_stream_arn,
            function_name=self.alias.function_arn,
            # LATEST can miss the records of the minutes in which the event source is created:
            # https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html
            starting_position="TRIM_HORIZON",
            batch_size=settings.tracker_batch_size,
            maximum_batching_window_in_seconds=0,
            function_response_types=["ReportBatchItemFailures"],
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=settings.tracker_retry_attempts,
            maximum_record_age_in_seconds=int(Duration.hours(settings.tracker_max_age_hours).to_seconds()),
            # Expired events come as REMOVE. Without the filter they would be half of all invocations.
            filter_criteria=mapping.FilterCriteriaProperty(
                filters=[mapping.FilterProperty(pattern=json.dumps({"eventName": ["INSERT"]}))]
            ),
            destination_config=mapping.DestinationConfigProperty(
                on_failure=mapping.OnFailureProperty(destination=failures.queue_arn)
            ),
        )


def _build_failures_queue(scope: Construct, settings: StageSettings) -> sqs.Queue:
    return sqs.Queue(
        scope,
        "Failures",
        queue_name=names.tracker_failures_queue_name(settings.environment),
        retention_period=Duration.days(settings.tracker_failures_retention_days),
        visibility_timeout=Duration.seconds(settings.dead_letter_visibility_seconds),
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        removal_policy=removal_policy(settings),
    )


def _permissions(
    events: dynamodb.Table, shipments: dynamodb.Table, bus: aws_events.EventBus, failures: sqs.Queue
) -> list[iam.PolicyStatement]:
    return [
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/iam-policy-example-lamda-process-dynamodb-streams.html
        iam.PolicyStatement(
            sid="ReadStream",
            actions=["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            resources=[str(events.table_stream_arn)],
        ),
        # It names a table, not a stream.
        iam.PolicyStatement(
            sid="FindStream", actions=["dynamodb:ListStreams"], resources=[f"{events.table_arn}/stream/*"]
        ),
        iam.PolicyStatement(sid="ReadEvents", actions=["dynamodb:Query"], resources=[events.table_arn]),
        iam.PolicyStatement(
            sid="KeepStates",
            actions=["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"],
            resources=[shipments.table_arn],
        ),
        iam.PolicyStatement(
            sid="AnnounceChanges", actions=["events:PutEvents"], resources=[bus.event_bus_arn]
        ),
        # Lambda uses it, too, for the records that it gives up on.
        iam.PolicyStatement(
            sid="ReportFailures", actions=["sqs:SendMessage"], resources=[failures.queue_arn]
        ),
    ]
