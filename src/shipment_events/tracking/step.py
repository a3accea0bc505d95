"""One step of the tracker for one shipment: fold its records one by one, and find the changes to announce.

Changes are announced before the state is written. A crash in between repeats them, with the same ids, and
loses none.

The records of one shard come in the order in which the events were stored. For records in this order, and
without retractions: if an event changes the value of the set of events stored so far, a change to the new
value is announced. The cause of the change is this event. In a batch, the cause can also be an event between
this one and the event that gave the value before, in the order of events.

For any order of records, and with retractions, each change of a kind has a later ``at`` than the one
before, and the last one has the current value. Two trackers that fold a shipment at the same time can
announce changes with the same ``at``. A later change, with the current value, then follows them.

There is one exception: a tracker crashes between announcing and writing, and the same records are not the
next ones that are folded, all in one batch. Nothing remembers the ``at`` of its changes then.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from shipment_events.tracking.changes import SUBJECTS, Change, Subject, just_after, transition
from shipment_events.tracking.news import News, moment_of
from shipment_events.tracking.state import Fold, Reading, State


class Announced(NamedTuple):
    """The last announcement of a subject.

    Attributes:
        value: the announced value, or the value when tracking of the shipment began.
        last_at: the next change must have a later ``at``. It is empty if the event that gives the current
            value is the bound (see :func:`_bounded`).
    """

    value: str | None = None
    last_at: str = ""


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
        subject.name: _bounded(subject, before.state, before.announced[subject.name]) for subject in SUBJECTS
    }
    changes = []
    for record in ordered.values():
        earlier = fold.state
        state = fold.add(record)
        for subject in SUBJECTS:
            told = _bounded(subject, earlier, announced[subject.name])
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
    known = {news.place: news for news in events}
    state, announced, changes = tracked.state, dict(tracked.announced), []
    for subject in SUBJECTS:
        value, told = subject.value(state), announced[subject.name]
        if told.value == value:
            continue
        # If all events are void, the cause has no place, and the change happened when the last was stored.
        place = subject.place(state) or state.latest
        summary = state.summary if place == state.latest else {}
        cause = known.get(place) or News(place, state.stored_at, summary=summary)
        changes.append(transition(subject, state, cause, told.value, told.last_at))
        announced[subject.name] = _without_idle_bound(subject, state, Announced(value, changes[-1].at))
    return Step(changes, replace(tracked, announced=announced))


def correct(step: Step, lost: Collection[Change]) -> Step:
    """Let the current value be announced after all changes of lost attempts of the same tracker.

    A tracker announces before it writes. If another tracker writes first, the announced step is in no state.
    The next step, on the other tracker's state, may have nothing to announce: the other event confirmed the
    value before, or voided the event of the lost attempt. Then no change would follow the wrong one.

    Args:
        step: the step on the other tracker's state.
        lost: the changes of the lost attempts.

    Returns:
        The step with corrections. A correction is another change than the one that gave its value, because a
        consumer drops a ``change_id`` that it knows: its cause is the event of the lost change.
    """
    changes, state, announced = list(step.changes), step.tracked.state, dict(step.tracked.announced)
    for subject in SUBJECTS:
        of_kind = sorted((one for one in lost if one.kind is subject.kind), key=lambda one: one.at)
        if not of_kind:
            continue
        value, wrong, told = subject.value(state), of_kind[-1], announced[subject.name]
        last_at = max(wrong.at, _bounded(subject, state, told).last_at)
        mine = [index for index, one in enumerate(changes) if one.kind is subject.kind]
        if mine and changes[mine[-1]].change_id != wrong.change_id:
            last_at = wrong.at
            for index in mine:
                last_at = max(changes[index].at, just_after(last_at))
                changes[index] = replace(changes[index], at=last_at)
        elif not mine and getattr(wrong, subject.name) != value:
            changes.append(transition(subject, state, wrong.cause, getattr(wrong, subject.name), last_at))
            last_at = changes[-1].at
        announced[subject.name] = _without_idle_bound(subject, state, Announced(told.value, last_at))
    return Step(changes, replace(step.tracked, announced=announced))


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
    return transition(subject, state, record, was, told.last_at)


def _bounded(subject: Subject, state: State, told: Announced) -> Announced:
    """Raise ``last_at`` to the moment of the event that gives the announced value in this state."""
    if told.value != subject.value(state):
        return told
    return Announced(told.value, max(told.last_at, moment_of(subject.place(state))))


def _without_idle_bound(subject: Subject, state: State, told: Announced) -> Announced:
    """Drop a bound that follows from the state, so that it is not stored twice."""
    bare = Announced(told.value)
    return bare if _bounded(subject, state, bare).last_at >= told.last_at else told


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
