"""The drill's events: a feed like that of real carriers, shuffled, sent in bursts, with expected outcomes."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Final

from shipment_events.accounting.run import careless_entry
from shipment_events.contract.outcome import InvalidEventError
from shipment_events.publishing.entries import Entry
from shipment_events.publishing.event_files import EventText
from shipment_events.publishing.publish_file import to_entry
from workbench.feed import FeedLine, Shares, generate

_BROKEN_SHARE: Final = 0.02
_REPEAT_SHARE: Final = 0.05
_LATE_SHARE: Final = 0.05
# Number of lines that are shuffled together.
_WINDOW: Final = 200
_BURST: Final = 300
_BURSTS_A_MINUTE: Final = 6


@dataclass(slots=True)
class Traffic:
    """Entries of the drill at the times when they are due.

    Attributes:
        expected: for each entry by its position, why it must be quarantined; None for a good event.
        refused: number of lines that no bus accepts, by reason.
        wrongly_refused: lines of good events that our publisher refused, with its reason.
    """

    seed: int
    expected: dict[int, str | None] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    wrongly_refused: list[str] = field(default_factory=list)
    bursts: int = 0

    def entries(self, events: int, seconds: float) -> Iterator[Entry]:
        """Yield entries without end. The first ``events`` are spread over ``seconds``, with bursts."""
        return self._paced(self._entries(self._lines()), events, seconds)

    def _lines(self) -> Iterator[FeedLine]:
        endless = 2**31
        return generate(
            endless,
            seed=self.seed,
            shares=Shares(broken=_BROKEN_SHARE, repeat=_REPEAT_SHARE, late=_LATE_SHARE),
        )

    def _entries(self, lines: Iterable[FeedLine]) -> Iterator[Entry]:
        for position, line in enumerate(self._shuffled(lines), start=1):
            event = EventText(position, line.text)
            try:
                entry = to_entry(event)
            except InvalidEventError as error:
                if line.expected_reason is None:
                    self.wrongly_refused.append(f"{error.reason.value}: {line.text}")
                # A producer that does not use our publisher sends such events too.
                if (careless := careless_entry(event)) is None:
                    self.refused[error.reason.value] += 1
                    continue
                entry = careless
            self.expected[position] = line.expected_reason
            yield entry

    def _shuffled(self, lines: Iterable[FeedLine]) -> Iterator[FeedLine]:
        rng = Random(self.seed)  # noqa: S311 - a drill must be repeatable
        left = iter(lines)
        while window := list(islice(left, _WINDOW)):
            rng.shuffle(window)
            yield from window

    def _paced(self, entries: Iterator[Entry], events: int, seconds: float) -> Iterator[Entry]:
        bursts = min(max(1, round(seconds / 60 * _BURSTS_A_MINUTE)), events // (2 * _BURST) or 1)
        burst = min(_BURST, events // (2 * bursts))
        rate = (events - bursts * burst) / seconds
        rng = Random(self.seed)  # noqa: S311 - a run must be repeatable
        due = sorted(rng.uniform(0, seconds) for _ in range(bursts))
        start = time.monotonic()
        number = 0
        while True:
            elapsed = time.monotonic() - start
            while due and elapsed >= due[0]:
                del due[0]
                self.bursts += 1
                yield from islice(entries, burst)
            if number > rate * elapsed:
                time.sleep((number - rate * elapsed) / rate)
            number += 1
            yield next(entries)
