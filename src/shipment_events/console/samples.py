"""Counts of the queue that this page took itself, for a stage without metrics of its queues."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from shipment_events.queue.queue import Depth
from shipment_events.watching.series import Series

_MOST: Final = 20_000


class Samples:
    """The counts since the page was opened."""

    def __init__(self) -> None:
        self._taken: deque[tuple[datetime, Depth]] = deque(maxlen=_MOST)
        self._lock = Lock()

    @property
    def since(self) -> datetime | None:
        """When the first one was taken."""
        with self._lock:
            return self._taken[0][0] if self._taken else None

    def add(self, now: datetime, depth: Depth) -> None:
        """Keep a count."""
        with self._lock:
            self._taken.append((now, depth))

    def series(self, begins: Sequence[datetime], length: timedelta) -> Series:
        """The highest counts of each bucket, as ``waiting``; None for a bucket without a sample."""
        highest: dict[datetime, float] = {}
        with self._lock:
            taken = list(self._taken)
        for at, depth in taken:
            position = int((at - begins[0]) / length)
            if at >= begins[0] and position < len(begins):
                begin = begins[position]
                highest[begin] = max(highest.get(begin, 0), depth.visible)
        return Series(begins, {"waiting": [highest.get(begin) for begin in begins]}, "page")
