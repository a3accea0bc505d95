"""The current state of a shipment: a function of the set of its stored events, in whatever order they came.

Each value comes from the last event, in the order of places, that carries it and is not void. A maximum needs
no history: a state remembers the place that gave each value, and an event at a higher place replaces it. Only
a retraction can take a value back, and then the events have to be read again, as what comes next is not
remembered.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from shipment_events.table.item import utc_text
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
"""Marks of retracted ids that a state remembers, in less than a kilobyte. A shipment with more of them is
read again for each further event."""
STREAM_RETENTION: Final = timedelta(hours=24)
"""How long a stream keeps a record.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
"""
_SEVERAL: Final = "*"


class Value(NamedTuple):
    """A value and the place of the event that gave it; ``copy`` is None where the value is too long."""

    place: str
    copy: str | None


class First(NamedTuple):
    """When a status was first given, and by which event: its mark, or ``*`` for several at that moment."""

    moment: str
    mark: str


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a shipment. Places are texts, empty for none (see :class:`~.news.News`).

    Attributes:
        shipment_id: the shipment.
        latest: place of the last event that is news.
        summary: copy of that event's descriptive fields.
        first: place of the first event that is news.
        status_from: place of the event that gives the status; its rank tells the status.
        values: carrier, tracking number and estimate, each with its giver.
        seen: when each status was first given. It tells whether a status is given for the first time.
        retracted: marks of the event ids that are void; None where they are too many to be remembered.
        stored_at: when its last event was stored, void ones and those from the future included; the state
            expires a retention later, when the last of its events does.
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
        """One of ``STATUSES``, or None where no event gave one."""
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
        """Current value of one of ``VALUES``; None where there is none, and where it is too long."""
        value = self.values.get(name)
        return value.copy if value else None

    def place_of(self, name: str) -> str:
        """Place of the event that gives one of ``VALUES``; empty for none."""
        value = self.values.get(name)
        return value.place if value else ""

    def is_first(self, place: str) -> bool:
        """Whether no earlier event that is known and not void gave the status of the one at this place."""
        status = status_at_place(place)
        if status is None:
            return False
        first = self.seen[status]
        return first.moment == moment_of(place) and first.mark == mark_of(event_id_at(place))


@dataclass(frozen=True, slots=True)
class Reading:
    """All events of a shipment, from one consistent Query, and what is known of the others.

    Attributes:
        events: without the copies of conflicts.
        outlived_until: latest moment of an event that may have expired. Up to here, a state's value whose
            event was not read outlives that event; after it, such a value has no event and is dropped.
        records_since: time of storing from which on the stream still holds records.
    """

    events: Collection[News]
    outlived_until: str
    records_since: str

    @classmethod
    def taken(cls, events: Collection[News], now: datetime, retention: timedelta) -> "Reading":
        """A reading of now (aware), where the table keeps an event that long."""
        return cls(
            events=events,
            # No news is stored more than AHEAD before its moment, so none of a later moment has expired.
            outlived_until=utc_text(now - retention + AHEAD),
            records_since=utc_text(now - STREAM_RETENTION),
        )


def must_be_read(state: State | None, news: Iterable[News]) -> bool:
    """Whether these events cannot be folded into the state alone: then the shipment's events have to be read.

    So it is for a shipment without a state, for a retraction that the state does not know, and where the
    state has had too many retractions to remember them.
    """
    if state is None or state.retracted is None:
        return True
    return any(one.retracts and one.retracts not in state.retracted for one in news)


class Fold:
    """The events of one shipment, folded one by one; ``state`` is that of all that were added.

    Args:
        shipment_id: the shipment.
        before: its state so far, or None.
        reading: its events, but those that are to be added; or None where it need not be read (see
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
        """Fold one event more, or one again, and return the state.

        Raises:
            ValueError: the shipment has to be read for it.
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
        assert self._known is not None  # noqa: S101
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
    """The state with one event more, which may be one that it holds already."""
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
    """What the state holds of events that have expired: not read any more, not void, and old enough."""
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
    """Whether the first event of a status is void; of several: whether one is, as all are known then."""
    if first.mark != _SEVERAL:
        return first.mark in retracted
    beginning = f"{first.moment}{RANKS[status]}#"
    return any(place.startswith(beginning) and mark_of(event_id_at(place)) in retracted for place in known)


def _remembered(state: State) -> Iterator[News]:
    """The events that gave the state's values, as far as it remembers them."""
    for place in state.places:
        yield News(
            place=place,
            stored_at=state.stored_at,
            values={name: value.copy for name, value in state.values.items() if value.place == place},
            summary=state.summary if place == state.latest else {"event_id": event_id_at(place)},
        )
