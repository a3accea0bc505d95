"""The outcomes of a period, from the processor's metrics or from its log."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import quantiles
from typing import Final

from shipment_events.contract.names import BATCH_MESSAGE, LATENCY_FIELD, RETRIED_MESSAGE
from shipment_events.contract.outcome import Outcome
from shipment_events.watching.log import ProcessorLog
from shipment_events.watching.metrics import Metrics

_MOST_RETRIES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Flow:
    """The outcomes of a period.

    Attributes:
        latency_ms: median and 99th percentile of the time from the bus to the table, of the slowest event of
            each batch; None if it is not known.
        source: ``metrics``, or ``log`` if the outcomes were read from the log.
        is_whole: False if a limit stopped the reading of the log.
    """

    counts: Mapping[Outcome, int]
    latency_ms: tuple[float, float] | None
    source: str
    is_whole: bool = True

    @property
    def total(self) -> int:
        """The number of settled events, including those that were returned for a retry."""
        return sum(self.counts.values())


def measured_flow(metrics: Metrics, log: ProcessorLog, since: datetime, until: datetime) -> Flow:
    """Outcomes from the metrics, or from the log if there are none, as on the local engine.

    Raises:
        botocore.exceptions.ClientError: metrics or log cannot be read.
    """
    counts = metrics.outcome_counts(since, until)
    if counts is None:
        return logged_flow(log, since, until)
    return Flow(counts, metrics.latency_ms(since, until), "metrics")


def logged_flow(log: ProcessorLog, since: datetime, until: datetime) -> Flow:
    """Outcomes from the log. It has them within seconds; metrics take minutes.

    Raises:
        botocore.exceptions.ClientError: the log cannot be read.
    """
    counts: Counter[Outcome] = Counter()
    latencies: list[float] = []
    lines = log.lines(BATCH_MESSAGE, since, until)
    for line in lines:
        if line.fields.get("message") != BATCH_MESSAGE:
            continue
        counts.update({outcome: int(line.fields.get(outcome.value, 0)) for outcome in Outcome})
        if LATENCY_FIELD in line.fields:
            latencies.append(line.fields[LATENCY_FIELD])
    latency = median_and_p99(latencies)
    return Flow({outcome: counts[outcome] for outcome in Outcome}, latency, "log", lines.is_whole)


def median_and_p99(values: Sequence[float]) -> tuple[float, float] | None:
    """Median and 99th percentile; None without a value."""
    if len(values) < 2:
        return (values[0], values[0]) if values else None
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def logged_retry_errors(log: ProcessorLog, since: datetime, until: datetime) -> Counter[str]:
    """The number of returned events by error code, from the first thousand log lines.

    Raises:
        botocore.exceptions.ClientError: the log cannot be read.
    """
    lines = log.lines(RETRIED_MESSAGE, since, until, most=_MOST_RETRIES)
    return Counter(
        str(line.fields["detail"])
        for line in lines
        if line.fields.get("message") == RETRIED_MESSAGE and "detail" in line.fields
    )
