"""What one stored event says of its shipment.

A stored event can be large, and a fold needs little of it: ``News`` is that little, with every rule applied
that concerns the event alone.
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
"""Of a value that a state or a change may repeat. A longer one is left out: the event has it."""
AHEAD: Final = timedelta(hours=24)
"""How far ahead of its own storing an event may be dated and still be news."""

# Both in the copy of the latest event and, by themselves, values of the state.
_SUMMARY: Final = ("event_type", "location", "description", "reason_code")
_TEXTS: Final = ("carrier", "tracking_number")
ESTIMATE: Final = "estimated_delivery"
VALUES: Final = (*_TEXTS, ESTIMATE)
"""Fields that a state takes from the last event that carries them."""

_MOMENT: Final = len("2025-03-01T13:05:00.000000Z")
_STORED_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


class Finding(StrEnum):
    """What is odd about an event and is counted: nobody is told by the state itself."""

    FUTURE = "future"
    """Dated more than 24 hours after it was stored: no news."""
    CONTRADICTION = "contradiction"
    """The producer's status is a word, and the event's type means another one."""
    INVALID_ESTIMATE = "invalid_estimate"
    """``estimated_delivery`` is not ISO 8601 with an offset: ignored."""
    INVALID_RETRACTION = "invalid_retraction"
    """``retracts`` can be no event id: ignored, so that the event is news like any other."""


class UnfoldableError(ShipmentEventsError, ValueError):
    """An item of the table that is no stored event: it says why."""


@dataclass(frozen=True, slots=True)
class News:
    """What one stored event says.

    Attributes:
        place: of the event in the order of its shipment's events: ``{moment}{rank}#{event_id}`` with the
            moment at fixed width and the rank of the status as one digit. So the order of the texts is the
            order by moment, then by rank, then by sort key; and the rank tells the status.
        stored_at: when the processor wrote it.
        is_news: whether it can give the state a value. A retraction does not (it is about another event: an
            EPCIS error declaration even repeats all that it declares wrong), nor an event from the future.
        retracts: mark of the event id that it declares void (see :func:`mark_of`), or empty.
        values: what it carries of ``VALUES``; None for a value that is too long to be copied. An empty text
            says nothing, as it cannot be told from a field that a producer has no value for.
        summary: copy of the fields that describe it, for readers.
        findings: what is odd about it.
    """

    place: str
    stored_at: str
    is_news: bool = True
    retracts: str = ""
    values: Mapping[str, str | None] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def moment_of(place: str) -> str:
    """Moment of a place; empty for none."""
    return place[:_MOMENT]


def status_at_place(place: str) -> str | None:
    """Status of the event at a place; None for none."""
    rank = int(place[_MOMENT]) if place else 0
    return STATUSES[rank - 1] if rank else None


def event_id_at(place: str) -> str:
    """Id of the event at a place; empty for none."""
    return place[_MOMENT + 2 :]


def sort_key_at(place: str) -> str:
    """Sort key of the event at a place, within the table of events; empty for none."""
    return place[:_MOMENT] + place[_MOMENT + 1 :]


def mark_of(event_id: str) -> str:
    """Twelve characters that stand for an event id where its 900 bytes are too many.

    72 bits of a hash: among a million ids of one shipment two are alike with a chance of 1 in 10 billion.
    """
    digest = hashlib.blake2b(event_id.encode(), digest_size=9).digest()
    return base64.b64encode(digest).decode("ascii")


def news_of_item(item: Mapping[str, "AttributeValueTypeDef"]) -> News | None:
    """What an item of the table says, or an image of it in the table's stream; None for a conflict's copy.

    Raises:
        UnfoldableError: the item is not of the processor's writing.
    """
    try:
        return news_of(stored_event(item))
    except UnfoldableError:
        raise
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnfoldableError(f"expected an item with an event, got {shown(repr(error))}") from None


def news_of(event: StoredEvent) -> News | None:
    """What a stored event says; None for a conflict's copy, which does not count.

    Raises:
        UnfoldableError: sort key, event type or time of storing are not of the processor's writing.
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
    """The value, or None where a copy would be too large; an object counts as its JSON."""
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
    # Nearly every event is older than its storing, and texts compare faster than times.
    if moment <= stored_at:
        return False
    return datetime.fromisoformat(moment) - datetime.fromisoformat(stored_at) > AHEAD
