"""Publish shipment events so that each accepted one counts once, however often it is sent.

publisher = Publisher.connect("dev")
result = publisher.publish([{"shipment_id": "S-1", "event_timestamp": "2025-03-01T14:05:00+01:00",
                             "event_type": "shipment.departed"}])
result.refused  # broken events, with the field and what was expected
result.unsent   # good events that the bus did not take; publish them again, nothing can double
"""

import os
import random
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from shipment_events.aws_errors import error_code
from shipment_events.contract import names
from shipment_events.contract.event import parse_event
from shipment_events.contract.exact_json import dumps, loads, type_name
from shipment_events.contract.outcome import InvalidEventError, Reason, shown
from shipment_events.publishing.put_events import Entry, packed, put_entries
from shipment_events.table.item import ensure_fits

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_INTEGER_LIMIT: Final = Decimal(2**63)

# Sending the same entry again cannot help with these; every other error may pass.
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
_PERMANENT_ERRORS: Final = frozenset(
    {
        # These four are botocore's own: there is nothing to sign a request with, or it cannot be made.
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
        "ValidationException",
        "RequestEntityTooLargeException",
        "413",
    }
)


class BusNotFoundError(Exception):
    """There is no such bus; what is put on it vanishes."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The bus took the event.

    Attributes:
        envelope_id: id that the bus gave it, the correlation id of everything that follows.
        sent_at: when the request that succeeded was sent.
    """

    entry: Entry
    envelope_id: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Unsent:
    """The bus did not take the event, or its answer was lost; sending it again is safe."""

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
    """What became of a call of :meth:`Publisher.publish`."""

    accepted: int = 0
    unsent: list[Unsent] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def prepare(event: Mapping[str, Any], position: int = 1) -> Entry:
    """Validate an event and give it the identity that makes a resend harmless.

    Raises:
        InvalidEventError: the event breaks the contract.
    """
    if not isinstance(event, Mapping):
        raise InvalidEventError(
            Reason.INVALID_ENVELOPE, f"expected an object, got {type_name(event)}", path=("detail",)
        )
    return prepare_text(dumps(dict(event)), position)


def prepare_text(text: str, position: int = 1) -> Entry:
    """The same for an event that is JSON already.

    Raises:
        InvalidEventError: the text is no JSON, or the event breaks the contract.
    """
    event = parse_event(loads(text))
    ensure_fits(event)
    ensure_carried(event.detail)
    return Entry(position, event.event_type, dumps({**event.detail, "event_id": event.event_id}))


def ensure_carried(value: object, name: str = "event") -> None:
    """Refuse numbers that would not come out of the bus as they went in.

    The API reference of PutEvents allows integers of 64 bits. It is silent on decimals, which JSON readers
    commonly take for 64-bit floats (the local engine's bus does): one that a float rounds must be a text.
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html

    Raises:
        InvalidEventError: names the number.
    """
    # Most values are texts: nothing else is asked of them.
    if isinstance(value, str):
        return
    if isinstance(value, dict):
        for key, element in value.items():
            ensure_carried(element, key)
    elif isinstance(value, list):
        for element in value:
            ensure_carried(element, name)
    elif isinstance(value, Decimal):
        is_integer = value.as_tuple().exponent == 0
        if is_integer:
            is_carried = -_INTEGER_LIMIT <= value < _INTEGER_LIMIT
        else:
            is_carried = Decimal(repr(float(value))) == value
        if not is_carried:
            expected = "an integer of 64 bits" if is_integer else "a decimal that a 64-bit float holds"
            raise InvalidEventError(
                Reason.NUMBER_OUT_OF_RANGE,
                f"expected {expected}",
                path=(name,),
                found=f", got {shown(str(value))}; send it as a text",
            )


class Publisher:
    """Puts events on the bus of one stage.

    Args:
        client: EventBridge client; it should not retry by itself.
        bus_name: of the bus.
        concurrency: requests under way at once.
        max_attempts: how often an entry is sent before it is handed back.
    """

    def __init__(
        self, client: "EventBridgeClient", bus_name: str, *, concurrency: int = 4, max_attempts: int = 8
    ) -> None:
        self._client = client
        self._bus_name = bus_name
        self._concurrency = concurrency
        self._max_attempts = max_attempts

    @classmethod
    def connect(cls, environment: str, *, concurrency: int = 4) -> "Publisher":
        """Publisher for a stage, with credentials and region found as boto3 finds them.

        But ``AWS_REGION`` comes first, as in the AWS CLI and the other SDKs.

        Raises:
            as :meth:`ensure_bus`, which it calls.
        """
        config = Config(
            connect_timeout=2,
            read_timeout=5,
            retries={"total_max_attempts": 1},
            max_pool_connections=concurrency,
        )
        client = boto3.client("events", config=config, region_name=os.environ.get("AWS_REGION") or None)
        publisher = cls(client, names.event_bus_name(environment), concurrency=concurrency)
        publisher.ensure_bus()
        return publisher

    def ensure_bus(self) -> None:
        """Make sure that the bus is there: the service accepts events for one that is not, and drops them.

        https://github.com/aws/aws-cli/issues/9186

        Raises:
            BusNotFoundError: there is no such bus.
            botocore.exceptions.ClientError: the service takes no request of this caller.
            botocore.exceptions.BotoCoreError: it cannot be reached, or nothing can sign the request.
        """
        try:
            self._client.describe_event_bus(Name=self._bus_name)
        except ClientError as error:
            code = error_code(error)
            if code == "ResourceNotFoundException":
                raise BusNotFoundError(
                    f"no event bus {self._bus_name} at {self._client.meta.endpoint_url}"
                ) from error
            # Who may put events need not be allowed to describe the bus, and a throttle passes.
            if code in _PERMANENT_ERRORS and code != "AccessDeniedException":
                raise

    def publish(self, events: Iterable[Mapping[str, Any]]) -> PublishResult:
        """Validate and send events; a broken one never stops the rest."""
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

    def send(self, entries: Iterable[Entry]) -> Generator[Accepted | Unsent, None, None]:
        """Send prepared entries, a few requests at a time, and yield a receipt for each as it is known.

        Entries are taken as they are needed, so a stream of any length keeps the memory flat. Where taking
        them fails, those taken before are sent and have their receipts before the error is raised. Closing
        the generator ends it as soon as the requests under way are answered.
        """
        batches = packed(entries)
        failure: Exception | None = None
        under_way: set[Future[list[Accepted | Unsent]]] = set()
        stopped = threading.Event()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="publish")
        try:
            while True:
                try:
                    batch = next(batches, None)
                except Exception as error:  # noqa: BLE001 - raised again below
                    failure = error
                    break
                if batch is None:
                    break
                under_way.add(pool.submit(self._send_batch, batch, stopped))
                if len(under_way) >= 2 * self._concurrency:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield from future.result()
            for future in under_way:
                yield from future.result()
        finally:
            # Without this an interrupt would wait for every attempt of every batch.
            stopped.set()
            pool.shutdown(cancel_futures=True)
        if failure:
            raise failure

    def _send_batch(self, batch: Sequence[Entry], stopped: threading.Event) -> list[Accepted | Unsent]:
        receipts: list[Accepted | Unsent] = []
        left: list[Unsent] = [Unsent(entry, "NotTried") for entry in batch]
        bound = 0.1
        for attempt in range(self._max_attempts):
            if attempt:
                if stopped.wait(random.uniform(bound / 2, bound)):  # noqa: S311 - jitter
                    break
                bound = min(bound * 2, 5.0)
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
