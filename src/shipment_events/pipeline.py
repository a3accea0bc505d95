"""A deployed stage as one object: its bus, queues, table, archive, log and metrics.

pipeline = Pipeline.connect("prod")
for event in pipeline.table.timeline("C2K-00030"):
    print(event.detail)
pipeline.dead_letters.redrive(Selection(reason="retries_exhausted"))
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

import boto3
from botocore.config import Config

from shipment_events.aws_session import aws_session
from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.publishing.publisher import Publisher
from shipment_events.queue.queue import Queue
from shipment_events.resources import Resources, find_resources
from shipment_events.stages import DEFAULT_STAGE, StageSettings, settings_for
from shipment_events.table.copy import Copied, copy_missing
from shipment_events.table.store import EventTable
from shipment_events.watching.archive import Archive
from shipment_events.watching.log import ProcessorLog
from shipment_events.watching.metrics import Metrics

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A person waits for the answer: a wrong endpoint must not take the minutes of the client's defaults.
CLIENT_CONFIG: Final = Config(
    connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}
)


class Pipeline:
    """One stage; each part is made when it is first used.

    A part that has to know the stack's outputs reads them once, and raises ``StackNotFoundError`` where there
    is no such stack. What AWS answers a call with comes as botocore's exceptions;
    :func:`shipment_events.aws_errors.explained` has a sentence for them.

    Attributes:
        stage: settings of the stage as this version of the package has them.
    """

    def __init__(self, stage: StageSettings, session: "boto3.Session | None" = None) -> None:
        self.stage = stage
        self._given_session = session

    @classmethod
    def connect(cls, stage: str = DEFAULT_STAGE, *, session: "boto3.Session | None" = None) -> Self:
        """The pipeline of a stage; nothing is asked of AWS yet.

        Args:
            session: with credentials and region; without one that of :func:`aws_session`.

        Raises:
            UnknownStageError: there is no stage of this name.
        """
        return cls(settings_for(stage), session)

    @cached_property
    def resources(self) -> Resources:
        """What the outputs of the stack name.

        Raises:
            StackNotFoundError: there is no such stack.
            botocore.exceptions.ClientError: it cannot be read.
        """
        return find_resources(self._client("cloudformation"), self.stage.environment)

    @cached_property
    def bus(self) -> Publisher:
        """Publishes events.

        Raises:
            as :meth:`publisher`.
        """
        return self.publisher()

    def publisher(self, *, concurrency: int = 4) -> Publisher:
        """A publisher that has so many requests under way at once.

        Raises:
            as :meth:`Publisher.connect`.
        """
        return Publisher.connect(self.stage.environment, concurrency=concurrency, session=self._session)

    @cached_property
    def queue(self) -> Queue:
        """Between bus and processor."""
        return Queue(self._client("sqs"), self.resources.queue_url, self.resources.timing)

    @cached_property
    def dead_letters(self) -> DeadLetterQueue:
        """Events that could not be stored or delivered."""
        url, timing = self.resources.dead_letter_queue_url, self.resources.timing
        return DeadLetterQueue(Queue(self._client("sqs"), url, timing), self.queue)

    @cached_property
    def table(self) -> EventTable:
        """The stored events."""
        return EventTable(
            self._dynamodb,
            self.resources.table_name,
            timedelta(days=self.stage.event_retention_days),
            shards=self.resources.status_index_shards,
        )

    def recover_from(self, restored: str, *, trial: bool = False) -> Iterator[Copied]:
        """Copy back what the table has lost from a restored table; see :func:`copy_missing`."""
        return copy_missing(self._dynamodb, restored, self.table.name, datetime.now(UTC), trial=trial)

    @cached_property
    def archive(self) -> Archive:
        """Every event of the bus for some days."""
        name = self.resources.archive_name
        return Archive(self._client("events"), self.stage.environment, name, self.queue, self.log)

    @cached_property
    def log(self) -> ProcessorLog:
        """What the processor noted."""
        return ProcessorLog(self._client("logs"), self.stage.environment)

    @cached_property
    def metrics(self) -> Metrics:
        """What CloudWatch measured, and the alarms."""
        return Metrics(self._client("cloudwatch"), self.stage.environment)

    @cached_property
    def _session(self) -> "boto3.Session":
        return self._given_session or aws_session()

    @cached_property
    def _dynamodb(self) -> "DynamoDBClient":
        client: DynamoDBClient = self._client("dynamodb")
        return client

    def _client(self, service: Any) -> Any:
        return self._session.client(service, config=CLIENT_CONFIG)
