"""Measurements in buckets: a steady flow has the same rate in each, at every moment."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from shipment_events.console.overview import WINDOWS
from shipment_events.contract.names import ANNOUNCED_FIELD, BATCH_MESSAGE, TRACKED_MESSAGE
from shipment_events.contract.outcome import Outcome
from shipment_events.watching.log import LogLine
from shipment_events.watching.series import Series, Window, outcome_series, tracking_series

NOON: Final = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECONDS_AGAIN: Final = 10
A_MINUTE: Final = 60
# From the beginning of a bucket to its end.
MOMENTS: Final = [0.0, 0.4, 9, 29, 30, 31, 59, 60, 61, 179, 240, 299, 600, 899.5]


class Steady:
    """Metrics and log of a stage that takes ten events every ten seconds, and always has.

    Attributes:
        delay: how late metrics are; None if there are none.
    """

    is_whole = True

    def __init__(self, delay: timedelta | None = None) -> None:
        self.delay = delay
        self._times: list[datetime] = []

    def lines(self, _: str, since: datetime, until: datetime) -> "Steady":
        self._times = list(self._between(since, until))
        return self

    def __iter__(self) -> Iterator[LogLine]:
        for at in self._times:
            yield LogLine(at, {"message": BATCH_MESSAGE, "stored": 10})
            yield LogLine(at, {"message": TRACKED_MESSAGE, ANNOUNCED_FIELD: 10})

    def _between(self, since: datetime, until: datetime) -> Iterator[datetime]:
        at = since + timedelta(seconds=SECONDS_AGAIN / 2)
        while at <= until:
            yield at
            at += timedelta(seconds=SECONDS_AGAIN)

    def _points(self, since: datetime, until: datetime, period: int) -> dict[datetime, float]:
        if self.delay is None:
            return {}
        found: Counter[int] = Counter()
        for at in self._between(since, until - self.delay):
            found[int(at.timestamp()) // period * period] += 10
        return {datetime.fromtimestamp(at, UTC): float(count) for at, count in found.items()}

    def outcome_points(self, since: datetime, until: datetime, period: int) -> Any:
        points = self._points(since, until, period)
        return (
            {outcome: points if outcome is Outcome.STORED else {} for outcome in Outcome} if points else None
        )

    def tracking_points(self, since: datetime, until: datetime, period: int) -> Any:
        return {"changes": self._points(since, until, period), "again": {}, "p50": {}, "p99": {}}


def measured(steady: Any, window: Window, now: datetime) -> list[tuple[Series, str]]:
    return [
        (outcome_series(steady, steady, window, now), "stored"),
        (tracking_series(steady, steady, window, now), "changes"),
    ]


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_steady_flow_has_the_same_rate_in_each_bucket_of_the_log(name: str, seconds: float) -> None:
    window, now = WINDOWS[name], NOON + timedelta(seconds=seconds)
    since = window.buckets(now)[0]
    for series, line in measured(Steady(), window, now):
        *before, newest = series.values[line]
        assert before == [A_MINUTE] * len(before)
        # A bucket begins and ends between two batches of ten.
        passed = (now - series.begins[-1]).total_seconds()
        if passed < 30:
            assert newest is None
        else:
            assert newest is not None
            assert abs(newest - A_MINUTE) * passed / 60 <= 5
        assert series.totals[line] == pytest.approx((now - since).total_seconds(), abs=5)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_bucket_that_is_filling_has_no_rate_in_late_metrics(name: str, seconds: float) -> None:
    window, now = WINDOWS[name], NOON + timedelta(seconds=seconds)
    since = window.buckets(now)[0]
    for delay in (timedelta(0), timedelta(seconds=50)):
        for series, line in measured(Steady(delay), window, now):
            assert series.source == "metrics"
            *before, newest = series.values[line]
            assert newest is None
            known = [
                rate
                for begin, rate in zip(series.begins, before, strict=False)
                if begin < now - delay - timedelta(seconds=window.bucket_seconds)
            ]
            assert known == [A_MINUTE] * len(known)
            assert series.totals[line] == pytest.approx((now - delay - since).total_seconds(), abs=5)


def test_no_point_means_no_event_after_the_metric_had_its_time() -> None:
    now = NOON + timedelta(seconds=30)
    for series, line in measured(Steady(timedelta(minutes=6, seconds=30)), WINDOWS["15m"], now):
        assert series.values[line][-8:] == [60, 0, 0, 0, 0, None, None, None]
