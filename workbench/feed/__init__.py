"""A feed of shipment events that behaves like real carriers: for trying out, demonstrating and measuring.

The feed interleaves the journeys of many shipments in the order in which their events arrive. Five carriers
(:mod:`workbench.feed.carriers`) write events in their own ways, with local offsets and places in many
scripts. Some events arrive late, share a second, or repeat an earlier event. Some shipments are hard to
follow (:mod:`workbench.feed.unusual`). A small share of the lines is broken in one of the ways of
:data:`BROKEN_KINDS`.

The same arguments give the same bytes, on every machine and every version of Python.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from workbench.feed.defects import BROKEN_KINDS, UNMATCHED, broken, kinds
from workbench.feed.journeys import VALID_KINDS, Chances, Line, journey
from workbench.feed.randomness import random_of
from workbench.feed.shares import DEFAULT_SHARES, Shares

__all__ = ["BROKEN_KINDS", "DEFAULT_START", "UNMATCHED", "VALID_KINDS", "FeedLine", "Shares", "generate"]

DEFAULT_START: Final = datetime(2025, 1, 6, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 24 * 60 * 60 * 1_000_000
_SERIALS: Final = 10**9


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One line of the feed.

    Attributes:
        text: a line of NDJSON as the producer writes it, without the newline. It can be encoded in UTF-8.
        kind: one of :data:`VALID_KINDS` or :data:`BROKEN_KINDS`.
        expected_reason: why the line must be refused or quarantined; None for a valid one.
    """

    text: str
    kind: str
    expected_reason: str | None = None


def generate(
    count: int,
    *,
    seed: int = 1,
    start: datetime = DEFAULT_START,
    shipments_per_day: float = 250,
    shares: Shares = DEFAULT_SHARES,
) -> Iterator[FeedLine]:
    """Generate a feed line by line. Memory does not grow with its length.

    A shorter feed is the beginning of a longer one with the same other arguments. Lines are in the order of
    arrival. An event arrives within seconds, or half an hour to three days late. A repeat arrives after the
    event that it repeats. A journey takes about three days and has about nine events. The feed ends before
    the last journeys do.

    Args:
        count: number of lines.
        seed: another seed gives other shipments.
        start: when the first shipment begins; a time with an offset, from 1970 to 2100.
        shipments_per_day: mean number of shipments that begin in a day, 1 to 1,000,000. Memory holds the
            lines of about three days.
        shares: how much is out of the ordinary.

    Raises:
        ValueError: a count or seed is below 0, or a rate or start is outside its range.
    """
    if count < 0:
        raise ValueError(f"count: expected 0 or more, got {count}")
    if seed < 0:
        raise ValueError(f"seed: expected 0 or more, got {seed}")
    if start.utcoffset() is None or not 1970 <= start.year <= 2100:
        raise ValueError(f"start: expected a time with an offset, from 1970 to 2100, got {start.isoformat()}")
    if not 1 <= shipments_per_day <= 1_000_000:
        raise ValueError(f"shipments_per_day: expected 1 to 1,000,000, got {shipments_per_day}")
    begin = (start - _EPOCH) // timedelta(microseconds=1)
    arrivals = _arrivals(seed, begin, _DAY / shipments_per_day, shares.chances)
    return _stream(count, seed, arrivals, shares.broken)


def _stream(count: int, seed: int, lines: Iterator[Line], broken_share: float) -> Iterator[FeedLine]:
    defects = kinds(random_of(seed, "defects"))
    chances = random_of(seed, "broken")
    coming = next(lines)
    for number in range(count):
        if chances.random() < broken_share:
            rng = random_of(seed, "line", number)
            # The producer also sends the correct event, so the broken line does not replace another.
            defect = next(defects)
            yield FeedLine(broken(coming[2], defect, rng), defect, BROKEN_KINDS[defect])
        else:
            yield FeedLine(coming[2], coming[1])
            coming = next(lines)


def _arrivals(seed: int, begin: int, mean_gap: float, chances: Chances) -> Iterator[Line]:
    """Yield the lines of all shipments in the order of arrival, without end."""
    waiting: list[Line] = []
    rng = random_of(seed, "starts")
    serial = int(rng.random() * _SERIALS)
    next_start = begin
    while True:
        # No line arrives before its shipment begins. The earliest line of the shipments that have begun is
        # therefore next.
        while not waiting or next_start <= waiting[0][0]:
            for line in journey(seed, serial, next_start, chances):
                heapq.heappush(waiting, line)
            serial = (serial + 1) % _SERIALS
            next_start += 1 + int(rng.random() * 2 * mean_gap)
        yield heapq.heappop(waiting)
