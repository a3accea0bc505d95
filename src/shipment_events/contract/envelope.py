"""The envelope that EventBridge writes around an event."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shipment_events.contract.exact_json import loads, type_name
from shipment_events.contract.names import SOURCE
from shipment_events.contract.outcome import InvalidEventError, Reason, shown

# The longest of the bus's own texts is the ARN of a replay.
_MAX_LABEL_CHARACTERS: Final = 1600


@dataclass(frozen=True, slots=True)
class Envelope:
    """What EventBridge writes around an event.

    Attributes:
        id: given by the bus to each accepted event; the correlation id of logs and items.
        time: when the bus accepted it, whole seconds, ISO 8601; empty where it is absent.
        detail_type: equal to the event's type.
        replay_name: set where the event comes from a replay of the archive.
    """

    id: str
    time: str
    detail_type: str
    replay_name: str | None

    @property
    def accepted_at(self) -> datetime | None:
        """``time`` as an aware moment; None where it is none: bodies that come past the bus hold anything."""
        try:
            moment = datetime.fromisoformat(self.time)
        except ValueError:
            return None
        return moment if moment.tzinfo else None


def open_envelope(body: str) -> tuple[Envelope, dict[str, Any]]:
    """Read the body of a queue message: the envelope, and the event, not yet validated.

    Raises:
        InvalidEventError: the body is no JSON, no EventBridge envelope, or from another source than the
            pipeline's.
    """
    envelope = loads(body)
    if not isinstance(envelope, dict):
        raise InvalidEventError(
            Reason.INVALID_ENVELOPE,
            f"expected an EventBridge envelope, got {type_name(envelope)}",
            path=("body",),
        )
    for name, expected, kind in (("detail-type", "a text", str), ("detail", "an object", dict)):
        if not isinstance(envelope.get(name), kind):
            found = f"got {type_name(envelope[name])}" if name in envelope else "it is missing"
            raise InvalidEventError(Reason.INVALID_ENVELOPE, f"expected {expected}, {found}", path=(name,))
    _check_source(envelope)
    metadata = Envelope(
        id=_plain_text(envelope.get("id")),
        time=_plain_text(envelope.get("time")),
        detail_type=envelope["detail-type"],
        replay_name=_plain_text(envelope.get("replay-name")) or None,
    )
    return metadata, envelope["detail"]


def _check_source(envelope: Mapping[str, Any]) -> None:
    """The rule lets no other source pass, but a redrive or a message that comes past the bus may."""
    source = envelope.get("source")
    if source == SOURCE:
        return
    expected = f"expected {SOURCE}"
    if "source" not in envelope:
        expected += ", it is missing"
    elif not isinstance(source, str):
        expected += f", got {type_name(source)}"
    raise InvalidEventError(
        Reason.SOURCE_MISMATCH,
        expected,
        path=("source",),
        found=f", got {shown(source)}" if isinstance(source, str) else "",
    )


def find_envelope_id(body: str) -> str:
    """Id that the bus gave to a message's event, even where :func:`open_envelope` refuses it; or empty."""
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return _plain_text(envelope.get("id")) if isinstance(envelope, dict) else ""


def _plain_text(value: object) -> str:
    """The bus writes ASCII here; what came to the queue past the bus may hold anything."""
    return value if isinstance(value, str) and value.isascii() and len(value) <= _MAX_LABEL_CHARACTERS else ""
