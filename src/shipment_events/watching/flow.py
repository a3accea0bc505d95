"""What the processor did with events in a time, by its metrics or, where there are none, by its log."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import quantiles
from typing import TYPE_CHECKING, Final

from shipment_events.contract.names import BATCH_MESSAGE, LATENCY_FIELD, RETRIED_MESSAGE
from shipment_events.contract.outcome import Outcome
from shipment_events.watching.log import read_log
from shipment_events.watching.metrics import latency_ms, outcome_counts

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_logs import CloudWatchLogsClient

_MOST_LINES: Final = 20_000
_MOST_RETRIES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Flow:
    """Outcomes in a time.

    Attributes:
        latency_ms: from the bus to the table, median and 99th percentile of the slowest event of each batch;
            None where it is not known.
        source: ``metrics``, or ``log`` where CloudWatch has no metrics of the processor.
        is_whole: False if there were more log lines than are read.
    """

    counts: Mapping[Outcome, int]
    latency_ms: tuple[float, float] | None
    source: str
    is_whole: bool = True

    @property
    def total(self) -> int:
        """Events that the processor settled, those included that it gave back for a retry."""
        return sum(self.counts.values())


def measured_flow(
    cloudwatch: "CloudWatchClient",
    logs: "CloudWatchLogsClient",
    environment: str,
    since: datetime,
    until: datetime,
) -> Flow:
    """Outcomes by the metrics; by the log where there are none, as on the local engine.

    Raises:
        botocore.exceptions.ClientError: metrics or log cannot be read.
    """
    counts = outcome_counts(cloudwatch, environment, since, until)
    if counts is None:
        return logged_flow(logs, environment, since, until)
    return Flow(counts, latency_ms(cloudwatch, environment, since, until), "metrics")


def logged_flow(logs: "CloudWatchLogsClient", environment: str, since: datetime, until: datetime) -> Flow:
    """Outcomes by the log, which has them within seconds, where metrics take minutes.

    Raises:
        botocore.exceptions.ClientError: the log cannot be read.
    """
    counts: Counter[Outcome] = Counter()
    latencies: list[float] = []
    lines = 0
    for line in read_log(logs, environment, BATCH_MESSAGE, since=since, until=until, most=_MOST_LINES):
        lines += 1
        counts.update({outcome: int(line.fields.get(outcome.value, 0)) for outcome in Outcome})
        if LATENCY_FIELD in line.fields:
            latencies.append(line.fields[LATENCY_FIELD])
    latency = None
    if len(latencies) > 1:
        cuts = quantiles(latencies, n=100, method="inclusive")
        latency = (cuts[49], cuts[98])
    return Flow({outcome: counts[outcome] for outcome in Outcome}, latency, "log", lines < _MOST_LINES)


def logged_retry_errors(
    logs: "CloudWatchLogsClient", environment: str, since: datetime, until: datetime
) -> Counter[str]:
    """Why events were given back to the queue, by error code; the first thousand are counted.

    Raises:
        botocore.exceptions.ClientError: the log cannot be read.
    """
    lines = read_log(logs, environment, RETRIED_MESSAGE, since=since, until=until, most=_MOST_RETRIES)
    return Counter(str(line.fields["detail"]) for line in lines if "detail" in line.fields)
