"""The stack of one stage: its constructs, and the outputs that other programs read."""

from aws_cdk import App, CfnOutput, Stack, Tags

from infrastructure.api import ShipmentsApi
from infrastructure.buffering import EventBuffer
from infrastructure.chat import ChatNotifications
from infrastructure.dashboard import PipelineDashboard
from infrastructure.encryption import StageKey
from infrastructure.ingestion import EventIngestion
from infrastructure.log_metrics import PROCESSOR_METRICS, LogMetrics
from infrastructure.monitoring import Monitoring
from infrastructure.processing import EventProcessing
from infrastructure.rollout import GuardedRollout
from infrastructure.storage import EventStorage
from infrastructure.tracking import ShipmentTracking
from shipment_events.contract import names
from shipment_events.stages import StageSettings


class ShipmentEventsStack(Stack):
    """All resources of one stage, for any account and region."""

    def __init__(self, app: App, *, settings: StageSettings) -> None:
        """Build the stack of the stage."""
        super().__init__(
            app,
            names.stack_name(settings.environment),
            description=f"Shipment Events ({settings.environment}): stored once, in order, none lost unseen",
            termination_protection=settings.deletion_protection,
            analytics_reporting=False,
        )
        self.settings = settings
        self.key = StageKey(self, "Encryption", settings=settings)
        self._build_pipeline()
        self._build_watch()
        self._build_outputs()
        Tags.of(self).add("project", "shipment-events")
        Tags.of(self).add("environment", settings.environment)
        Tags.of(self).add("managed-by", "aws-cdk")

    def _build_pipeline(self) -> None:
        self.buffer = EventBuffer(self, "Buffer", settings=self.settings)
        self.ingestion = EventIngestion(
            self,
            "Ingestion",
            settings=self.settings,
            queue=self.buffer.queue,
            dead_letter_queue=self.buffer.dead_letter_queue,
        )
        self.storage = EventStorage(self, "Storage", settings=self.settings)
        self.processing = EventProcessing(
            self,
            "Processing",
            settings=self.settings,
            key=self.key,
            table=self.storage.table,
            queue=self.buffer.queue,
            dead_letter_queue=self.buffer.dead_letter_queue,
        )
        self.tracking = (
            ShipmentTracking(
                self, "Tracking", settings=self.settings, key=self.key, events=self.storage.table
            )
            if self.settings.tracking
            else None
        )
        self.api = (
            ShipmentsApi(
                self,
                "Api",
                settings=self.settings,
                key=self.key,
                events=self.storage.table,
                shipments=self.tracking.storage.table,
            )
            if self.tracking is not None and self.settings.has_api
            else None
        )

    def _build_watch(self) -> None:
        LogMetrics(self, "LogMetrics", of=self.processing, metrics=PROCESSOR_METRICS)
        self.monitoring = Monitoring(self, "Monitoring", settings=self.settings, key=self.key.key)
        if self.settings.canary_minutes is not None:
            GuardedRollout(
                self,
                "Rollout",
                settings=self.settings,
                canary_minutes=self.settings.canary_minutes,
                processing=self.processing,
                monitoring=self.monitoring,
            )
        if self.settings.slack is not None:
            ChatNotifications(
                self,
                "Chat",
                environment=self.settings.environment,
                channel=self.settings.slack,
                topics=list(self.monitoring.topics.values()),
            )
        self.dashboard = PipelineDashboard(
            self, "Dashboard", settings=self.settings, alarms=self.monitoring.alarms
        )

    def _build_outputs(self) -> None:
        buffer, ingestion, function = self.buffer, self.ingestion, self.processing.function
        outputs = [
            (names.OUTPUT_QUEUE_URL, buffer.queue.queue_url, "Queue between bus and processor"),
            (
                names.OUTPUT_DEAD_LETTER_QUEUE_URL,
                buffer.dead_letter_queue.queue_url,
                "Queue of events that could not be delivered or stored",
            ),
            (names.OUTPUT_PROCESSOR_ARN, function.function_arn, "Function that stores events"),
            (names.OUTPUT_TABLE_NAME, self.storage.table.table_name, "Table of events"),
            (names.OUTPUT_DASHBOARD_URL, self.dashboard.url, "Dashboard of the pipeline"),
            (names.OUTPUT_EVENT_BUS_NAME, ingestion.bus.event_bus_name, "Bus that producers publish to"),
            (names.OUTPUT_ARCHIVE_NAME, ingestion.archive.ref, "Archive of every event of the bus"),
        ]
        if self.settings.status_index_shards is not None:
            shards = str(self.settings.status_index_shards)
            description = "Partitions of each status in the index, for its readers"
            outputs.append((names.OUTPUT_STATUS_INDEX_SHARDS, shards, description))
        if self.tracking is not None:
            table, bus = self.tracking.storage.table, self.tracking.announcing.bus
            outputs += [
                (names.OUTPUT_SHIPMENTS_TABLE_NAME, table.table_name, "Table of the states of shipments"),
                (names.OUTPUT_STATUS_BUS_NAME, bus.event_bus_name, "Bus of the changes of shipments"),
            ]
        if self.api is not None:
            outputs.append((names.OUTPUT_API_URL, self.api.url, "HTTP API that reads shipments"))
        for output, value, description in outputs:
            # An output directly under the stack has its construct id as its logical id.
            CfnOutput(self, output, value=value, description=description)
