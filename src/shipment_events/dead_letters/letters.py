"""Dead letters: which event each one is, why it is there, and which are meant."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from shipment_events.contract.envelope import find_envelope_id
from shipment_events.dead_letters.reasons import DeadLetterReason
from shipment_events.errors import ShipmentEventsError
from shipment_events.queue.messages import DETAIL_ATTRIBUTE, REASON_ATTRIBUTE

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_NAMED: Final = 5


class NotOneLetterError(ShipmentEventsError):
    """An id that is to name one dead letter names several; the message says which."""


@dataclass(frozen=True, slots=True)
class DeadLetterMessage:
    """One message of the dead-letter queue.

    Attributes:
        envelope_id: id that the bus gave to the event; empty where the body is no envelope.
        reason: code of a :class:`DeadLetterReason`, or a foreign text.
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


def require_one(chosen: Sequence[DeadLetterMessage], selection: Selection) -> list[DeadLetterMessage]:
    """The chosen dead letters, which are one (an export may have it more than once) or none.

    Raises:
        NotOneLetterError: they are several.
    """
    ids = list(dict.fromkeys(letter.message_id for letter in chosen))
    if len(ids) > 1:
        more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
        raise NotOneLetterError(
            f"{selection.identifier!r} matches {len(ids):,} dead letters: {', '.join(ids[:_NAMED])}{more}."
            " Nothing is changed; name one by its whole message id."
        )
    return list(chosen)


@dataclass(frozen=True, slots=True)
class Reading:
    """The dead letters that were visible.

    Attributes:
        hidden: how many more the queue counts: others hold them, or the count is out of date; approximate.
    """

    letters: list[DeadLetterMessage]
    hidden: int = 0


def dead_letter(message: "MessageTypeDef") -> DeadLetterMessage:
    """What a message of the dead-letter queue says."""
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
        said = f"{attributes['ERROR_CODE']}: {attributes.get('ERROR_MESSAGE', '')}"
        return DeadLetterReason.DELIVERY_FAILED.value, said
    # SQS notes the queue that it moved a message from.
    if "DeadLetterQueueSourceArn" in message.get("Attributes", {}):
        said = "every receive failed; the processor's log has each error"
        return DeadLetterReason.RETRIES_EXHAUSTED.value, said
    return DeadLetterReason.UNMATCHED.value, "source or detail-type match no rule"
