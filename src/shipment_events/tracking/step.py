"""One step of the tracker for one shipment: fold its records one by one, and find the changes to announce.

Changes are announced before the state is written. A crash in between repeats them, with the same ids, and
loses none.

The records of one shard come in the order in which the events were stored. For records in this order, and
without retractions: if an event changes the value of the set of events stored so far, a change to the new
value is announced. The cause of the change is this event. In a batch, the cause can also be an event between
this one and the event that gave the value before, in the order of events.

For any order of records, and with retractions, the last change by ``at`` has the current value. There is one
exception: a tracker crashes between announcing and writing, and before its batch is retried, records of the
shipment from another shard are folded, or a reading finds an old event that it did not find before.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from shipment_events.tracking.changes import SUBJECTS, Change, Subject, transition
from shipment_events.tracking.news import News, moment_of
from shipment_events.tracking.state import Fold, Reading, State


class Announced(NamedTuple):
    """The last announcement of a subject.

    Attributes:
        value: the announced value, or the value when tracking of the shipment began.
        not_before: ``at`` of that change if it is later than the event that gives the current value, as after
            a retraction; else empty. No later change may have an earlier ``at``.
    """

    value: str | None = None
    not_before: str = ""


_NOTHING: Final[Mapping[str, Announced]] = {subject.name: Announced() for subject in SUBJECTS}


@dataclass(frozen=True, slots=True)
class Tracked:
    """A shipment as the table of shipments contains it.

    Attributes:
        state: the state from its events.
        announced: the last announcement of each subject. It differs from the state's value if a reading found
            an event before its record came.
        marks: the last announcements of the watcher, by its own names. A fold does not change them.
        version: version of the item that was read, for the conditional write; 0 if there was none.
    """

    state: State
    announced: Mapping[str, Announced] = field(default_factory=lambda: _NOTHING)
    marks: Mapping[str, str] = field(default_factory=dict)
    version: int = 0


class Step(NamedTuple):
    """Changes to announce, and the shipment to write after them."""

    changes: list[Change]
    tracked: Tracked


def fold_records(
    shipment_id: str, before: Tracked | None, records: Collection[News], reading: Reading | None = None
) -> Step:
    """Fold records into a shipment in the order of its events. The order of the records does not matter.

    Args:
        records: the events of the records; repeats are allowed. A rebuild has no records.
        reading: the shipment's events; None if they need not be read (see :func:`~.state.must_be_read`).

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
    """Announce values that no change has announced: the repair after a record could not be folded.

    Args:
        tracked: the rebuilt shipment.
        events: the events that it was rebuilt from.

    Returns:
        The changes, and the shipment with all announced. Each change has the id that the tracker would give
        it, unless a retraction caused it.
    """
    return _announce(Step([], tracked), tracked.announced, {news.place: news for news in events})


def correct(step: Step, lost: Collection[Change]) -> Step:
    """Announce the current value again if a lost attempt of the same tracker announced another value.

    A tracker announces before it writes. If another tracker writes first, the announced step is in no state.
    The next step, on the other tracker's state, may have nothing to announce: the other event confirmed the
    value before, or voided the event of the lost attempt. Then no change would follow the wrong one.

    Args:
        step: the step on the other tracker's state.
        lost: the changes of the lost attempts.

    Returns:
        The step with its changes and the corrections. A correction never has an earlier ``at`` than the
        change that it corrects.
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
    """Add a change to the step for each subject whose announced value is not the current one."""
    tracked, changes, state = step.tracked, list(step.changes), step.tracked.state
    announced = dict(tracked.announced)
    for subject in SUBJECTS:
        value, last = subject.value(state), told.get(subject.name)
        if last is None or last.value == value:
            continue
        place = subject.place(state) or state.latest
        summary = state.summary if place == state.latest else {}
        cause = known.get(place) or News(place, state.stored_at, summary=summary)
        # If all events are void, the only moment of the shipment is its time of storing.
        not_before = max(
            last.not_before, announced[subject.name].not_before, "" if place else state.stored_at
        )
        changes.append(transition(subject, state, cause, last.value, not_before))
        announced[subject.name] = _without_idle_bound(subject, state, Announced(value, changes[-1].at))
    return Step(changes, replace(tracked, announced=announced))


def _change_of(
    subject: Subject, earlier: State, state: State, record: News, told: Announced
) -> Change | None:
    """The change that a record makes, or that a reading made before the record came."""
    value, was = subject.value(state), subject.value(earlier)
    if value == was:
        # A retraction gives no value. It can make another event give the value: now, or before its record
        # came if a reading found it.
        place = subject.place(state)
        gives_it = record.place == place or place != subject.place(earlier)
        if record.retracts and (earlier.retracted is None or record.retracts in earlier.retracted):
            gives_it = True
        if value == told.value or not gives_it:
            return None
        was = told.value
    return transition(subject, state, record, was, told.not_before)


def _not_before(subject: Subject, state: State, told: Announced) -> Announced:
    """Raise the bound to the moment of the event that gives the value in this state."""
    return Announced(told.value, max(told.not_before, moment_of(subject.place(state))))


def _without_idle_bound(subject: Subject, state: State, told: Announced) -> Announced:
    """Drop a bound that follows from the event that gives the value, so that it is not stored twice."""
    return told if told.not_before > moment_of(subject.place(state)) else Announced(told.value)


def _known_before(
    before: Tracked | None, records: Mapping[str, News], events: Collection[News]
) -> Collection[News]:
    """The events that were read, without those of the records, and without those stored after the records.

    The records of later events are still to come. If these events were folded now, the changes in between
    would be lost, and a repeat of this step would read more events and find other changes. A record whose
    event gives the current state a value is a repeat. It is kept, so that a retraction shows its effect.
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
    """The values of a new state whose events have no record to come. They are not announced."""
    known = {news.place: news for news in history.events}
    taken = {}
    for subject in SUBJECTS:
        news = known.get(subject.place(state))
        is_past = news is None or news.stored_at < history.records_since
        taken[subject.name] = Announced(subject.value(state) if is_past else None)
    return taken
