"""The tracking of a stage, and its tracker: the function that keeps the states of shipments."""

from datetime import timedelta
from typing import Final

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events
from aws_cdk import aws_iam as iam
from constructs import Construct

from infrastructure.announcing import ChangeAnnouncing
from infrastructure.bundled_function import BundledFunction
from infrastructure.encryption import StageKey
from infrastructure.log_metrics import TRACKER_METRICS, LogMetrics
from infrastructure.shipments import ShipmentStorage
from infrastructure.stream_source import StreamSource
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
        stream = StreamSource(
            self,
            settings=settings,
            events=events,
            failures_name=names.tracker_failures_queue_name(settings.environment),
            failures_retention_days=settings.tracker_failures_retention_days,
        )
        self.tracker = Tracker(
            self,
            "Tracker",
            settings=settings,
            key=key,
            stream=stream,
            shipments=self.storage.table,
            bus=self.announcing.bus,
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
        stream: StreamSource,
        shipments: dynamodb.Table,
        bus: aws_events.EventBus,
    ) -> None:
        """Build the tracker of the stage, which follows ``stream``."""
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
            statements=stream.permissions(_own_permissions(stream.events, shipments, bus)),
            environment=TrackerSettings(
                environment=settings.environment,
                events_table_name=stream.events.table_name,
                shipments_table_name=shipments.table_name,
                status_bus_name=bus.event_bus_name,
                failures_queue_url=stream.failures.queue_url,
                retention=timedelta(days=settings.event_retention_days),
            ).variables(),
            memory_mb=settings.tracker_memory_mb,
            timeout_seconds=settings.tracker_timeout_seconds,
        )
        self.event_source = stream.connect(
            self,
            batch_size=settings.tracker_batch_size,
            retry_attempts=settings.tracker_retry_attempts,
            max_age_hours=settings.tracker_max_age_hours,
        )


def _own_permissions(
    events: dynamodb.Table, shipments: dynamodb.Table, bus: aws_events.EventBus
) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(sid="ReadEvents", actions=["dynamodb:Query"], resources=[events.table_arn]),
        iam.PolicyStatement(
            sid="KeepStates",
            actions=["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"],
            resources=[shipments.table_arn],
        ),
        iam.PolicyStatement(
            sid="AnnounceChanges", actions=["events:PutEvents"], resources=[bus.event_bus_arn]
        ),
    ]
