"""Publish shipment events. An event that is sent again is still stored once.

publisher = Publisher.connect("dev")
result = publisher.publish([{"shipment_id": "S-1", "event_timestamp": "2025-03-01T14:05:00+01:00",
                             "event_type": "shipment.departed"}])
result.refused  # broken events, with the field and what was expected
result.unsent   # valid events that the bus did not accept; publish them again
"""

import random
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.exceptions import ClientError

from shipment_events.aws_errors import error_code
from shipment_events.aws_session import aws_session
from shipment_events.contract import names
from shipment_events.contract.outcome import InvalidEventError
from shipment_events.errors import NotDeployedError
from shipment_events.publishing.entries import Entry, packed, prepare
from shipment_events.publishing.put_events import REFUSED_WHOLE, put_entries

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_events import EventBridgeClient

CONCURRENCY: Final = 4
"""Number of parallel requests, unless a caller sets another."""

# Sending the same entry again cannot help after these errors. Every other error may be temporary.
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
_PERMANENT_ERRORS: Final = frozenset(
    {
        # botocore's own errors: credentials are missing or broken, or the request is invalid.
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "ParamValidationError",
        "AccessDeniedException",
        "InvalidAccountIdException",
        "InvalidArgument",
        "MalformedDetail",
        "NotAuthorizedForDetailTypeException",
        "NotAuthorizedForSourceException",
        "RedactionFailure",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "ExpiredTokenException",
        *REFUSED_WHOLE,
    }
)


class BusNotFoundError(NotDeployedError):
    """The bus does not exist. EventBridge would drop the events without an error."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The bus accepted the event.

    Attributes:
        envelope_id: the id that the bus gave to the event. It is the correlation id from there on.
        sent_at: when the successful request was sent.
    """

    entry: Entry
    envelope_id: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Unsent:
    """The bus did not accept the event, or its response was lost. Sending the event again is safe."""

    entry: Entry
    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The event breaks the contract and was not sent."""

    position: int
    event: object
    error: InvalidEventError


@dataclass(slots=True)
class PublishResult:
    """The result of :meth:`Publisher.publish`."""

    accepted: int = 0
    unsent: list[Unsent] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


class Publisher:
    """Puts events on the bus of one stage.

    Args:
        client: EventBridge client. It should not retry, because the publisher does.
        concurrency: number of parallel requests.
        max_attempts: how often an entry is sent before it is returned as unsent.
    """

    def __init__(
        self,
        client: "EventBridgeClient",
        bus_name: str,
        *,
        concurrency: int = CONCURRENCY,
        max_attempts: int = 8,
    ) -> None:
        self._client = client
        self._bus_name = bus_name
        self._concurrency = concurrency
        self._max_attempts = max_attempts

    @classmethod
    def connect(
        cls, environment: str, *, concurrency: int = CONCURRENCY, session: "boto3.Session | None" = None
    ) -> "Publisher":
        """The publisher for a stage. It calls :meth:`ensure_bus`.

        Args:
            session: default: :func:`aws_session`.

        Raises:
            as :meth:`ensure_bus`.
        """
        config = Config(
            connect_timeout=2,
            read_timeout=5,
            retries={"total_max_attempts": 1},
            max_pool_connections=concurrency,
        )
        client = (session or aws_session()).client("events", config=config)
        publisher = cls(client, names.event_bus_name(environment), concurrency=concurrency)
        publisher.ensure_bus()
        return publisher

    def ensure_bus(self) -> None:
        """Make sure that the bus exists. PutEvents accepts events for a bus that does not exist and drops
        them.

        https://github.com/aws/aws-cli/issues/9186

        Raises:
            BusNotFoundError: the bus does not exist.
            botocore.exceptions.ClientError: the service refuses the caller's credentials.
            botocore.exceptions.BotoCoreError: the service cannot be reached, or there are no credentials.
        """
        try:
            self._client.describe_event_bus(Name=self._bus_name)
        except ClientError as error:
            code = error_code(error)
            if code == "ResourceNotFoundException":
                raise BusNotFoundError(
                    f"no event bus {self._bus_name} at {self._client.meta.endpoint_url}"
                ) from error
            # A caller that may put events may lack the permission to describe the bus. Throttling is
            # temporary.
            if code in _PERMANENT_ERRORS and code != "AccessDeniedException":
                raise

    def publish(self, events: Iterable[Mapping[str, Any]]) -> PublishResult:
        """Validate and send events. A broken event does not stop the rest."""
        result = PublishResult()

        def entries() -> Iterator[Entry]:
            for position, event in enumerate(events, start=1):
                try:
                    yield prepare(event, position)
                except InvalidEventError as error:
                    result.refused.append(Refused(position, event, error))

        for receipt in self.send(entries()):
            if isinstance(receipt, Accepted):
                result.accepted += 1
            else:
                result.unsent.append(receipt)
        return result

    def send(
        self, entries: Iterable[Entry | None], stop: threading.Event | None = None
    ) -> Generator[Accepted | Unsent, None, None]:
        """Send prepared entries in parallel requests and yield a receipt for each.

        Entries are taken when they are needed, so the memory does not grow with their number. If ``entries``
        raises, or the user interrupts it, the receipts of the entries taken before come first; the error
        follows. Closing the generator waits only for the requests under way.

        Args:
            entries: ``None`` among them means a pause: what was taken is sent, and finished receipts are
                yielded. So a source that may wait holds nothing back.
            stop: once it is set, no request is started. Entries that were taken and not sent come back as
                ``Unsent``. The source must end then. Closing the generator early sets it.
        """
        batches = packed(entries)
        failure: BaseException | None = None
        under_way: set[Future[list[Accepted | Unsent]]] = set()
        stopped = stop or threading.Event()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="publish")
        try:
            while True:
                try:
                    batch = next(batches, None)
                except KeyboardInterrupt as interrupt:
                    stopped.set()
                    failure = interrupt
                    break
                except Exception as error:  # noqa: BLE001 - raised again below
                    failure = error
                    break
                if batch is None:
                    break
                if batch:
                    under_way.add(pool.submit(self._send_batch, batch, stopped))
                yield from self._finished(under_way)
            for future in under_way:
                yield from future.result()
        except BaseException:
            # Otherwise an interrupt would wait for every attempt of every batch.
            stopped.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        if failure:
            raise failure

    def _finished(self, under_way: "set[Future[list[Accepted | Unsent]]]") -> Iterator[Accepted | Unsent]:
        """Remove the finished requests and yield their receipts. Wait for one if too many are under way."""
        if len(under_way) >= 2 * self._concurrency:
            wait(under_way, return_when=FIRST_COMPLETED)
        done = {future for future in under_way if future.done()}
        under_way -= done
        for future in done:
            yield from future.result()

    def _send_batch(self, batch: Sequence[Entry], stopped: threading.Event) -> list[Accepted | Unsent]:
        receipts: list[Accepted | Unsent] = []
        left: list[Unsent] = [Unsent(entry, "NotTried") for entry in batch]
        bound = 0.1
        for attempt in range(self._max_attempts):
            if attempt:
                stopped.wait(random.uniform(bound / 2, bound))  # noqa: S311 - jitter
                bound = min(bound * 2, 5.0)
            if stopped.is_set():
                break
            entries = [unsent.entry for unsent in left]
            sent_at = datetime.now(UTC)
            left = []
            answers = put_entries(self._client, self._bus_name, entries)
            for entry, (envelope_id, why) in zip(entries, answers, strict=True):
                if envelope_id:
                    receipts.append(Accepted(entry, envelope_id, sent_at))
                elif why in _PERMANENT_ERRORS:
                    receipts.append(Unsent(entry, why))
                else:
                    left.append(Unsent(entry, why))
            if not left:
                break
        return receipts + left
