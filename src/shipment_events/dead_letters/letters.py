"""Dead letters as read from the queue, and their selection."""

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
    """An id matches several dead letters instead of one. The message lists them."""


@dataclass(frozen=True, slots=True)
class DeadLetterMessage:
    """One message of the dead-letter queue.

    Attributes:
        envelope_id: the id that the bus gave to the event; empty if the body is not an envelope.
        reason: code of a :class:`DeadLetterReason`, or an unknown text.
        detail: explanation for people.
        shipment_id: empty if the body has none.
        event_id: the producer's id; empty if the body has none.
        sent_at: when the message was first queued. SQS keeps this time when it moves a message.
        receives: how often the message was received since then, including by readers of the dead-letter
            queue.
        body: the body of the message, unchanged.
        attributes: message attributes, written by the processor or by EventBridge.
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
        """Equal for two dead letters of the same delivery."""
        return self.envelope_id or self.body

    def as_json(self) -> dict[str, Any]:
        """One line of an export. ``body`` is the unchanged text."""
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
        """Read the result of :meth:`as_json`.

        Raises:
            ValueError: ``sent_at`` is not a time.
            TypeError: a field is missing or unknown, or ``body`` is not a text.
        """
        letter = cls(**{**line, "sent_at": datetime.fromisoformat(line["sent_at"])})
        if not isinstance(letter.body, str):
            raise TypeError("body: expected a text")
        return letter


@dataclass(frozen=True, slots=True)
class Selection:
    """The dead letters that a command works on. A criterion that is None matches all.

    Attributes:
        identifier: message id or envelope id, or the beginning of one.
        message_ids: whole message ids.
        sent_before: matches dead letters first queued before this moment.
        sent_after: matches dead letters first queued after this moment.
    """

    reason: str | None = None
    shipment_id: str | None = None
    identifier: str | None = None
    sent_before: datetime | None = None
    sent_after: datetime | None = None
    message_ids: frozenset[str] | None = None

    def takes(self, letter: DeadLetterMessage) -> bool:
        """Whether the dead letter matches every criterion."""
        return (
            self.reason in (None, letter.reason)
            and self.shipment_id in (None, letter.shipment_id)
            and (
                self.identifier is None
                or letter.message_id.startswith(self.identifier)
                or letter.envelope_id.startswith(self.identifier)
            )
            and (self.message_ids is None or letter.message_id in self.message_ids)
            and (self.sent_before is None or letter.sent_at < self.sent_before)
            and (self.sent_after is None or letter.sent_at > self.sent_after)
        )


def require_one(chosen: Sequence[DeadLetterMessage], selection: Selection) -> list[DeadLetterMessage]:
    """Return the dead letters if they are one or none. An export may have one dead letter several times.

    Raises:
        NotOneLetterError: they are several.
    """
    ids = list(dict.fromkeys(letter.message_id for letter in chosen))
    if len(ids) > 1:
        more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
        raise NotOneLetterError(
            f"{selection.identifier!r} matches {len(ids):,} dead letters: {', '.join(ids[:_NAMED])}{more}."
            " Nothing was changed. Give the whole message id of one."
        )
    return list(chosen)


@dataclass(frozen=True, slots=True)
class Reading:
    """The dead letters that were visible.

    Attributes:
        hidden: how many more the queue counts. Other commands hold them, or the approximate count is out of
            date.
    """

    letters: list[DeadLetterMessage]
    hidden: int = 0


def dead_letter(message: "MessageTypeDef") -> DeadLetterMessage:
    """Read a message of the dead-letter queue."""
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
    """Shipment id and event id; empty if the body has none. The body may be any text."""
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
    # SQS sets this attribute on a message that it moved from another queue.
    if "DeadLetterQueueSourceArn" in message.get("Attributes", {}):
        said = "every receive failed; the processor's log shows each error"
        return DeadLetterReason.RETRIES_EXHAUSTED.value, said
    return DeadLetterReason.UNMATCHED.value, "no rule matches its source or detail-type"
