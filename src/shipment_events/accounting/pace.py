"""How fast a feed is sent: as the pipeline stores it, or at a rate."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Final

from shipment_events.publishing.entries import Entry
from shipment_events.queue.queue import Queue

# The count of the queue is read once for so many entries.
_PACE_ENTRIES: Final = 50
_PACE_SECONDS: Final = 0.05
# Ten batches of ten. While more events wait, each further one only adds to the latencies.
_MAX_WAITING: Final = 100


@dataclass(slots=True)
class FeedProgress:
    """The progress of a run.

    Attributes:
        waiting: events in the queue, approximate.
        behind: shipments whose state or changes are not right yet.
    """

    accepted: int = 0
    waiting: int = 0
    behind: int = 0


class Backlog:
    """Counts the waiting events and pauses the sender while there are too many."""

    def __init__(
        self, queue: Queue, patience: float, on_progress: Callable[[FeedProgress], None], stop: Event
    ) -> None:
        self._queue = queue
        self._patience = patience
        self._stop = stop
        self._on_progress = on_progress
        self._progress = FeedProgress()

    def note_accepted(self) -> None:
        """The bus accepted an event."""
        self._progress.accepted += 1
        self._on_progress(self._progress)

    def show(self, waiting: int) -> None:
        """So many events are in the queue."""
        self._progress.waiting = waiting
        self._on_progress(self._progress)

    def show_behind(self, shipments: int) -> None:
        """The state or the changes of so many shipments are not right yet."""
        self._progress.behind = shipments
        self._on_progress(self._progress)

    def hold_back(self) -> bool:
        """Wait while too many events are in the queue. False if the count does not change for too long."""
        clock = self._queue.timing.clock
        changed_at = clock.now()
        while (waiting := self._queue.depth().total) > _MAX_WAITING:
            if waiting != self._progress.waiting:
                changed_at = clock.now()
            elif clock.now() - changed_at > self._patience or self._stop.is_set():
                return False
            self.show(waiting)
            clock.sleep(_PACE_SECONDS)
        self.show(waiting)
        return True


def paced(entries: Iterator[Entry | None], hold_back: Callable[[], bool]) -> Iterator[Entry | None]:
    """Yield entries and pause while many events wait, so that latencies do not include a backlog."""
    is_moving = True
    for number, entry in enumerate(entries, start=1):
        yield entry
        if is_moving and number % _PACE_ENTRIES == 0:
            is_moving = hold_back()


def at_rate(entries: Iterator[Entry | None], rate: float, stop: Event) -> Iterator[Entry | None]:
    """Yield entries when they are due, in steps of at most a request. A pause after each step sends it."""
    step = max(1, min(10, int(rate / 20)))
    start = time.monotonic()
    sent = 0
    for entry in entries:
        if entry is not None:
            if sent % step == 0:
                yield None
                stop.wait(max(0.0, start + sent / rate - time.monotonic()))
            sent += 1
        yield entry
