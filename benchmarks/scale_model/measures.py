"""Meters of the simulation."""

from collections import Counter
from math import exp, inf, log
from typing import Final

_BINS_A_FACTOR_E: Final = 100


class Latencies:
    """Weighted latencies in bins of 1 %, so that millions of events take no memory."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self.count = 0
        self._sum = 0.0

    def add(self, seconds: float, events: int) -> None:
        """Note a number of events and their latency in seconds."""
        self._bins[round(log(max(seconds, 1e-6)) * _BINS_A_FACTOR_E)] += events
        self.count += events
        self._sum += seconds * events

    def percentile(self, percent: float) -> float:
        """Latency in seconds below which this percentage of the events is; infinite without events."""
        wanted = self.count * percent / 100
        seen = 0
        for bin_ in sorted(self._bins):
            seen += self._bins[bin_]
            if seen >= wanted:
                return exp(bin_ / _BINS_A_FACTOR_E)
        return inf

    @property
    def mean(self) -> float:
        """Seconds."""
        return self._sum / self.count if self.count else inf


class Level:
    """A number over time: its mean, weighted with how long it held, and its peak."""

    def __init__(self) -> None:
        self.value = 0
        self.peak = 0
        self._area = 0.0
        self._since = 0.0
        self._begin = 0.0

    def change(self, by: int, now: float) -> None:
        """Add to the number."""
        self._area += self.value * (now - self._since)
        self._since = now
        self.value += by
        self.peak = max(self.peak, self.value)

    def restart(self, now: float) -> None:
        """Start the measurement again. The number itself stays."""
        self._area, self._since, self._begin, self.peak = 0.0, now, now, self.value

    def mean(self, now: float) -> float:
        """Mean since the last restart."""
        length = now - self._begin
        return (self._area + self.value * (now - self._since)) / length if length else 0.0


class Limiter:
    """A limit of units a second, with a burst of one second. A caller above it learns how long to wait."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._booked_until = 0.0
        self.used = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a unit is free."""
        return max(0.0, self._booked_until - now)

    def book(self, units: float, now: float) -> float:
        """Take units, and return the seconds until they are free."""
        begin = max(self._booked_until, now - 1.0)
        self._booked_until = begin + units / self.rate
        self.used += units
        return self.wait(now)
