"""The envelope that EventBridge writes around an event."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shipment_events.contract.exact_json import loads, type_name
from shipment_events.contract.names import SOURCE
from shipment_events.contract.outcome import InvalidEventError, Reason, shown

# The longest text that the bus writes is the ARN of a replay.
_MAX_LABEL_CHARACTERS: Final = 1600


@dataclass(frozen=True, slots=True)
class Envelope:
    """The JSON object that EventBridge writes around an event.

    Attributes:
        id: the bus gives one to each accepted event. It is the correlation id of logs and items.
        time: when the bus accepted the event: whole seconds, ISO 8601. Empty if absent.
        detail_type: equal to the event's type.
        replay_name: set if the event comes from a replay of the archive.
    """

    id: str
    time: str
    detail_type: str
    replay_name: str | None

    @property
    def accepted_at(self) -> datetime | None:
        """``time`` with its time zone; None if it is not a time, as in a message that skipped the bus."""
        try:
            moment = datetime.fromisoformat(self.time)
        except ValueError:
            return None
        return moment if moment.tzinfo else None


def open_envelope(body: str) -> tuple[Envelope, dict[str, Any]]:
    """Read the body of a queue message.

    Returns:
        The envelope, and the event before its validation.

    Raises:
        InvalidEventError: the body is not JSON or not an EventBridge envelope, or has another source.
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
    """Refuse another source. The rule does so too, but redrives and messages from elsewhere skip the rule."""
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
    """The envelope's id, even if :func:`open_envelope` refuses the envelope. Empty if there is none."""
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return _plain_text(envelope.get("id")) if isinstance(envelope, dict) else ""


def _plain_text(value: object) -> str:
    """The value if the bus may have written it: short ASCII text. Otherwise empty."""
    return value if isinstance(value, str) and value.isascii() and len(value) <= _MAX_LABEL_CHARACTERS else ""
