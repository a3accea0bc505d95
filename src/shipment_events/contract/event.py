"""The shipment event: its fields, its validation and its identity.

An event is the ``detail`` of an EventBridge event. Its identity is ``(shipment_id, moment, event_id)``;
everything else is content.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from shipment_events.contract.exact_json import canonical_json, type_name
from shipment_events.contract.limits import (
    MAX_EVENT_ID_BYTES,
    MAX_EVENT_TYPE_CHARACTERS,
    MAX_SHIPMENT_ID_BYTES,
)
from shipment_events.contract.moments import utc_text
from shipment_events.contract.names import EVENT_TYPE_PREFIX
from shipment_events.contract.outcome import InvalidEventError, Reason, shown


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the contract.

    Attributes:
        kind: the expected JSON type and form. ``any`` accepts every value; its readers ignore a wrong one.
        required: whether an event without the field is refused. An optional field may also be ``null``.
        max_bytes: maximum UTF-8 length of a text, which must not be empty then; None for any text that fits
            into an item.
    """

    kind: Literal["text", "timestamp", "event_type", "object", "any"]
    description: str
    required: bool = False
    max_bytes: int | None = None


FIELDS: Final[Mapping[str, Field]] = {
    "shipment_id": Field(
        "text", "The shipment that the event belongs to.", required=True, max_bytes=MAX_SHIPMENT_ID_BYTES
    ),
    "event_timestamp": Field(
        "timestamp", "When it happened: ISO 8601 with an offset or Z, for example 2025-03-01T14:05:00+01:00.",
        required=True,
    ),
    "event_type": Field(
        "event_type", "What happened, for example shipment.departed; equal to the detail-type.", required=True
    ),
    "event_id": Field(
        "text", "The producer's own id of the event; derived from the content where it is absent.",
        max_bytes=MAX_EVENT_ID_BYTES,
    ),
    "carrier": Field("text", "Who moves the shipment."),
    "tracking_number": Field("text", "The carrier's number for the shipment."),
    "carrier_code": Field("text", "The carrier's own code for this kind of event."),
    "status": Field("text", "The shipment's status after the event."),
    "reason_code": Field("text", "Why, for exceptions."),
    "description": Field("text", "Free text for people."),
    "location": Field("object", "Where it happened."),
    "estimated_delivery": Field(
        "any", "When delivery is expected: ISO 8601 with an offset or Z. Other values are stored and ignored."
    ),
    "retracts": Field(
        "any", "The event_id of an event of the same shipment that this one declares void. Other values are"
        " stored and ignored.",
    ),
}  # fmt: skip
# Logs show these names only. Any other name is the producer's own text.
KNOWN_NAMES: Final = frozenset({*FIELDS, "event", "body", "source", "detail-type", "detail"})


@dataclass(frozen=True, slots=True)
class ShipmentEvent:
    """A valid event.

    Attributes:
        moment: ``event_timestamp`` in UTC with microseconds and a fixed width
            (``2025-03-01T13:05:00.000000Z``), so that text order is time order. Finer digits are cut.
        event_id: the producer's id, or one derived from the content.
        content_hash: SHA-256 (hex) of the content. Key order, white space, the spelling of numbers and the
            offset of the time do not change it.
        content_bytes: length of the canonical content in UTF-8.
        detail: the event as received, numbers as ``Decimal``.
    """

    shipment_id: str
    moment: str
    event_id: str
    event_type: str
    content_hash: str
    content_bytes: int
    detail: dict[str, Any]

    @property
    def sort_key(self) -> str:
        """The sort key of the event's item."""
        return f"{self.moment}#{self.event_id}"


def parse_event(detail: object, *, detail_type: str | None = None) -> ShipmentEvent:
    """Validate an event and derive its identity.

    Args:
        detail: the event as decoded by :func:`loads`.
        detail_type: the envelope's. If given, ``event_type`` must equal it.

    Raises:
        InvalidEventError: names the first rule that the event breaks.
    """
    if not isinstance(detail, dict):
        raise InvalidEventError(
            Reason.INVALID_ENVELOPE, f"expected an object, got {type_name(detail)}", path=("detail",)
        )
    for name, field in FIELDS.items():
        if name not in detail:
            if field.required:
                raise InvalidEventError(
                    Reason.MISSING_FIELD, f"expected {_expected(field)}, it is missing", path=(name,)
                )
        elif field.required or detail[name] is not None:
            _CHECKS[field.kind](name, detail[name], field)
    if detail_type is not None and detail["event_type"] != detail_type:
        raise InvalidEventError(
            Reason.EVENT_TYPE_MISMATCH,
            "expected the detail-type",
            path=("event_type",),
            found=f" {shown(detail_type)}, got {shown(detail['event_type'])}",
        )
    moment, finer_digits = _parse_timestamp("event_timestamp", detail["event_timestamp"])
    content = _canonical_content(detail, moment + finer_digits)
    content_hash = hashlib.sha256(content).hexdigest()
    return ShipmentEvent(
        shipment_id=detail["shipment_id"],
        moment=moment,
        event_id=event_id_of(detail, content_hash),
        event_type=detail["event_type"],
        content_hash=content_hash,
        content_bytes=len(content),
        detail=detail,
    )


def event_id_of(detail: Mapping[str, Any], content_hash: str) -> str:
    """The producer's id of a valid event, or the one derived from its content."""
    return detail.get("event_id") or content_hash[:32]


def utc_moment(timestamp: str) -> str:
    """The moment in UTC at fixed width, as sort keys have it, of a time as producers write it.

    Raises:
        InvalidEventError: it is not ISO 8601 with an offset, or not a time between the years 1 and 9999.
    """
    return _parse_timestamp("time", timestamp)[0]


def _canonical_content(detail: Mapping[str, Any], instant: str) -> bytes:
    content = {**detail, "event_timestamp": instant}
    content.pop("event_id", None)
    try:
        return canonical_json(content).encode()
    except UnicodeEncodeError as error:
        # JSON allows half of a surrogate pair. It is not Unicode text, so no service can store it.
        raise (_lone_surrogate(content) or error) from None


def _lone_surrogate(value: object, path: tuple[str | int, ...] = ()) -> InvalidEventError | None:
    """An error that names the first text that is not Unicode; None if there is none."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            expected = f"expected Unicode text, got a lone surrogate at character {error.start + 1}"
            return InvalidEventError(Reason.INVALID_TEXT, expected, path=path)
    elif isinstance(value, dict):
        for name, element in value.items():
            below = (*path, name)
            if found := _lone_surrogate(name, below) or _lone_surrogate(element, below):
                return found
    elif isinstance(value, list):
        for index, element in enumerate(value):
            if found := _lone_surrogate(element, (*path, index)):
                return found
    return None


# RFC 3339 and similar ISO 8601 forms: seconds may be absent, a comma may be the decimal sign, the offset may
# lack its colon or minutes. datetime checks the ranges of the fields, except that of the hour: newer Pythons
# read 24:00 as the next day, older ones refuse it.
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d)(?::(\d\d)(?:[.,](\d{1,18}))?)?"
    r"([Zz]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)",
    re.ASCII,
)


def _parse_timestamp(name: str, value: str) -> tuple[str, str]:
    """The moment, and the digits below a microsecond without trailing zeros."""
    match = _TIMESTAMP.fullmatch(value)
    if not match:
        raise _invalid_timestamp(name, value, "")
    date, time, seconds, fraction, offset = match.groups(default="")
    if seconds == "60":
        raise _invalid_timestamp(name, value, "; leap seconds are not supported")
    if offset in "Zz":
        offset = "+00:00"
    try:
        local = datetime.fromisoformat(f"{date}T{time}:{seconds or '00'}.{fraction[:6]:0<6}{offset}")
        moment = utc_text(local)
    except (ValueError, OverflowError) as error:
        raise _invalid_timestamp(name, value, f"; {error}") from None
    return moment, fraction[6:].rstrip("0")


def _invalid_timestamp(name: str, value: str, why: str) -> InvalidEventError:
    return InvalidEventError(
        Reason.INVALID_TIMESTAMP,
        "expected ISO 8601 with an offset or Z",
        path=(name,),
        found=f", got {shown(value)}{why}",
    )


def _check_text(name: str, value: object, field: Field) -> None:
    if not isinstance(value, str) or not (value or field.max_bytes is None):
        raise _invalid_field(name, value, field)
    if field.max_bytes is None:
        return
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        # The event id is not part of the content, so the check of the content does not find this.
        raise (_lone_surrogate(value, (name,)) or error) from None
    if size > field.max_bytes:
        raise InvalidEventError(
            Reason.INVALID_FIELD, f"expected at most {field.max_bytes} bytes, got {size}", path=(name,)
        )


def _check_timestamp(name: str, value: object, field: Field) -> None:
    if not isinstance(value, str):
        raise InvalidEventError(
            Reason.INVALID_TIMESTAMP, f"expected {_expected(field)}, got {type_name(value)}", path=(name,)
        )


def _check_event_type(name: str, value: object, field: Field) -> None:
    if not (
        isinstance(value, str)
        and value.startswith(EVENT_TYPE_PREFIX)
        and len(EVENT_TYPE_PREFIX) < len(value) <= MAX_EVENT_TYPE_CHARACTERS
    ):
        raise _invalid_field(name, value, field)


def _check_object(name: str, value: object, field: Field) -> None:
    if not isinstance(value, dict):
        raise _invalid_field(name, value, field)


_CHECKS: Final[Mapping[str, Callable[[str, object, Field], None]]] = {
    "text": _check_text,
    "timestamp": _check_timestamp,
    "event_type": _check_event_type,
    "object": _check_object,
    "any": lambda _name, _value, _field: None,
}


def _invalid_field(name: str, value: object, field: Field) -> InvalidEventError:
    expected = f"expected {_expected(field)}"
    if isinstance(value, str):
        return InvalidEventError(Reason.INVALID_FIELD, expected, path=(name,), found=f", got {shown(value)}")
    return InvalidEventError(Reason.INVALID_FIELD, f"{expected}, got {type_name(value)}", path=(name,))


def _expected(field: Field) -> str:
    return {
        "text": "a text" if field.max_bytes is None else "a non-empty text",
        "timestamp": "ISO 8601 with an offset or Z",
        "event_type": f"{EVENT_TYPE_PREFIX}* of at most {MAX_EVENT_TYPE_CHARACTERS} characters",
        "object": "an object",
        "any": "any value",
    }[field.kind]


def place_of(location: object) -> str:
    """The texts of an event's ``location`` in a line."""
    if not isinstance(location, Mapping):
        return ""
    return " ".join(value for value in location.values() if isinstance(value, str))
