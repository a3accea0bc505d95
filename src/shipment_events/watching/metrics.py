"""What CloudWatch measured, and which of its alarms fire.

No other module talks to CloudWatch.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

_PERIOD_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class FiringAlarm:
    """An alarm in the state ALARM.

    Attributes:
        name: without the stage's prefix.
        description: what it means and where to look.
        since: when it began to fire.
    """

    name: str
    description: str
    since: datetime

    @property
    def runbook_entry(self) -> str:
        """The name without the number of the version that the alarm is about, if it is about one."""
        return re.sub(r"-\d+$", "", self.name)


def outcome_counts(
    client: "CloudWatchClient", environment: str, since: datetime, until: datetime
) -> Mapping[Outcome, int] | None:
    """How many events ended as what, or None where nothing was measured.

    Raises:
        botocore.exceptions.ClientError: the metrics cannot be read.
    """
    dimensions = {names.METRIC_DIMENSION: environment}
    queries = [
        _query(outcome.value, names.METRIC_NAMESPACE, outcome.metric, dimensions, "Sum")
        for outcome in Outcome
    ]
    found = _values(client, queries, since, until)
    if not any(found.values()):
        return None
    return {outcome: round(sum(found[outcome.value])) for outcome in Outcome}


def latency_ms(
    client: "CloudWatchClient", environment: str, since: datetime, until: datetime
) -> tuple[float, float] | None:
    """The highest median and 99th percentile of a minute, from the bus to the table; None if there is none.

    Of the slowest event of each batch.

    Raises:
        botocore.exceptions.ClientError: the metrics cannot be read.
    """
    dimensions = {names.METRIC_DIMENSION: environment}
    queries = [
        _query(statistic, names.METRIC_NAMESPACE, names.LATENCY_METRIC, dimensions, statistic)
        for statistic in ("p50", "p99")
    ]
    found = _values(client, queries, since, until)
    return (max(found["p50"]), max(found["p99"])) if found["p50"] and found["p99"] else None


def oldest_message_seconds(
    client: "CloudWatchClient", environment: str, since: datetime, until: datetime
) -> float | None:
    """Age of the oldest message of the queue when it was last measured; None if it was not.

    Raises:
        botocore.exceptions.ClientError: the metrics cannot be read.
    """
    dimensions = {"QueueName": names.queue_name(environment)}
    query = _query("age", "AWS/SQS", "ApproximateAgeOfOldestMessage", dimensions, "Maximum")
    found = _values(client, [query], since, until)["age"]
    return found[-1] if found else None


def firing_alarms(client: "CloudWatchClient", environment: str) -> list[FiringAlarm]:
    """The stack's alarms that fire now.

    Raises:
        botocore.exceptions.ClientError: the alarms cannot be read.
    """
    prefix = f"{names.stack_name(environment)}-"
    pages = client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix, StateValue="ALARM")
    return [
        FiringAlarm(
            alarm["AlarmName"].removeprefix(prefix),
            alarm.get("AlarmDescription", ""),
            alarm["StateUpdatedTimestamp"],
        )
        for page in pages
        for alarm in page["MetricAlarms"]
    ]


def _query(
    identifier: str, namespace: str, metric: str, dimensions: Mapping[str, str], statistic: str
) -> "MetricDataQueryTypeDef":
    return {
        "Id": identifier,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Period": _PERIOD_SECONDS,
            "Stat": statistic,
        },
    }


def _values(
    client: "CloudWatchClient", queries: "list[MetricDataQueryTypeDef]", since: datetime, until: datetime
) -> dict[str, list[float]]:
    """Values by the query's id, oldest first."""
    found: dict[str, list[float]] = {query["Id"]: [] for query in queries}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=since, EndTime=until, ScanBy="TimestampAscending"
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            found[result["Id"]] += result["Values"]
    return found
