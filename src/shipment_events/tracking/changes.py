"""The changes of a shipment that are announced. Each is announced at least once; repeats have the same id."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from shipment_events.contract.exact_json import canonical_json
from shipment_events.contract.moments import utc_text
from shipment_events.tracking.news import ESTIMATE, News, event_id_at, sort_key_at
from shipment_events.tracking.state import State
from shipment_events.tracking.vocabulary import STATUSES


class Kind(StrEnum):
    """Kinds of changes. A kind is the detail-type of its events."""

    STATUS_CHANGED = "shipment.status_changed"
    ESTIMATE_CHANGED = "shipment.estimate_changed"
    STALLED = "shipment.stalled"
    OVERDUE = "shipment.overdue"


_TEXT: Final[Mapping[str, Any]] = {"type": "string"}
_TEXT_OR_NULL: Final[Mapping[str, Any]] = {"type": ["string", "null"]}
_STATUS_OR_NULL: Final[Mapping[str, Any]] = {"enum": [*STATUSES, None]}
_MOMENT: Final[Mapping[str, Any]] = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$",
}

DETAIL: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "change_id": ("Unique id of the change. Repeats of the change have the same id.", _TEXT),
    "shipment_id": ("The shipment.", _TEXT),
    "tracking_number": ("The carrier's number; null if it is unknown or over 2 KB.", _TEXT_OR_NULL),
    "carrier": ("Who moves the shipment; null if it is unknown or over 2 KB.", _TEXT_OR_NULL),
    "status": ("The shipment's status after the change.", _STATUS_OR_NULL),
    "previous_status": ("The status before the change; null if the status did not change.", _STATUS_OR_NULL),
    "first_time": (
        "Whether this is the first known event, not void, that gave this status; null for other changes.",
        {"type": ["boolean", "null"]},
    ),
    "at": (
        "When the change happened, in UTC. Of two changes of a kind, the later one is valid. Changes at the"
        " same moment are a microsecond apart.",
        _MOMENT,
    ),
    "event_id": ("Id of the event that caused the change.", _TEXT_OR_NULL),
    "location": ("Where that event happened; null if it is unknown.", {"type": ["object", "null"]}),
    "estimated_delivery": ("When delivery is expected, in UTC.", {**_MOMENT, "type": ["string", "null"]}),
}
"""Description and JSON Schema of each field in the detail of a change. All fields are always present."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a shipment. ``DETAIL`` describes all fields except ``kind`` and ``cause``."""

    kind: Kind
    cause: News
    change_id: str
    shipment_id: str
    tracking_number: str | None
    carrier: str | None
    status: str | None
    previous_status: str | None
    first_time: bool | None
    at: str
    event_id: str | None
    location: Mapping[str, Any] | None
    estimated_delivery: str | None

    @property
    def detail(self) -> dict[str, Any]:
        """Detail of the event that announces the change. Numbers in ``location`` are ``Decimal``."""
        return {name: getattr(self, name) for name in DETAIL}


@dataclass(frozen=True, slots=True)
class Subject:
    """A value of the state whose changes are announced.

    Attributes:
        name: name of the value in an event and in a state.
        kind: kind of its changes.
        value: gets the value from a state, or None.
        place: gets the place of the event that gives the value, or an empty string.
    """

    name: str
    kind: Kind
    value: Callable[[State], str | None]
    place: Callable[[State], str]


SUBJECTS: Final = (
    Subject("status", Kind.STATUS_CHANGED, lambda state: state.status, lambda state: state.status_from),
    Subject(
        ESTIMATE,
        Kind.ESTIMATE_CHANGED,
        lambda state: state.estimated_delivery,
        lambda state: state.place_of(ESTIMATE),
    ),
)


def transition(subject: Subject, state: State, cause: News, previous: str | None, last_at: str) -> Change:
    """The change of a subject to its value in the state.

    Args:
        previous: the value before.
        last_at: the change gets a later ``at``. A retraction can be dated before the event that it voids, and
            two events can have the same moment. A consumer that orders by ``at`` would keep the wrong value.
    """
    is_status = subject.kind is Kind.STATUS_CHANGED
    place, at = subject.place(state), cause.happened_at
    return change(
        subject.kind,
        state,
        cause,
        place,
        at=at if at > last_at else just_after(last_at),
        previous_status=previous if is_status else None,
        first_time=state.is_first(place) if is_status else None,
    )


def just_after(moment: str) -> str:
    """The next microsecond."""
    return utc_text(datetime.fromisoformat(moment) + timedelta(microseconds=1))


def change(
    kind: Kind,
    state: State,
    cause: News,
    given_at: str,
    *,
    at: str,
    previous_status: str | None = None,
    first_time: bool | None = None,
) -> Change:
    """A change of a shipment.

    Args:
        state: the state after the change.
        cause: the event that caused it. It gives ``event_id`` and ``location``, even if it is a retraction
            that restores the value of an older event.
        given_at: place of the event that gives the new value, or empty.
        at: see ``DETAIL``.
    """
    return Change(
        kind=kind,
        cause=cause,
        change_id=_change_id(kind, state.shipment_id, cause.place, given_at),
        shipment_id=state.shipment_id,
        tracking_number=state.copy_of("tracking_number"),
        carrier=state.copy_of("carrier"),
        status=state.status,
        previous_status=previous_status,
        first_time=first_time,
        at=at,
        event_id=event_id_at(cause.place) or None,
        location=cause.summary.get("location"),
        estimated_delivery=state.estimated_delivery,
    )


def _change_id(kind: Kind, shipment_id: str, cause: str, given_at: str) -> str:
    # JSON, because an id can contain any separator.
    parts = [shipment_id, kind.value, sort_key_at(cause), sort_key_at(given_at)]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:32]
