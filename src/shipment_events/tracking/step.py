"""One step of the tracker with one shipment: the records that came, folded one by one, and what to announce.

Announce first, then write: a crash between the two repeats the changes with the same ids, and loses none.

What has to be announced follows from the order in which the events were stored. Where their records come in
that order, as those of one shard do, and the shipment has no retraction: if an event changes the value of the
set of all that were stored up to it, a change to the new value is announced, caused by this event or, where a
batch holds both, by one between it and the event that gave the value before, in the order of events. In
whatever order records come, and with retractions: the last change by ``at`` has the present value. One case
is left: a tracker crashes between announcing and writing, and when its batch comes again, records of the same
shipment from another shard have been folded, or a reading shows an event as old that it did not show before.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from shipment_events.tracking.changes import SUBJECTS, Change, Subject, transition
from shipment_events.tracking.news import News, moment_of
from shipment_events.tracking.state import Fold, Reading, State


class Announced(NamedTuple):
    """What was announced last of a subject.

    Attributes:
        value: the value, or what was taken as known when tracking of the shipment began.
        not_before: ``at`` of that change where it is later than the event that gives the present value, as
            after a retraction; else empty. No later change may have an earlier ``at``.
    """

    value: str | None = None
    not_before: str = ""


_NOTHING: Final[Mapping[str, Announced]] = {subject.name: Announced() for subject in SUBJECTS}


@dataclass(frozen=True, slots=True)
class Tracked:
    """A shipment as the table of shipments keeps it.

    Attributes:
        state: what its events say.
        announced: what was announced last, by subject. It differs from the state's value where a reading
            showed an event before its record came.
        marks: what the watcher announced last, by names of its own: kept, whatever is folded.
        version: of the item that it was read from, for the conditional write; 0 where there was none.
    """

    state: State
    announced: Mapping[str, Announced] = field(default_factory=lambda: _NOTHING)
    marks: Mapping[str, str] = field(default_factory=dict)
    version: int = 0


class Step(NamedTuple):
    """What to announce, and then to write."""

    changes: list[Change]
    tracked: Tracked


def fold_records(
    shipment_id: str, before: Tracked | None, records: Collection[News], reading: Reading | None = None
) -> Step:
    """Fold records into a shipment, in the order of its events, whatever order they came in.

    Args:
        records: the events whose records came; repeats do no harm. None at all for a rebuild.
        reading: the shipment's events; None where they need not be read (see :func:`~.state.must_be_read`).

    Returns:
        The changes, and the shipment with the version that was read.
    """
    ordered = {record.place: record for record in sorted(records, key=lambda record: record.place)}
    base = reading and replace(reading, events=_known_before(before, ordered, reading.events))
    fold = Fold(shipment_id, before.state if before else None, base)
    if before is None:
        before = Tracked(fold.state, _taken_as_known(fold.state, base) if base else _NOTHING)
    announced = {
        subject.name: _not_before(subject, before.state, before.announced[subject.name])
        for subject in SUBJECTS
    }
    changes = []
    for record in ordered.values():
        earlier = fold.state
        state = fold.add(record)
        for subject in SUBJECTS:
            told = _not_before(subject, earlier, announced[subject.name])
            if change := _change_of(subject, earlier, state, record, told):
                changes.append(change)
                told = Announced(subject.value(state), change.at)
            announced[subject.name] = told
    kept = {
        subject.name: _without_idle_bound(subject, fold.state, announced[subject.name])
        for subject in SUBJECTS
    }
    return Step(changes, Tracked(fold.state, kept, before.marks, before.version))


def announce_rest(tracked: Tracked, events: Iterable[News]) -> Step:
    """Announce what the state says and no change has said: the repair, after a record could not be folded.

    Args:
        tracked: the rebuilt shipment.
        events: those that it was rebuilt from.

    Returns:
        The changes, each with the id that the tracker would have given it unless a retraction was behind it,
        and the shipment with all announced.
    """
    return _announce(Step([], tracked), tracked.announced, {news.place: news for news in events})


def correct(step: Step, lost: Collection[Change]) -> Step:
    """Announce the present value once more where an attempt of the same tracker announced another one.

    A tracker announces before it writes, so one that loses a race has announced a step that no state holds.
    The step that it takes next, on the winner's state, may have nothing to announce: where the winner's event
    only confirmed the value before, or voided the loser's event, no change would follow the wrong one.

    Args:
        step: the one on the winner's state.
        lost: the changes of the attempts that were refused.

    Returns:
        The step with its changes and the corrections, none of which has an ``at`` before what it corrects.
    """
    changes, state, announced = step.changes, step.tracked.state, dict(step.tracked.announced)
    told = {}
    for subject in SUBJECTS:
        mine = sorted(
            (change for change in lost if change.kind is subject.kind), key=lambda change: change.at
        )
        if not mine:
            continue
        last, now = mine[-1], announced[subject.name]
        bound = Announced(now.value, max(now.not_before, last.at))
        announced[subject.name] = _without_idle_bound(subject, state, bound)
        if not any(change.kind is subject.kind and change.at >= last.at for change in changes):
            told[subject.name] = Announced(getattr(last, subject.name), last.at)
    return _announce(Step(changes, replace(step.tracked, announced=announced)), told, {})


def _announce(step: Step, told: Mapping[str, Announced], known: Mapping[str, News]) -> Step:
    """The step and the present value of each subject of which something else was told."""
    tracked, changes, state = step.tracked, list(step.changes), step.tracked.state
    announced = dict(tracked.announced)
    for subject in SUBJECTS:
        value, last = subject.value(state), told.get(subject.name)
        if last is None or last.value == value:
            continue
        place = subject.place(state) or state.latest
        summary = state.summary if place == state.latest else {}
        cause = known.get(place) or News(place, state.stored_at, summary=summary)
        # A shipment of which all is void has no moment but that of storing.
        not_before = max(
            last.not_before, announced[subject.name].not_before, "" if place else state.stored_at
        )
        changes.append(transition(subject, state, cause, last.value, not_before))
        announced[subject.name] = _without_idle_bound(subject, state, Announced(value, changes[-1].at))
    return Step(changes, replace(tracked, announced=announced))


def _change_of(
    subject: Subject, earlier: State, state: State, record: News, told: Announced
) -> Change | None:
    """The change that a record makes or, where a reading made it before, announces with its own record."""
    value, was = subject.value(state), subject.value(earlier)
    if value == was:
        # A retraction gives no value itself. It may have made another event the giver, now or, where a
        # reading showed it, before its record came.
        place = subject.place(state)
        gives_it = record.place == place or place != subject.place(earlier)
        if record.retracts and (earlier.retracted is None or record.retracts in earlier.retracted):
            gives_it = True
        if value == told.value or not gives_it:
            return None
        was = told.value
    return transition(subject, state, record, was, told.not_before)


def _not_before(subject: Subject, state: State, told: Announced) -> Announced:
    """No later change may be dated before the event that gives the value in this state."""
    return Announced(told.value, max(told.not_before, moment_of(subject.place(state))))


def _without_idle_bound(subject: Subject, state: State, told: Announced) -> Announced:
    """Nearly always the event that gives the value is the bound, and need not be remembered twice."""
    return told if told.not_before > moment_of(subject.place(state)) else Announced(told.value)


def _known_before(
    before: Tracked | None, records: Mapping[str, News], events: Collection[News]
) -> Collection[News]:
    """What was read, but for the records, and for events that were stored later than all whose records came.

    No state holds the latter yet, and their own records will come. Folding them early would hide the changes
    between now and then, and a repeat of this step would read more of them and find other changes. A record
    that gives the present state a value is a repeat: without it, what a retraction takes away would not show.
    """
    if not records:
        return events
    by_now = max(news.stored_at for news in records.values())
    new = set(records)
    if before:
        by_now = max(by_now, before.state.stored_at)
        new -= before.state.places
    return [news for news in events if news.stored_at <= by_now and news.place not in new]


def _taken_as_known(state: State, history: Reading) -> dict[str, Announced]:
    """The values of a state that was made from history, where the record of the event will not come."""
    known = {news.place: news for news in history.events}
    taken = {}
    for subject in SUBJECTS:
        news = known.get(subject.place(state))
        is_past = news is None or news.stored_at < history.records_since
        taken[subject.name] = Announced(subject.value(state) if is_past else None)
    return taken
