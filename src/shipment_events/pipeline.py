"""A deployed stage as one object: its bus, queues, table, shipments, archive, log and metrics.

pipeline = Pipeline.connect("prod")
for event in pipeline.table.timeline("C2K-00030"):
    print(event.detail)
for shipment in pipeline.shipments.find(stalled=True):
    print(shipment.shipment_id, shipment.latest_at)
pipeline.dead_letters.redrive(Selection(reason="retries_exhausted"))
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Self

import boto3

from shipment_events.accounting.read_side import ReadSide
from shipment_events.api_client import ApiClient
from shipment_events.aws_session import Clients
from shipment_events.contract.names import status_archive_name, tracker_failures_queue_name
from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.publishing.journal import JournalRecord
from shipment_events.publishing.publisher import CONCURRENCY, Publisher
from shipment_events.queue.queue import Queue
from shipment_events.queue.timing import QueueTiming
from shipment_events.rebuilding.failure_queue import FailureQueue
from shipment_events.rebuilding.rebuilder import Rebuilder
from shipment_events.resources import ApiNotDeployedError, Resources, TrackingNotDeployedError, find_resources
from shipment_events.stage_limits import SECONDS_PER_HOUR
from shipment_events.stages import DEFAULT_STAGE, StageSettings, settings_for
from shipment_events.table.copy import Copied, copy_missing
from shipment_events.table.scan import TableScan
from shipment_events.table.store import EventTable
from shipment_events.tracking.announcer import Announcer
from shipment_events.tracking.reader import Shipments
from shipment_events.tracking.store import ShipmentTable
from shipment_events.watching.archive import Archive
from shipment_events.watching.log import ProcessorLog, TrackerLog
from shipment_events.watching.metrics import Metrics
from shipment_events.watching.status import StatusReader
from shipment_events.watching.status_archive import StatusArchive
from shipment_events.watching.trace import Letters, Sources
from shipment_events.watching.tracking_flow import TrackingSources


class Pipeline:
    """A deployed stage. Each part is created when it is first used.

    The outputs of the stack are read once. A part that needs them raises ``StackNotFoundError`` if the stack
    does not exist. Errors of AWS are botocore's exceptions;
    :func:`shipment_events.aws_errors.explained` turns them into a sentence. Several threads may use it.

    Attributes:
        stage: settings of the stage in this version of the package.
    """

    def __init__(self, stage: StageSettings, session: "boto3.Session | None" = None) -> None:
        self.stage = stage
        self._clients = Clients(session)

    @classmethod
    def connect(cls, stage: str = DEFAULT_STAGE, *, session: "boto3.Session | None" = None) -> Self:
        """The pipeline of a stage. This does not call AWS yet.

        Args:
            session: default: :func:`shipment_events.aws_session.aws_session`.

        Raises:
            UnknownStageError: there is no stage with this name.
        """
        return cls(settings_for(stage), session)

    @cached_property
    def resources(self) -> Resources:
        """The outputs of the stack.

        Raises:
            StackNotFoundError: the stack does not exist.
            botocore.exceptions.ClientError: the stack cannot be read.
        """
        return self.read_resources()

    def read_resources(self) -> Resources:
        """The outputs of the stack as they are now; a deployment changes them.

        Raises:
            as :attr:`resources`.
        """
        return find_resources(self._clients.make("cloudformation"), self.stage.environment)

    @cached_property
    def bus(self) -> Publisher:
        """The publisher of the stage.

        Raises:
            as :meth:`publisher`.
        """
        return self.publisher()

    def publisher(self, *, concurrency: int = CONCURRENCY) -> Publisher:
        """A publisher with this number of parallel requests.

        Raises:
            as :meth:`Publisher.connect`.
        """
        return Publisher.connect(
            self.stage.environment, concurrency=concurrency, session=self._clients.session
        )

    @cached_property
    def queue(self) -> Queue:
        """The queue between bus and processor."""
        return Queue(self._clients.make("sqs"), self.resources.queue_url, self._timing)

    @cached_property
    def _timing(self) -> QueueTiming:
        return self.resources.timing.with_delivery(self.stage.delivery_max_age_hours * SECONDS_PER_HOUR)

    @cached_property
    def dead_letters(self) -> DeadLetterQueue:
        """The events that could not be stored or delivered."""
        url = self.resources.dead_letter_queue_url
        return DeadLetterQueue(Queue(self._clients.make("sqs"), url, self._timing), self.queue)

    @cached_property
    def table(self) -> EventTable:
        """The stored events."""
        return EventTable(
            self._clients.dynamodb,
            self.resources.table_name,
            shards=self.resources.status_index_shards,
        )

    @cached_property
    def shipments(self) -> Shipments:
        """The current state of each shipment.

        Raises:
            TrackingNotDeployedError: the stage does not track shipments.
        """
        name, _ = self._tracking
        return Shipments(self._clients.dynamodb, name, self.table, self.stage.stalled_after_hours)

    @cached_property
    def api(self) -> ApiClient:
        """The HTTP API of the stage. If there is none, this raises ``ApiNotDeployedError``."""
        if not self.resources.api_url:
            raise ApiNotDeployedError(self.stage.environment)
        return ApiClient(self._clients.session, self.resources.api_url)

    @cached_property
    def rebuilder(self) -> Rebuilder:
        """Compares the states of shipments with their events, and repairs them.

        Raises:
            TrackingNotDeployedError: the stage does not track shipments.
        """
        name, bus = self._tracking
        return Rebuilder(
            ShipmentTable(self._clients.dynamodb, name, timedelta(days=self.stage.event_retention_days)),
            self.table,
            TableScan(self._clients.dynamodb, self.table.name),
            Announcer(self._clients.make("events"), bus),
        )

    @cached_property
    def tracking_failures(self) -> FailureQueue:
        """What the tracker could not fold.

        Raises:
            TrackingNotDeployedError: the stage does not track shipments.
            botocore.exceptions.ClientError: the queue cannot be found.
        """
        rebuilder = self.rebuilder
        return FailureQueue(self._tracking_failures_queue, rebuilder)

    @cached_property
    def tracking_sources(self) -> TrackingSources | None:
        """Where the status of the tracker comes from; None if the stage does not track shipments.

        Raises:
            botocore.exceptions.ClientError: the queue for failures cannot be found.
        """
        if not self.resources.shipments_table_name:
            return None
        return TrackingSources(self._tracking_failures_queue, self.tracker_log)

    @cached_property
    def _tracking_failures_queue(self) -> Queue:
        sqs = self._clients.make("sqs")
        name = tracker_failures_queue_name(self.stage.environment)
        return Queue(sqs, sqs.get_queue_url(QueueName=name)["QueueUrl"], self.resources.timing)

    def read_side(self, subscriber_url: str | None = None) -> ReadSide | None:
        """Checks states and changes with rules of its own; None if the stage does not track shipments.

        Args:
            subscriber_url: a queue that subscribes to the status bus. It must have no other reader.

        Raises:
            TrackingNotDeployedError: there is a subscriber, and the stage does not track shipments.
        """
        name = self.resources.shipments_table_name
        if not name and subscriber_url:
            raise TrackingNotDeployedError(self.stage.environment)
        if not name:
            return None
        timing = self.resources.timing
        subscriber = Queue(self._clients.make("sqs"), subscriber_url, timing) if subscriber_url else None
        return ReadSide(self.table, self._clients.dynamodb, name, subscriber)

    @property
    def _tracking(self) -> tuple[str, str]:
        """Table of shipments and status bus."""
        table, bus = self.resources.shipments_table_name, self.resources.status_bus_name
        if not (table and bus):
            raise TrackingNotDeployedError(self.stage.environment)
        return table, bus

    def recover_from(self, restored: str, *, trial: bool = False) -> Iterator[Copied]:
        """Copy lost items back from a restored table; see :func:`copy_missing`."""
        return copy_missing(self._clients.dynamodb, restored, self.table.name, datetime.now(UTC), trial=trial)

    @cached_property
    def archive(self) -> Archive:
        """The archive of every event on the bus."""
        name = self.resources.archive_name
        return Archive(self._clients.make("events"), self.stage, name, self.queue, self.log)

    @cached_property
    def status_archive(self) -> StatusArchive:
        """The archive of every change of a shipment.

        Raises:
            TrackingNotDeployedError: the stage does not track shipments.
        """
        _, bus = self._tracking
        return StatusArchive(self._clients.make("events"), status_archive_name(self.stage.environment), bus)

    @cached_property
    def log(self) -> ProcessorLog:
        """The log of the processor."""
        return ProcessorLog(self._clients.make("logs"), self.stage.environment)

    @cached_property
    def tracker_log(self) -> TrackerLog:
        """The log of the tracker.

        Raises:
            TrackingNotDeployedError: the stage does not track shipments.
        """
        self._tracking  # noqa: B018 - raises
        return TrackerLog(self._clients.make("logs"), self.stage.environment)

    @cached_property
    def metrics(self) -> Metrics:
        """The metrics and alarms in CloudWatch."""
        return Metrics(self._clients.make("cloudwatch"), self.stage.environment)

    def status_reader(self, *, receives: bool = True) -> StatusReader:
        """Reads the status of the stage; see :class:`StatusReader`.

        Args:
            receives: whether the reasons of dead letters are read, which hides these for a moment.
        """
        return StatusReader(
            self.queue,
            self.dead_letters,
            self.metrics,
            self.log,
            self.resources.deployed_at,
            environment=self.stage.environment,
            tracking=self.tracking_sources,
            receives=receives,
        )

    def trace_sources(
        self, journal: Sequence[JournalRecord] = (), *, letters: Letters | None = None
    ) -> Sources:
        """The sources of a trace.

        Args:
            journal: records of a producer's journal.
            letters: dead letters that were read before. By default, a trace receives them, which hides them
                from others for a moment.
        """
        tracker_log = self.tracker_log if self.resources.shipments_table_name else None
        return Sources(self.table, letters or self.dead_letters, self.log, journal, tracker_log)
