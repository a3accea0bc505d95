"""Find the delays of a shipment that are to be announced. It does not call a service.

A mark in the state says for which event or estimate the last delay of a kind was announced. The mark is
written with the version of the state, so that tracker and watcher do not undo each other.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shipment_events.contract.moments import utc_text
from shipment_events.tracking.changes import Change, Kind, change
from shipment_events.tracking.delays import is_overdue, is_stalled, silent_since
from shipment_events.tracking.news import ESTIMATE, News, mark_of, sort_key_at
from shipment_events.tracking.step import Step, Tracked

STALLED: Final = "stalled"
OVERDUE: Final = "overdue"


def announce_delays(tracked: Tracked, now: datetime, stalled_after_hours: int) -> Step:
    """The delays of a shipment that have not been announced, and the shipment with their marks.

    A delay begins at a moment that follows from the state alone. So a repeat is the same change, whenever
    it is found.

    Args:
        now: aware.
        stalled_after_hours: the stage's setting.
    """
    state, marks, changes = tracked.state, dict(tracked.marks), []
    if is_stalled(state.status, state.latest_at, silent_since(now, stalled_after_hours)):
        mark = mark_of(sort_key_at(state.latest))
        if marks.get(STALLED) != mark:
            marks[STALLED] = mark
            changes.append(_stalled(tracked, stalled_after_hours))
    estimate = state.estimated_delivery
    if estimate and is_overdue(state.status, estimate, utc_text(now)) and marks.get(OVERDUE) != estimate:
        marks[OVERDUE] = estimate
        changes.append(_overdue(tracked, estimate))
    return Step(changes, replace(tracked, marks=marks) if changes else tracked)


def _stalled(tracked: Tracked, stalled_after_hours: int) -> Change:
    state = tracked.state
    begin = datetime.fromisoformat(state.latest_at) + timedelta(hours=stalled_after_hours)
    cause = News(state.latest, state.stored_at, summary=state.summary)
    return change(Kind.STALLED, state, cause, state.latest, at=utc_text(begin))


def _overdue(tracked: Tracked, estimate: str) -> Change:
    state = tracked.state
    place = state.place_of(ESTIMATE)
    cause = News(place, state.stored_at, summary=state.summary if place == state.latest else {})
    return change(Kind.OVERDUE, state, cause, place, at=estimate)
