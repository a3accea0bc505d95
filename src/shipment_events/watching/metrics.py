"""The metrics and alarms of a stage. Only this module calls CloudWatch."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

_PERIOD_SECONDS: Final = 60

Points = Mapping[datetime, float]
"""Data points of a metric, by the beginning of their period in UTC."""

# The comparison operators that the alarms of the stack use. CloudWatch has more.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
}


@dataclass(frozen=True, slots=True)
class StageAlarm:
    """A deployed alarm of a stage.

    Attributes:
        name: the alarm name without the stage's prefix.
        since: when its state last changed.
        threshold: in the unit of its metric.
        comparison: CloudWatch's ``ComparisonOperator``.
    """

    name: str
    is_firing: bool
    since: datetime
    threshold: float
    comparison: str

    @property
    def runbook_entry(self) -> str:
        """The name without the version number at its end, if it has one."""
        return re.sub(r"-\d+$", "", self.name)

    def is_bad(self, value: float) -> bool:
        """Whether a value breaches the threshold."""
        return _COMPARISONS[self.comparison](value, self.threshold)


class Metrics:
    """Metrics and alarms of a stage.

    Args:
        client: CloudWatch client.
    """

    def __init__(self, client: "CloudWatchClient", environment: str) -> None:
        self._client = client
        self._environment = environment

    def outcome_counts(self, since: datetime, until: datetime) -> Mapping[Outcome, int] | None:
        """The number of events by outcome, or None if there are no data points.

        Raises:
            botocore.exceptions.ClientError: the metrics cannot be read.
        """
        queries = [self._own_query(outcome.value, outcome.metric, "Sum") for outcome in Outcome]
        found = self._values(queries, since, until)
        if not any(found.values()):
            return None
        return {outcome: round(sum(found[outcome.value])) for outcome in Outcome}

    def latency_ms(self, since: datetime, until: datetime) -> tuple[float, float] | None:
        """The highest median and 99th percentile of any minute, or None if there are no data points.

        The latency is the time from the bus to the table, of the slowest event of each batch.

        Raises:
            botocore.exceptions.ClientError: the metrics cannot be read.
        """
        return self._worst_ms(names.LATENCY_METRIC, since, until)

    def tracking_counts(self, since: datetime, until: datetime) -> tuple[int, int, int] | None:
        """The number of events that the tracker folded, of changes that it announced, and of events that
        Lambda sends it again. None if there are no data points.

        Raises:
            botocore.exceptions.ClientError: the metrics cannot be read.
        """
        counted = (names.FOLDED_METRIC, names.ANNOUNCED_METRIC, names.UNSETTLED_METRIC)
        queries = [self._own_query(metric.lower(), metric, "Sum") for metric in counted]
        found = self._values(queries, since, until)
        if not any(found.values()):
            return None
        folded, announced, unsettled = (round(sum(found[metric.lower()])) for metric in counted)
        return folded, announced, unsettled

    def tracking_lag_ms(self, since: datetime, until: datetime) -> tuple[float, float] | None:
        """As :meth:`latency_ms`, for the time from the table to the state of the shipment.

        Raises:
            botocore.exceptions.ClientError: the metrics cannot be read.
        """
        return self._worst_ms(names.LAG_METRIC, since, until)

    def oldest_message_seconds(self, since: datetime, until: datetime) -> float | None:
        """The last measured age of the oldest message in the queue, or None if there are no data points.

        Raises:
            botocore.exceptions.ClientError: the metrics cannot be read.
        """
        dimensions = {"QueueName": names.queue_name(self._environment)}
        query = _query("age", "AWS/SQS", "ApproximateAgeOfOldestMessage", dimensions, "Maximum")
        found = self._values([query], since, until)["age"]
        return found[-1] if found else None

    def outcome_points(
        self, since: datetime, until: datetime, period_seconds: int
    ) -> Mapping[Outcome, Points] | None:
        """The number of events by outcome and period, or None if there are no data points.

        Args:
            period_seconds: a multiple of 60. ``since`` must be a multiple of it, too.

        Raises:
            botocore.exceptions.ClientError: the metrics cannot be read.
        """
        queries = [
            self._own_query(outcome.value, outcome.metric, "Sum", period_seconds) for outcome in Outcome
        ]
        found = self._points(queries, since, until)
        return {outcome: found[outcome.value] for outcome in Outcome} if any(found.values()) else None

    def latency_points(self, since: datetime, until: datetime, period_seconds: int) -> Mapping[str, Points]:
        """Median and 99th percentile of the latency, as ``p50`` and ``p99``; arguments as above.

        Raises:
            botocore.exceptions.ClientError: the metrics cannot be read.
        """
        queries = [
            self._own_query(statistic, names.LATENCY_METRIC, statistic, period_seconds)
            for statistic in ("p50", "p99")
        ]
        return self._points(queries, since, until)

    def tracking_points(self, since: datetime, until: datetime, period_seconds: int) -> Mapping[str, Points]:
        """What the tracker did: ``changes`` that it announced, events that it takes ``again``, and median and
        99th percentile of the time from the table to the state, as ``p50`` and ``p99``; arguments as above.

        Raises:
            botocore.exceptions.ClientError: the metrics cannot be read.
        """
        measured = (
            ("changes", names.ANNOUNCED_METRIC, "Sum"),
            ("again", names.UNSETTLED_METRIC, "Sum"),
            ("p50", names.LAG_METRIC, "p50"),
            ("p99", names.LAG_METRIC, "p99"),
        )
        queries = [
            self._own_query(identifier, metric, statistic, period_seconds)
            for identifier, metric, statistic in measured
        ]
        return self._points(queries, since, until)

    def queue_points(self, since: datetime, until: datetime, period_seconds: int) -> Mapping[str, Points]:
        """Highest ``waiting`` messages and ``oldest_seconds`` of the queue; arguments as above.

        Raises:
            botocore.exceptions.ClientError: the metrics cannot be read.
        """
        dimensions = {"QueueName": names.queue_name(self._environment)}
        queries = [
            _query(identifier, "AWS/SQS", metric, dimensions, "Maximum", period_seconds=period_seconds)
            for identifier, metric in (
                ("waiting", "ApproximateNumberOfMessagesVisible"),
                ("oldest_seconds", "ApproximateAgeOfOldestMessage"),
            )
        ]
        return self._points(queries, since, until)

    def alarms(self) -> list[StageAlarm]:
        """The stage's alarms in any state.

        Every alarm of the stack has a threshold, so an alarm without one is left out.

        Raises:
            botocore.exceptions.ClientError: the alarms cannot be read.
        """
        prefix = f"{names.stack_name(self._environment)}-"
        pages = self._client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
        return [
            StageAlarm(
                alarm["AlarmName"].removeprefix(prefix),
                is_firing=alarm["StateValue"] == "ALARM",
                since=alarm.get("StateTransitionedTimestamp", alarm["StateUpdatedTimestamp"]),
                threshold=alarm["Threshold"],
                comparison=alarm["ComparisonOperator"],
            )
            for page in pages
            for alarm in page["MetricAlarms"]
            if alarm["AlarmName"].startswith(prefix) and "Threshold" in alarm
        ]

    def _own_query(
        self, identifier: str, metric: str, statistic: str, period_seconds: int = _PERIOD_SECONDS
    ) -> "MetricDataQueryTypeDef":
        dimensions = {names.METRIC_DIMENSION: self._environment}
        return _query(
            identifier, names.METRIC_NAMESPACE, metric, dimensions, statistic, period_seconds=period_seconds
        )

    def _worst_ms(self, metric: str, since: datetime, until: datetime) -> tuple[float, float] | None:
        queries = [self._own_query(statistic, metric, statistic) for statistic in ("p50", "p99")]
        found = self._values(queries, since, until)
        return (max(found["p50"]), max(found["p99"])) if found["p50"] and found["p99"] else None

    def _values(
        self, queries: "list[MetricDataQueryTypeDef]", since: datetime, until: datetime
    ) -> dict[str, list[float]]:
        """Values by the query's id, oldest first."""
        found = self._points(queries, since, until)
        return {identifier: list(points.values()) for identifier, points in found.items()}

    def _points(
        self, queries: "list[MetricDataQueryTypeDef]", since: datetime, until: datetime
    ) -> dict[str, dict[datetime, float]]:
        """Data points by the query's id, oldest first."""
        found: dict[str, dict[datetime, float]] = {query["Id"]: {} for query in queries}
        pages = self._client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=since, EndTime=until, ScanBy="TimestampAscending"
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                times = (at.astimezone(UTC) for at in result["Timestamps"])
                found[result["Id"]].update(zip(times, result["Values"], strict=True))
        return found


def _query(
    identifier: str,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, str],
    statistic: str,
    *,
    period_seconds: int = _PERIOD_SECONDS,
) -> "MetricDataQueryTypeDef":
    return {
        "Id": identifier,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Period": period_seconds,
            "Stat": statistic,
        },
    }
