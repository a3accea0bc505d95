"""Measurements of a stage over a period, in buckets of equal length, for plots.

They come from the metrics, or from the logs if there are no metrics, as on the local engine.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from shipment_events.contract.names import (
    ANNOUNCED_FIELD,
    BATCH_MESSAGE,
    LAG_FIELD,
    LATENCY_FIELD,
    TRACKED_MESSAGE,
    UNSETTLED_FIELD,
)
from shipment_events.contract.outcome import Outcome
from shipment_events.watching.flow import median_and_p99
from shipment_events.watching.log import FunctionLog, LogLine, LogLines, ProcessorLog
from shipment_events.watching.metrics import Metrics, Points

# A metric filter counts a line within minutes, so the newest buckets of a metric can be incomplete.
_METRIC_DELAY: Final = timedelta(minutes=3)
# The rate of a shorter time says little: one batch more or less changes it much.
_SHORTEST_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Window:
    """A period that ends now.

    Attributes:
        minutes: its length.
        bucket_seconds: length of a bucket: a multiple of 60, and a divisor of the length.
    """

    minutes: int
    bucket_seconds: int

    def buckets(self, now: datetime) -> list[datetime]:
        """The beginnings of its buckets, oldest first. The last one contains ``now``."""
        length = self.bucket_seconds
        last = int(now.timestamp()) // length * length
        count = self.minutes * 60 // length
        return [datetime.fromtimestamp(last - length * back, UTC) for back in reversed(range(count))]


@dataclass(frozen=True, slots=True)
class Series:
    """Values by name, one for each bucket; None where a value is not known.

    Attributes:
        source: ``metrics`` or ``log``.
        is_whole: False if a limit stopped the reading of the log.
        totals: the number in the whole period, for values that are a rate.
    """

    begins: Sequence[datetime]
    values: Mapping[str, Sequence[float | None]]
    source: str = "metrics"
    is_whole: bool = True
    totals: Mapping[str, int] = field(default_factory=dict)


def outcome_series(metrics: Metrics, log: ProcessorLog, window: Window, now: datetime) -> Series:
    """Events a minute by outcome.

    Raises:
        botocore.exceptions.ClientError: metrics or log cannot be read.
    """
    begins = window.buckets(now)
    found = metrics.outcome_points(begins[0], now, window.bucket_seconds)
    if found is None:
        return _logged_outcomes(log, window, now)
    points = {outcome.value: of_outcome for outcome, of_outcome in found.items()}
    return Series(begins, _measured_rates(points, window, now), totals=_sums(points))


def _measured_rates(
    found: Mapping[str, Points], window: Window, now: datetime
) -> dict[str, Sequence[float | None]]:
    """Numbers a minute.

    A metric filter writes nothing while there are no batches, so no value means no event. The last bucket is
    still filling, and nobody knows how much of it the metric has. It has no rate yet.
    """
    begins = window.buckets(now)
    known_until = now - _METRIC_DELAY
    minutes = window.bucket_seconds / 60
    return {
        name: [
            *(
                points[begin] / minutes if begin in points else (0.0 if begin < known_until else None)
                for begin in begins[:-1]
            ),
            None,
        ]
        for name, points in found.items()
    }


def _logged_rates(
    found: Mapping[str, Points], window: Window, now: datetime
) -> dict[str, Sequence[float | None]]:
    """Numbers a minute. The log has a line within seconds, so the last bucket is as long as has passed."""
    *begins, last = window.buckets(now)
    passed = (now - last).total_seconds()
    return {
        name: [
            *(points.get(begin, 0) * 60 / window.bucket_seconds for begin in begins),
            points.get(last, 0) * 60 / passed if passed >= _SHORTEST_SECONDS else None,
        ]
        for name, points in found.items()
    }


def _sums(found: Mapping[str, Points]) -> dict[str, int]:
    return {name: round(sum(points.values())) for name, points in found.items()}


def latency_series(metrics: Metrics, log: ProcessorLog, window: Window, now: datetime) -> Series:
    """Milliseconds from the bus to the table, ``p50`` and ``p99``, of the slowest event of each batch.

    Raises:
        botocore.exceptions.ClientError: metrics or log cannot be read.
    """
    begins = window.buckets(now)
    found = metrics.latency_points(begins[0], now, window.bucket_seconds)
    if any(found.values()):
        return Series(begins, _in_buckets(found, begins))
    slowest: dict[datetime, list[float]] = defaultdict(list)
    lines = log.lines(BATCH_MESSAGE, begins[0], now)
    for line, begin in _batches(lines, BATCH_MESSAGE, window, begins):
        if LATENCY_FIELD in line.fields:
            slowest[begin].append(float(line.fields[LATENCY_FIELD]))
    return Series(begins, _cuts(slowest, begins), "log", lines.is_whole)


def tracking_series(metrics: Metrics, log: FunctionLog, window: Window, now: datetime) -> Series:
    """What the tracker did: ``changes`` a minute that it announced, events a minute that it takes ``again``,
    and milliseconds from the table to the state, ``p50`` and ``p99``, of the slowest event of each batch.

    Raises:
        botocore.exceptions.ClientError: metrics or log cannot be read.
    """
    begins = window.buckets(now)
    found = metrics.tracking_points(begins[0], now, window.bucket_seconds)
    if any(found.values()):
        points = {name: found[name] for name in ("changes", "again")}
        values = _in_buckets(found, begins) | _measured_rates(points, window, now)
        return Series(begins, values, totals=_sums(points))
    slowest: dict[datetime, list[float]] = defaultdict(list)
    counts: dict[str, Counter[datetime]] = {"changes": Counter(), "again": Counter()}
    lines = log.lines(TRACKED_MESSAGE, begins[0], now)
    for line, begin in _batches(lines, TRACKED_MESSAGE, window, begins):
        counts["changes"][begin] += int(line.fields.get(ANNOUNCED_FIELD, 0))
        counts["again"][begin] += int(line.fields.get(UNSETTLED_FIELD, 0))
        if LAG_FIELD in line.fields:
            slowest[begin].append(float(line.fields[LAG_FIELD]))
    values = _cuts(slowest, begins) | _logged_rates(counts, window, now)
    return Series(begins, values, "log", lines.is_whole, _sums(counts))


def _cuts(
    slowest: Mapping[datetime, list[float]], begins: Sequence[datetime]
) -> dict[str, Sequence[float | None]]:
    cuts = {begin: median_and_p99(values) for begin, values in slowest.items()}
    return {
        name: [cut[position] if (cut := cuts.get(begin)) else None for begin in begins]
        for position, name in enumerate(("p50", "p99"))
    }


def queue_series(metrics: Metrics, window: Window, now: datetime) -> Series | None:
    """Highest ``waiting`` messages and ``oldest_seconds`` of the queue; None if there are no metrics.

    Raises:
        botocore.exceptions.ClientError: the metrics cannot be read.
    """
    begins = window.buckets(now)
    found = metrics.queue_points(begins[0], now, window.bucket_seconds)
    return Series(begins, _in_buckets(found, begins)) if any(found.values()) else None


def _in_buckets(found: Mapping[str, Points], begins: Sequence[datetime]) -> dict[str, Sequence[float | None]]:
    return {name: [points.get(begin) for begin in begins] for name, points in found.items()}


def _logged_outcomes(log: ProcessorLog, window: Window, now: datetime) -> Series:
    begins = window.buckets(now)
    counts: dict[str, Counter[datetime]] = {outcome.value: Counter() for outcome in Outcome}
    lines = log.lines(BATCH_MESSAGE, begins[0], now)
    for line, begin in _batches(lines, BATCH_MESSAGE, window, begins):
        for outcome, of_outcome in counts.items():
            of_outcome[begin] += int(line.fields.get(outcome, 0))
    return Series(begins, _logged_rates(counts, window, now), "log", lines.is_whole, _sums(counts))


def _batches(
    lines: LogLines, message: str, window: Window, begins: Sequence[datetime]
) -> Iterator[tuple[LogLine, datetime]]:
    """Lines of batches, each with its bucket."""
    for line in lines:
        if line.fields.get("message") == message:
            behind = (line.written_at - begins[0]).total_seconds()
            yield line, begins[min(int(behind // window.bucket_seconds), len(begins) - 1)]


@dataclass(frozen=True, slots=True)
class Reasons:
    """The number of events that were quarantined, by reason.

    Attributes:
        is_whole: False if a limit stopped the reading of the log.
    """

    counts: Counter[str]
    is_whole: bool


def logged_reasons(log: ProcessorLog, since: datetime, until: datetime) -> Reasons:
    """Why events were quarantined.

    Raises:
        botocore.exceptions.ClientError: the log cannot be read.
    """
    lines = log.lines(Outcome.QUARANTINED.value, since, until)
    counts = Counter(
        str(line.fields["reason"])
        for line in lines
        if line.fields.get("outcome") == Outcome.QUARANTINED.value and "reason" in line.fields
    )
    return Reasons(counts, lines.is_whole)
