"""A tracker without a service: a table of events, one state, and the changes that were announced."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from shipment_events.table.item import StoredEvent
from shipment_events.tracking.changes import Change
from shipment_events.tracking.item import tracked_item, tracked_of
from shipment_events.tracking.news import News, news_of
from shipment_events.tracking.state import Reading, must_be_read
from shipment_events.tracking.step import Tracked, correct, fold_records
from tests.tracking.histories import NOON, SHIPMENT

RETENTION: Final = timedelta(days=30)


def news_in(events: Iterable[StoredEvent]) -> list[News]:
    return [news for event in events if (news := news_of(event))]


def read(table: Iterable[StoredEvent], now: datetime = NOON) -> Reading:
    return Reading.taken(news_in(table), now, RETENTION)


class SmallTracker:
    """Takes batches of one shipment's records, as the tracker does.

    Attributes:
        item: the shipment's item, or None.
        announced: all changes, repeats included, in order.
        reads: how often the events were read.
    """

    def __init__(self) -> None:
        self.item: dict[str, Any] | None = None
        self.announced: list[Change] = []
        self.reads = 0

    @property
    def tracked(self) -> Tracked:
        assert self.item
        return tracked_of(self.item)

    def take(
        self,
        batch: Sequence[StoredEvent],
        table: Sequence[StoredEvent],
        *,
        crash: bool = False,
        lost: Sequence[Change] = (),
    ) -> list[Change]:
        """Fold a batch. A crash comes between announcing and writing; ``lost``: what lost races announced."""
        records = news_in(batch)
        if not records:
            return []
        before = tracked_of(self.item) if self.item else None
        reading = None
        if must_be_read(before.state if before else None, records):
            self.reads += 1
            reading = read(table)
        step = correct(fold_records(SHIPMENT, before, records, reading), lost)
        self.announced += step.changes
        if not crash:
            self.item = tracked_item(step.tracked, RETENTION)
        return step.changes

    def attributes(self) -> dict[str, Any]:
        """Those of the contract, but for ``expires_at``."""
        own = {"shipment_id", "version", "memory", "expires_at"}
        return {name: value for name, value in (self.item or {}).items() if name not in own}


class GrowingTable:
    """The events of a table, in which a reading sees all whose records came and some of what is to come.

    What it saw once, it sees again.
    """

    def __init__(self, events: Sequence[StoredEvent], random: Random) -> None:
        self._events, self._random = events, random
        self._there: list[StoredEvent] = []

    def with_all(self, came: Sequence[StoredEvent], chance: float = 0.3) -> list[StoredEvent]:
        """A reading after these records came."""
        self._there += [
            event
            for event in self._events
            if event not in self._there and (event in came or self._random.random() < chance)
        ]
        return list(self._there)
