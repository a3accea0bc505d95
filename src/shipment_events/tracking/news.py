"""What one stored event says about its shipment.

A fold needs only a small part of an event. ``News`` is this part, after all rules for a single event.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from shipment_events.contract.event import utc_moment
from shipment_events.contract.exact_json import canonical_json, type_name
from shipment_events.contract.limits import MAX_EVENT_ID_BYTES
from shipment_events.contract.outcome import InvalidEventError, shown
from shipment_events.errors import ShipmentEventsError
from shipment_events.table.item import CONFLICT, StoredEvent, stored_event
from shipment_events.tracking.vocabulary import RANKS, STATUSES, status_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

MAX_COPY_BYTES: Final = 2048
"""Maximum size of a value that is copied into a state or a change. A longer value is left out."""
AHEAD: Final = timedelta(hours=24)
"""How long after its time of storing an event may be dated and still be news."""

# Fields in the copy of the latest event, and fields that are values of the state.
_SUMMARY: Final = ("event_type", "location", "description", "reason_code")
_TEXTS: Final = ("carrier", "tracking_number")
ESTIMATE: Final = "estimated_delivery"
VALUES: Final = (*_TEXTS, ESTIMATE)
"""Fields that a state takes from the last event that has them."""

_MOMENT: Final = len("2025-03-01T13:05:00.000000Z")
_STORED_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


class Finding(StrEnum):
    """Unusual properties of an event. They are counted, because the state does not show them."""

    FUTURE = "future"
    """It is dated more than 24 hours after it was stored, so it is not news."""
    CONTRADICTION = "contradiction"
    """The producer's status contradicts the event's type."""
    INVALID_ESTIMATE = "invalid_estimate"
    """``estimated_delivery`` is not ISO 8601 with an offset, and is ignored."""
    INVALID_RETRACTION = "invalid_retraction"
    """``retracts`` cannot be an event id, and is ignored. The event is news."""


class UnfoldableError(ShipmentEventsError, ValueError):
    """An item of the table is not a stored event."""


@dataclass(frozen=True, slots=True)
class News:
    """What one stored event says.

    Attributes:
        place: position among the shipment's events: ``{moment}{rank}#{event_id}``. The moment has a fixed
            width, and the rank of the status is one digit. So text order is the order by moment, rank and
            event id, and the rank gives the status.
        stored_at: when the processor wrote it.
        is_news: whether it can give the state a value. An event from the future cannot. A retraction cannot,
            because it is about another event: an EPCIS error declaration repeats the fields of that event.
        retracts: mark of the event id that it voids (see :func:`mark_of`), or empty.
        values: its fields of ``VALUES``; None for a value that is too long. An empty string is left out,
            because it can mean that the producer has no value.
        summary: copy of its descriptive fields, for readers.
        findings: its unusual properties.
    """

    place: str
    stored_at: str
    is_news: bool = True
    retracts: str = ""
    values: Mapping[str, str | None] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def happened_at(self) -> str:
        """Its moment. For an event from the future or without a place: when it was stored."""
        if Finding.FUTURE in self.findings or not self.place:
            return self.stored_at
        return moment_of(self.place)


def moment_of(place: str) -> str:
    """Moment of a place. Empty for an empty place."""
    return place[:_MOMENT]


def status_at_place(place: str) -> str | None:
    """Status of the event at a place, or None."""
    rank = int(place[_MOMENT]) if place else 0
    return STATUSES[rank - 1] if rank else None


def event_id_at(place: str) -> str:
    """Id of the event at a place. Empty for an empty place."""
    return place[_MOMENT + 2 :]


def sort_key_at(place: str) -> str:
    """Sort key of the event at a place, in the table of events. Empty for an empty place."""
    return place[:_MOMENT] + place[_MOMENT + 1 :]


def mark_of(event_id: str) -> str:
    """Twelve characters that represent an event id, which can have 900 bytes.

    They are 72 bits of a hash. Among a million ids, two marks are equal with a chance of 1 in 10 billion.
    """
    digest = hashlib.blake2b(event_id.encode(), digest_size=9).digest()
    return base64.b64encode(digest).decode("ascii")


def news_of_item(item: Mapping[str, "AttributeValueTypeDef"]) -> News | None:
    """The news of an item in the table or in its stream; None for a conflict.

    Raises:
        UnfoldableError: the processor did not write this item.
    """
    try:
        return news_of(stored_event(item))
    except UnfoldableError:
        raise
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnfoldableError(f"expected an item with an event, got {shown(repr(error))}") from None


def news_of(event: StoredEvent) -> News | None:
    """The news of a stored event; None for a conflict.

    Raises:
        UnfoldableError: sort key, event type or time of storing are invalid.
    """
    if event.status == CONFLICT:
        return None
    detail = event.detail
    moment, _, event_id = event.sort_key.partition("#")
    event_type = detail.get("event_type")
    for name, text in (("event_timestamp", moment), ("stored_at", event.stored_at)):
        if not _STORED_MOMENT.fullmatch(text):
            raise UnfoldableError(f"{name}: expected a moment in UTC, got {shown(text)}")
    if not isinstance(event_type, str):
        raise UnfoldableError(f"event_type: expected a text, got {type_name(event_type)}")
    findings = []
    status, contradicts = status_of(event_type, detail.get("status"))
    if contradicts:
        findings.append(Finding.CONTRADICTION)
    values: dict[str, str | None] = {
        name: _copy(value) for name in _TEXTS if isinstance(value := detail.get(name), str) and value
    }
    if (estimate := detail.get(ESTIMATE)) is not None:
        if expected := _moment(estimate):
            values[ESTIMATE] = expected
        else:
            findings.append(Finding.INVALID_ESTIMATE)
    retracts = ""
    if (retracted := detail.get("retracts")) is not None:
        if _can_be_event_id(retracted):
            retracts = mark_of(retracted)
        else:
            findings.append(Finding.INVALID_RETRACTION)
    if future := _is_ahead(moment, event.stored_at):
        findings.append(Finding.FUTURE)
    return News(
        place=f"{moment}{RANKS[None if retracts else status]}#{event_id}",
        stored_at=event.stored_at,
        is_news=not (retracts or future),
        retracts=retracts,
        values=values,
        summary=_summary(event_id, detail),
        findings=tuple(findings),
    )


def _summary(event_id: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    summary: dict[str, Any] = {"event_id": event_id}
    for name in _SUMMARY:
        if (value := detail.get(name)) is not None and (copy := _copy(value)) is not None:
            summary[name] = copy
    return summary


def _copy(value: Any) -> Any:
    """The value, or None if it is too large. The size of an object is the size of its JSON."""
    if isinstance(value, str):
        size = len(value)
        if size <= MAX_COPY_BYTES and not value.isascii():
            size = len(value.encode())
    else:
        size = len(canonical_json(value).encode())
    return value if size <= MAX_COPY_BYTES else None


def _moment(time: object) -> str | None:
    try:
        return utc_moment(time) if isinstance(time, str) else None
    except InvalidEventError:
        return None


def _can_be_event_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value.encode()) <= MAX_EVENT_ID_BYTES


def _is_ahead(moment: str, stored_at: str) -> bool:
    # Nearly all events are dated before they are stored, and strings compare faster than times.
    if moment <= stored_at:
        return False
    return datetime.fromisoformat(moment) - datetime.fromisoformat(stored_at) > AHEAD
