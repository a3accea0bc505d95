"""The current state of a shipment. It depends on the set of stored events, not on the order of their records.

Each value comes from the last event, in the order of places, that has it and is not void. A state keeps the
place of each value, and an event at a higher place replaces it. So a fold needs no older events. Only a
retraction can take a value back. The events are then read again, because the state has no older values.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from shipment_events.contract.moments import utc_text
from shipment_events.tracking.news import (
    AHEAD,
    ESTIMATE,
    News,
    event_id_at,
    mark_of,
    moment_of,
    status_at_place,
)
from shipment_events.tracking.vocabulary import FINISHED, RANKS

MAX_RETRACTIONS: Final = 64
"""Maximum number of retraction marks in a state. They take less than a kilobyte. The events of a shipment
with more retractions are read for each new event."""
STREAM_RETENTION: Final = timedelta(hours=24)
"""How long a stream keeps a record.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
"""
_SEVERAL: Final = "*"


class Value(NamedTuple):
    """A value and the place of the event that gave it. ``copy`` is None if the value is too long."""

    place: str
    copy: str | None


class First(NamedTuple):
    """When a status was first given, and the mark of the event; ``*`` for several events at the moment."""

    moment: str
    mark: str


@dataclass(frozen=True, slots=True)
class State:
    """The state of a shipment. A place is a string, or empty (see :class:`~.news.News`).

    Attributes:
        shipment_id: the shipment.
        latest: place of the last event that is news.
        summary: copy of that event's descriptive fields.
        first: place of the first event that is news.
        status_from: place of the event that gives the status. Its rank gives the status.
        values: carrier, tracking number and estimate, each with the place of its event.
        seen: when each status was first given.
        retracted: marks of the void event ids; None if there are too many.
        stored_at: when its last event was stored, including void and future events. The state expires one
            retention later, together with its last event.
    """

    shipment_id: str
    latest: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    first: str = ""
    status_from: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    seen: Mapping[str, First] = field(default_factory=dict)
    retracted: frozenset[str] | None = frozenset()
    stored_at: str = ""

    @property
    def status(self) -> str | None:
        """One of ``STATUSES``, or None if no event gave one."""
        return status_at_place(self.status_from)

    @property
    def status_at(self) -> str:
        """Moment of the event that gives the status; empty for none."""
        return moment_of(self.status_from)

    @property
    def latest_at(self) -> str:
        """Moment of the latest news; empty for none."""
        return moment_of(self.latest)

    @property
    def first_at(self) -> str:
        """Moment of the first news; empty for none."""
        return moment_of(self.first)

    @property
    def delivered_at(self) -> str:
        """Moment of the delivery while the shipment is delivered, else empty."""
        return self.status_at if self.status == "delivered" else ""

    @property
    def estimated_delivery(self) -> str | None:
        """Expected moment of delivery, or None."""
        return self.copy_of(ESTIMATE)

    @property
    def is_finished(self) -> bool:
        """Whether nothing more is expected. A shipment without a status is not finished."""
        return self.status in FINISHED

    @property
    def places(self) -> set[str]:
        """Places of all events that give it a value."""
        given = {value.place for value in self.values.values()}
        return (given | {self.latest, self.first, self.status_from}) - {""}

    def copy_of(self, name: str) -> str | None:
        """Current value of one of ``VALUES``; None if there is none or it is too long."""
        value = self.values.get(name)
        return value.copy if value else None

    def place_of(self, name: str) -> str:
        """Place of the event that gives one of ``VALUES``; empty for none."""
        value = self.values.get(name)
        return value.place if value else ""

    def is_first(self, place: str) -> bool:
        """Whether the event at this place is the first known one, not void, that gave its status."""
        status = status_at_place(place)
        if status is None:
            return False
        first = self.seen[status]
        return first.moment == moment_of(place) and first.mark == mark_of(event_id_at(place))


@dataclass(frozen=True, slots=True)
class Reading:
    """All events of a shipment, from one consistent Query.

    Attributes:
        events: the events without conflicts.
        outlived_until: latest moment of an event that may have expired. The state keeps a value without an
            event up to this moment, and drops a later one.
        records_since: the stream still has the records of events that were stored since this time.
    """

    events: Collection[News]
    outlived_until: str
    records_since: str

    @classmethod
    def taken(cls, events: Collection[News], now: datetime, retention: timedelta) -> "Reading":
        """A reading at ``now`` (aware), of a table that keeps events for ``retention``."""
        return cls(
            events=events,
            # News is stored at most AHEAD before its moment, so no news after this moment has expired.
            outlived_until=utc_text(now - retention + AHEAD),
            records_since=utc_text(now - STREAM_RETENTION),
        )


def must_be_read(state: State | None, news: Iterable[News]) -> bool:
    """Whether the shipment's events must be read before this news can be folded.

    This is so if the shipment has no state, if the state does not know a retraction, and if the state has too
    many retractions.
    """
    if state is None or state.retracted is None:
        return True
    return any(one.retracts and one.retracts not in state.retracted for one in news)


class Fold:
    """Folds the events of one shipment one by one. ``state`` is the current result.

    Args:
        shipment_id: the shipment.
        before: its state so far, or None.
        reading: its events, without the events to be added; None if they need not be read (see
            :func:`must_be_read`).
    """

    def __init__(self, shipment_id: str, before: State | None = None, reading: Reading | None = None) -> None:
        self.state = before or State(shipment_id)
        self._retracted = set(self.state.retracted or ())
        self._known: dict[str, News] | None = None
        if reading is None:
            return
        self._known = {news.place: news for news in reading.events}
        self._before, self._outlived_until = self.state, reading.outlived_until
        self._retracted.update(news.retracts for news in self._known.values() if news.retracts)
        self._begin_anew()

    def add(self, news: News) -> State:
        """Fold an event, which may be a repeat, and return the state.

        Raises:
            ValueError: the shipment's events must be read first.
        """
        if self._known is None:
            if must_be_read(self.state, [news]):
                raise ValueError(f"expected the events of the shipment to be read for {news.place}")
            self.state = _plus(self.state, news, self._retracted)
            return self.state
        self._known[news.place] = news
        if news.retracts and news.retracts not in self._retracted:
            self._retracted.add(news.retracts)
            self._begin_anew()
        else:
            self.state = self._remembering(_plus(self.state, news, self._retracted))
        return self.state

    def _begin_anew(self) -> None:
        assert self._known is not None  # noqa: S101 - for the type checker: the caller has read the events
        state = _outlived(self._before, self._known, self._retracted, self._outlived_until)
        for news in self._known.values():
            state = _plus(state, news, self._retracted)
        self.state = self._remembering(state)

    def _remembering(self, state: State) -> State:
        marks = frozenset(self._retracted) if len(self._retracted) <= MAX_RETRACTIONS else None
        return state if state.retracted == marks else replace(state, retracted=marks)


def fold(shipment_id: str, events: Iterable[News]) -> State:
    """State of a shipment that has exactly these events."""
    return Fold(shipment_id, reading=Reading(list(events), "", "")).state


def _plus(state: State, news: News, retracted: Set[str]) -> State:
    """The state with another event, which may be a repeat."""
    stored_at = max(state.stored_at, news.stored_at)
    if not news.is_news or (retracted and mark_of(event_id_at(news.place)) in retracted):
        return state if stored_at == state.stored_at else replace(state, stored_at=stored_at)
    place = news.place
    is_latest = place >= state.latest
    status = status_at_place(place)
    values = state.values
    for name, copy in news.values.items():
        if place >= state.place_of(name):
            values = {**values, name: Value(place, copy)}
    return State(
        shipment_id=state.shipment_id,
        latest=place if is_latest else state.latest,
        summary=news.summary if is_latest else state.summary,
        first=min(state.first, place) if state.first else place,
        status_from=max(state.status_from, place) if status else state.status_from,
        values=values,
        seen=_seen(state.seen, status, place) if status else state.seen,
        retracted=state.retracted,
        stored_at=stored_at,
    )


def _seen(seen: Mapping[str, First], status: str, place: str) -> Mapping[str, First]:
    moment, first = moment_of(place), seen.get(status)
    if first and moment > first.moment:
        return seen
    mark = mark_of(event_id_at(place))
    if first and moment == first.moment:
        if first.mark in {mark, _SEVERAL}:
            return seen
        mark = _SEVERAL
    return {**seen, status: First(moment, mark)}


def _outlived(before: State, known: Mapping[str, News], retracted: Set[str], until: str) -> State:
    """The part of the state that comes from expired events: not read, not void, and old enough."""
    seen = {
        status: first
        for status, first in before.seen.items()
        if first.moment <= until and not _is_void(first, status, known, retracted)
    }
    state = State(before.shipment_id, seen=seen, stored_at=before.stored_at)
    for news in _remembered(before):
        if moment_of(news.place) <= until and news.place not in known:
            state = _plus(state, news, retracted)
    return state


def _is_void(first: First, status: str, known: Mapping[str, News], retracted: Set[str]) -> bool:
    """Whether the first event of a status is void. Of several first events: whether one is void."""
    if first.mark != _SEVERAL:
        return first.mark in retracted
    beginning = f"{first.moment}{RANKS[status]}#"
    return any(place.startswith(beginning) and mark_of(event_id_at(place)) in retracted for place in known)


def _remembered(state: State) -> Iterator[News]:
    """The events that gave the state's values, with the fields that the state keeps."""
    for place in state.places:
        yield News(
            place=place,
            stored_at=state.stored_at,
            values={name: value.copy for name, value in state.values.items() if value.place == place},
            summary=state.summary if place == state.latest else {"event_id": event_id_at(place)},
        )
