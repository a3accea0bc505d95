"""Metric filters, which read the one line that a function logs for each batch, run or request.

Metric filters cost nothing. The embedded metric format would describe every metric in every line, which is
about half of its bytes, and a log costs by the byte.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from infrastructure.bundled_function import BundledFunction
from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome


@dataclass(frozen=True)
class LogMetric:
    """One metric of a function, and the field of its line that has the value."""

    name: str
    field: str
    unit: cloudwatch.Unit = cloudwatch.Unit.COUNT
    by_version: bool = False
    """Whether each version has a value of its own. A rollout judges the new version while the old one does
    most of the work."""

    @property
    def dimensions(self) -> dict[str, str]:
        """Field of the line by the name of the dimension that it gives."""
        of_stage = {names.METRIC_DIMENSION: names.ENVIRONMENT_FIELD}
        return {**of_stage, names.VERSION_DIMENSION: names.VERSION_FIELD} if self.by_version else of_stage


PROCESSOR_METRICS: Final = (
    *(LogMetric(outcome.metric, outcome.value) for outcome in Outcome),
    LogMetric(names.LATENCY_METRIC, names.LATENCY_FIELD, cloudwatch.Unit.MILLISECONDS),
    LogMetric(names.SETTLED_METRIC, names.SETTLED_FIELD, by_version=True),
    LogMetric(names.FAILED_METRIC, names.FAILED_FIELD, by_version=True),
)
TRACKER_METRICS: Final = (
    LogMetric(names.FOLDED_METRIC, names.FOLDED_FIELD),
    LogMetric(names.ANNOUNCED_METRIC, names.ANNOUNCED_FIELD),
    LogMetric(names.UNSETTLED_METRIC, names.UNSETTLED_FIELD),
    LogMetric(names.LAG_METRIC, names.LAG_FIELD, cloudwatch.Unit.MILLISECONDS),
)
WATCHER_METRICS: Final = (
    LogMetric(names.OPEN_METRIC, names.LOOKED_AT_FIELD),
    LogMetric(names.DELAYS_METRIC, names.ANNOUNCED_FIELD),
)
API_METRICS: Final = (
    LogMetric(names.REQUESTS_METRIC, names.REQUESTS_FIELD),
    LogMetric(names.NOT_MODIFIED_METRIC, names.NOT_MODIFIED_FIELD),
    LogMetric(names.REFUSED_METRIC, names.REFUSED_FIELD),
    LogMetric(names.API_FAILED_METRIC, names.API_FAILED_FIELD),
    LogMetric(names.DURATION_METRIC, names.DURATION_FIELD, cloudwatch.Unit.MILLISECONDS),
)


class LogMetrics(Construct):
    """One metric filter on the log of a function for each of its metrics."""

    def __init__(
        self, scope: Construct, construct_id: str, *, of: BundledFunction, metrics: Iterable[LogMetric]
    ) -> None:
        """Build the filters, and the function ``of`` after them."""
        super().__init__(scope, construct_id)
        for metric in metrics:
            self._add(of.log_group, metric)
        # A filter does not read older lines, so it has to be there before the first one.
        of.function.node.add_dependency(self)

    def _add(self, log_group: logs.ILogGroup, metric: LogMetric) -> None:
        value, dimensions = f"$.{metric.field}", metric.dimensions
        logs.MetricFilter(
            self,
            metric.name,
            log_group=log_group,
            filter_pattern=logs.FilterPattern.all(
                logs.FilterPattern.number_value(value, ">=", 0),
                *(logs.FilterPattern.exists(f"$.{source}") for source in dimensions.values()),
            ),
            metric_namespace=names.METRIC_NAMESPACE,
            metric_name=metric.name,
            metric_value=value,
            # A filter with dimensions cannot have a default value.
            dimensions={name: f"$.{source}" for name, source in dimensions.items()},
            unit=metric.unit,
        )
