"""What the tracker did in a period, from its metrics or from its log."""

from dataclasses import dataclass
from datetime import datetime

from shipment_events.contract.names import (
    ANNOUNCED_FIELD,
    FOLDED_FIELD,
    LAG_FIELD,
    TRACKED_MESSAGE,
    UNSETTLED_FIELD,
)
from shipment_events.queue.queue import Depth, Queue
from shipment_events.watching.flow import median_and_p99
from shipment_events.watching.log import FunctionLog
from shipment_events.watching.metrics import Metrics


@dataclass(frozen=True, slots=True)
class TrackingFlow:
    """What the tracker did in a period.

    Attributes:
        folded: events that are in the state of their shipment.
        announced: changes that were put on the status bus, with repeats.
        unsettled: events that Lambda sends to the tracker again.
        lag_ms: median and 99th percentile of the time from the table to the state, of the slowest event of
            each batch; None if it is not known.
        source: ``metrics``, or ``log`` if the counts were read from the log.
        is_whole: False if a limit stopped the reading of the log.
    """

    folded: int
    announced: int
    unsettled: int
    lag_ms: tuple[float, float] | None
    source: str
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class TrackingStatus:
    """The status of the states of shipments.

    Attributes:
        failures: number of messages in the tracker's queue for failures, approximate.
    """

    flow: TrackingFlow
    failures: Depth


@dataclass(frozen=True, slots=True)
class TrackingSources:
    """Where the status of the tracker comes from."""

    failures: Queue
    log: FunctionLog


def tracking_status(
    sources: TrackingSources, metrics: Metrics, since: datetime, until: datetime
) -> TrackingStatus:
    """Read the status of a period.

    Raises:
        botocore.exceptions.ClientError: metrics, log or queue cannot be read.
    """
    return TrackingStatus(_flow(metrics, sources.log, since, until), sources.failures.depth())


def _flow(metrics: Metrics, log: FunctionLog, since: datetime, until: datetime) -> TrackingFlow:
    """Counts from the metrics, or from the log if there are none, as on the local engine."""
    counts = metrics.tracking_counts(since, until)
    if counts is None:
        return _logged(log, since, until)
    return TrackingFlow(*counts, metrics.tracking_lag_ms(since, until), "metrics")


def _logged(log: FunctionLog, since: datetime, until: datetime) -> TrackingFlow:
    counts = dict.fromkeys((FOLDED_FIELD, ANNOUNCED_FIELD, UNSETTLED_FIELD), 0)
    lags: list[float] = []
    lines = log.lines(TRACKED_MESSAGE, since, until)
    for line in lines:
        if line.fields.get("message") != TRACKED_MESSAGE:
            continue
        for name in counts:
            counts[name] += int(line.fields.get(name, 0))
        if LAG_FIELD in line.fields:
            lags.append(line.fields[LAG_FIELD])
    folded, announced, unsettled = counts.values()
    return TrackingFlow(folded, announced, unsettled, median_and_p99(lags), "log", lines.is_whole)
