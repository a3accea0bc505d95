"""Dead letters: which event each one is, why it is there, and how to go through them without losing one."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from shipment_events.contract.event import find_envelope_id
from shipment_events.contract.outcome import Reason
from shipment_events.dead_letters.holds import Holds
from shipment_events.queue.messages import (
    DETAIL_ATTRIBUTE,
    REASON_ATTRIBUTE,
    delete,
    depths,
    peek,
    receive,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

UNMATCHED: Final = "unmatched"
DELIVERY_FAILED: Final = "delivery_failed"
RETRIES_EXHAUSTED: Final = "retries_exhausted"
REASONS: Final = (*(reason.value for reason in Reason), DELIVERY_FAILED, RETRIES_EXHAUSTED, UNMATCHED)

# Long enough for a batch to be sent and deleted, short enough that after a killed command nobody waits long.
HOLD_SECONDS: Final = 20
_CONCURRENCY: Final = 4
# Receives of a second each that wait for what others hold: a look of somebody else is over by then.
_PATIENCE: Final = 5


@dataclass(frozen=True, slots=True)
class DeadLetterMessage:
    """One message of the dead-letter queue.

    Attributes:
        envelope_id: id that the bus gave to the event; empty where the body is no envelope.
        reason: a quarantine's code, or ``unmatched`` (no rule takes such an event), ``delivery_failed``
            (the bus could not hand it to the queue) or ``retries_exhausted`` (three receives failed).
        detail: for people.
        shipment_id: empty where the body has none that is a text.
        event_id: the producer's; empty likewise.
        sent_at: when it was first queued; for a message that SQS moved, in the queue it came from.
        receives: how often it has been handed out since, readers of the dead-letter queue included.
        body: as it lies in the queue.
        attributes: of the message, by name: the processor's, or EventBridge's error.
    """

    message_id: str
    envelope_id: str
    reason: str
    detail: str
    shipment_id: str
    event_id: str
    sent_at: datetime
    receives: int
    body: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """The same for two dead letters of one delivery."""
        return self.envelope_id or self.body

    def as_json(self) -> dict[str, Any]:
        """One line of an export; ``body`` is the envelope as text, untouched."""
        return {
            "message_id": self.message_id,
            "envelope_id": self.envelope_id,
            "reason": self.reason,
            "detail": self.detail,
            "shipment_id": self.shipment_id,
            "event_id": self.event_id,
            "sent_at": self.sent_at.isoformat(timespec="milliseconds"),
            "receives": self.receives,
            "attributes": dict(self.attributes),
            "body": self.body,
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        """What ``as_json`` gave.

        Raises:
            ValueError: a value is none of its field's; TypeError: a field is missing or unknown.
        """
        letter = cls(**{**line, "sent_at": datetime.fromisoformat(line["sent_at"])})
        if not isinstance(letter.body, str):
            raise TypeError("body: expected a text")
        return letter


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; what is None does not matter.

    Attributes:
        identifier: message id or envelope id, or how one begins.
        sent_before: first queued before this moment; likewise ``sent_after``.
    """

    reason: str | None = None
    shipment_id: str | None = None
    identifier: str | None = None
    sent_before: datetime | None = None
    sent_after: datetime | None = None

    def takes(self, letter: DeadLetterMessage) -> bool:
        """Whether the dead letter is meant."""
        return (
            self.reason in (None, letter.reason)
            and self.shipment_id in (None, letter.shipment_id)
            and (
                self.identifier is None
                or letter.message_id.startswith(self.identifier)
                or letter.envelope_id.startswith(self.identifier)
            )
            and (self.sent_before is None or letter.sent_at < self.sent_before)
            and (self.sent_after is None or letter.sent_at > self.sent_after)
        )


@dataclass(slots=True)
class Settlement:
    """What became of the dead letters that a command went through.

    Attributes:
        settled: done and deleted.
        failed: why, for each that was not done; all of these are left in the queue.
        undeleted: why, for each that was done and is still in the queue.
        passed_over: not selected, left there.
        unseen: hidden by others at the end, so perhaps selected; approximate.
        interrupted: ended by a person before all were gone through; the others are left in the queue.
        still_broken: why, of those that were sent and break the contract as this package knows it.
    """

    settled: list[DeadLetterMessage] = field(default_factory=list)
    failed: list[tuple[DeadLetterMessage, str]] = field(default_factory=list)
    undeleted: list[tuple[DeadLetterMessage, str]] = field(default_factory=list)
    passed_over: int = 0
    unseen: int = 0
    interrupted: bool = False
    still_broken: Counter[str] = field(default_factory=Counter)

    @property
    def succeeded(self) -> bool:
        """All that was selected is done."""
        return not (self.failed or self.undeleted or self.unseen or self.interrupted)


Settle = Callable[[Sequence[DeadLetterMessage]], Mapping[int, str]]


def read_dead_letters(
    client: "SQSClient", queue_url: str, *, most: int | None = None
) -> list[DeadLetterMessage]:
    """Every message that is visible now, or so many, left where they are.

    Raises:
        botocore.exceptions.ClientError: the queue cannot be read.
    """
    return [_dead_letter(message) for message in peek(client, queue_url, most=most)]


def settle_dead_letters(
    client: "SQSClient",
    queue_url: str,
    selection: Selection,
    settle: Settle,
    *,
    hold_seconds: int = HOLD_SECONDS,
    before_receive: Callable[[], None] = lambda: None,
    on_progress: Callable[[Settlement], None] = lambda _: None,
) -> Settlement:
    """Hand the selected dead letters to ``settle``, at most ten at a time, and delete those it has done.

    A message is hidden from other operators while it is worked on. It is deleted only after ``settle``
    returned, so wherever this is interrupted or killed, the message becomes visible again by itself, and
    what was done for it is done once more.

    Args:
        settle: does what is to be done, and says why for the index of each that it could not do. It is
            called from several threads at once.
        hold_seconds: for how long others do not see a message if this is killed; prolonged while it runs.
        before_receive: called before each request for messages, to keep to a rate.

    Raises:
        botocore.exceptions.ClientError: the queue cannot be read.
    """
    result = Settlement()
    under_way: set[Future[Settlement]] = set()
    patience = _PATIENCE
    with (
        # Once more around all: to be interrupted while letters are put back leaves the rest to their holds.
        interruptible(result),
        Holds(client, queue_url, hold_seconds) as held,
        ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="settle") as pool,
    ):
        with interruptible(result):
            while patience:
                before_receive()
                messages = receive(client, queue_url, hold_seconds=hold_seconds)
                fresh = [message for message in messages if message["MessageId"] not in held]
                for message in messages:
                    held.add(message["MessageId"], message["ReceiptHandle"])
                letters = [(_dead_letter(message), message["ReceiptHandle"]) for message in fresh]
                work = [one for one in letters if selection.takes(one[0])]
                result.passed_over += len(letters) - len(work)
                if work:
                    under_way.add(pool.submit(_settle_batch, client, queue_url, work, settle))
                if len(under_way) >= _CONCURRENCY:
                    _collect(result, held, under_way)
                on_progress(result)
                if fresh:
                    patience = _PATIENCE
                    continue
                while under_way:
                    _collect(result, held, under_way)
                result.unseen = max(0, depths(client, queue_url).total - len(held))
                patience = patience - 1 if result.unseen else 0
        while under_way:
            _collect(result, held, under_way)
        on_progress(result)
    return result


@contextmanager
def interruptible(result: Settlement) -> Iterator[None]:
    """End a walk early where a person interrupts it, and let it say how far it came."""
    try:
        yield
    except KeyboardInterrupt:
        result.interrupted = True


def _collect(result: Settlement, held: Holds, under_way: set[Future[Settlement]]) -> None:
    """Wait for a batch, and move what is done from those under way to the result."""
    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
    for future in done:
        # Taken out first: an interrupt in between must not count it twice.
        under_way.remove(future)
        batch = future.result()
        result.settled += batch.settled
        result.failed += batch.failed
        result.undeleted += batch.undeleted
        held.drop(letter.message_id for letter in batch.settled)


def _settle_batch(
    client: "SQSClient", queue_url: str, work: Sequence[tuple[DeadLetterMessage, str]], settle: Settle
) -> Settlement:
    failed = settle([letter for letter, _ in work])
    settled = [one for index, one in enumerate(work) if index not in failed]
    undeleted = delete(client, queue_url, [handle for _, handle in settled]) if settled else {}
    return Settlement(
        settled=[letter for index, (letter, _) in enumerate(settled) if index not in undeleted],
        failed=[(work[index][0], why) for index, why in failed.items()],
        undeleted=[(settled[index][0], why) for index, why in undeleted.items()],
    )


def _dead_letter(message: "MessageTypeDef") -> DeadLetterMessage:
    body = message["Body"]
    reason, detail = _why(message)
    shipment_id, event_id = _names(body)
    attributes = message.get("Attributes", {})
    return DeadLetterMessage(
        message_id=message["MessageId"],
        envelope_id=find_envelope_id(body),
        reason=reason,
        detail=detail,
        shipment_id=shipment_id,
        event_id=event_id,
        sent_at=datetime.fromtimestamp(int(attributes.get("SentTimestamp", "0")) / 1000, UTC),
        receives=int(attributes.get("ApproximateReceiveCount", "0")),
        body=body,
        attributes=_attributes(message),
    )


def _names(body: str) -> tuple[str, str]:
    """Shipment id and event id, as far as there are any: the body may be anything."""
    try:
        detail = json.loads(body)["detail"]
        named = (detail.get("shipment_id"), detail.get("event_id"))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return "", ""
    shipment_id, event_id = (name if isinstance(name, str) else "" for name in named)
    return shipment_id, event_id


def _attributes(message: "MessageTypeDef") -> dict[str, str]:
    return {
        name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
    }


def _why(message: "MessageTypeDef") -> tuple[str, str]:
    attributes = _attributes(message)
    if REASON_ATTRIBUTE in attributes:
        return attributes[REASON_ATTRIBUTE], attributes.get(DETAIL_ATTRIBUTE, "")
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html names these attributes.
    if "ERROR_CODE" in attributes:
        return DELIVERY_FAILED, f"{attributes['ERROR_CODE']}: {attributes.get('ERROR_MESSAGE', '')}"
    # SQS notes the queue that it moved a message from.
    if "DeadLetterQueueSourceArn" in message.get("Attributes", {}):
        return RETRIES_EXHAUSTED, "every receive failed; the processor's log has each error"
    return UNMATCHED, "source or detail-type match no rule"
