"""What each stored event does to the state of its shipment, computed from the stored events.

The tracker does not log single events. So this folds the events again, in the order in which they were
stored, which is nearly the order of their records. The tracker may have folded several in one step. Then it
may have announced a change with another one of them as its cause.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from shipment_events.table.item import StoredEvent
from shipment_events.tracking.changes import Change
from shipment_events.tracking.news import Finding, News, UnfoldableError, event_id_at, mark_of, news_of
from shipment_events.tracking.state import Reading, State, must_be_read
from shipment_events.tracking.step import Tracked, fold_records

MOST_EVENTS: Final = 5_000
"""Maximum number of events that are folded. With many retractions, the time grows with its square."""

_NOTES: Final = {
    Finding.FUTURE: "it is dated more than 24 hours after it was stored, so it is no news",
    Finding.CONTRADICTION: "its status contradicts its type; the status counts",
    Finding.INVALID_ESTIMATE: "its estimated_delivery is invalid and ignored",
    Finding.INVALID_RETRACTION: "its retracts is invalid and ignored",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What an event does to the state of its shipment.

    Attributes:
        values: of status and estimated delivery, if the event changes them, the values before and after.
        is_latest: whether it is the latest news after that.
        changes: the changes that it causes if it is folded by itself.
        notes: what else must be known of it.
    """

    values: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    is_latest: bool = False
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The effect for people."""
        parts = [
            f"{name} {before or 'none'} → {after or 'none'}" for name, (before, after) in self.values.items()
        ]
        if self.is_latest:
            parts.append("it was the latest news when it was stored")
        elif not parts:
            parts.append("no current value changes")
        parts += [f"change {change.kind.value} {change.change_id}" for change in self.changes]
        return "; ".join([*parts, *self.notes])

    @property
    def as_json(self) -> dict[str, Any]:
        """The effect as JSON."""
        return {
            "values": {
                name: {"before": before, "after": after} for name, (before, after) in self.values.items()
            },
            "is_latest": self.is_latest,
            "changes": [
                {"kind": change.kind.value, "change_id": change.change_id} for change in self.changes
            ],
            "notes": self.notes,
        }


def effects_of(shipment_id: str, events: Iterable[StoredEvent]) -> dict[str, Effect]:
    """The effect of each event of a shipment, by its sort key. Nothing for more than ``MOST_EVENTS``."""
    found: list[tuple[str, str, News | str]] = []
    for event in events:
        if len(found) == MOST_EVENTS:
            return {}
        found.append((event.stored_at, event.sort_key, _news_of(event)))
    found.sort(key=lambda one: one[:2])
    void = {news.retracts for *_, news in found if isinstance(news, News) and news.retracts}
    effects = {}
    before: Tracked | None = None
    known: list[News] = []
    for _, sort_key, news in found:
        if not isinstance(news, News):
            effects[sort_key] = Effect(notes=[news])
            continue
        state = before.state if before else None
        reading = Reading(list(known), "", "") if must_be_read(state, [news]) else None
        step = fold_records(shipment_id, before, [news], reading)
        after = step.tracked.state
        effects[sort_key] = Effect(
            values=dict(_changed(state or State(shipment_id), after)),
            is_latest=after.latest == news.place,
            changes=list(step.changes),
            notes=list(_notes(news, void)),
        )
        before = step.tracked
        known.append(news)
    return effects


def _news_of(event: StoredEvent) -> News | str:
    try:
        return news_of(event) or "it is a conflict, which no state contains"
    except UnfoldableError as error:
        return f"the tracker cannot fold it: {error}"


def _changed(before: State, after: State) -> Iterator[tuple[str, tuple[str | None, str | None]]]:
    for name in ("status", "estimated_delivery"):
        was, value = getattr(before, name), getattr(after, name)
        if was != value:
            yield name, (was, value)


def _notes(news: News, void: set[str]) -> Iterator[str]:
    if news.retracts:
        yield "it retracts another event"
    elif mark_of(event_id_at(news.place)) in void:
        yield "it is retracted"
    for finding in news.findings:
        yield _NOTES[finding]
