"""Metric filters, which read the one line that a function logs for each batch.

Metric filters cost nothing. The embedded metric format would describe every metric in every line, which is
about half of its bytes, and a log costs by the byte.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html
"""

from collections.abc import Mapping
from typing import Final

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome

_OF_STAGE: Final = {names.METRIC_DIMENSION: names.ENVIRONMENT_FIELD}
_OF_VERSION: Final = {**_OF_STAGE, names.VERSION_DIMENSION: names.VERSION_FIELD}


class LogMetrics(Construct):
    """Metric filters on one log group. A filter does not read older lines."""

    def __init__(self, scope: Construct, construct_id: str, *, log_group: logs.ILogGroup) -> None:
        """Build no filter yet."""
        super().__init__(scope, construct_id)
        self._log_group = log_group

    def _add(self, metric: str, field: str, dimensions: Mapping[str, str], unit: cloudwatch.Unit) -> None:
        logs.MetricFilter(
            self,
            metric,
            log_group=self._log_group,
            filter_pattern=logs.FilterPattern.all(
                logs.FilterPattern.number_value(f"$.{field}", ">=", 0),
                *(logs.FilterPattern.exists(f"$.{source}") for source in dimensions.values()),
            ),
            metric_namespace=names.METRIC_NAMESPACE,
            metric_name=metric,
            metric_value=f"$.{field}",
            # A filter with dimensions cannot have a default value. Only the log class Standard has filters.
            dimensions={name: f"$.{source}" for name, source in dimensions.items()},
            unit=unit,
        )


class ProcessorMetrics(LogMetrics):
    """One metric filter for each metric of the processor."""

    def __init__(self, scope: Construct, construct_id: str, *, log_group: logs.ILogGroup) -> None:
        """Build the filters on the processor's ``log_group``."""
        super().__init__(scope, construct_id, log_group=log_group)
        for outcome in Outcome:
            self._add(outcome.metric, outcome.value, _OF_STAGE, cloudwatch.Unit.COUNT)
        self._add(names.LATENCY_METRIC, names.LATENCY_FIELD, _OF_STAGE, cloudwatch.Unit.MILLISECONDS)
        # One value for each version: a rollout judges the new version while the old one does most of the
        # work.
        self._add(names.SETTLED_METRIC, names.SETTLED_FIELD, _OF_VERSION, cloudwatch.Unit.COUNT)
        self._add(names.FAILED_METRIC, names.FAILED_FIELD, _OF_VERSION, cloudwatch.Unit.COUNT)


class TrackerMetrics(LogMetrics):
    """One metric filter for each metric of the tracker."""

    def __init__(self, scope: Construct, construct_id: str, *, log_group: logs.ILogGroup) -> None:
        """Build the filters on the tracker's ``log_group``."""
        super().__init__(scope, construct_id, log_group=log_group)
        self._add(names.FOLDED_METRIC, names.FOLDED_FIELD, _OF_STAGE, cloudwatch.Unit.COUNT)
        self._add(names.ANNOUNCED_METRIC, names.ANNOUNCED_FIELD, _OF_STAGE, cloudwatch.Unit.COUNT)
        self._add(names.UNSETTLED_METRIC, names.UNSETTLED_FIELD, _OF_STAGE, cloudwatch.Unit.COUNT)
        self._add(names.LAG_METRIC, names.LAG_FIELD, _OF_STAGE, cloudwatch.Unit.MILLISECONDS)


class WatcherMetrics(LogMetrics):
    """One metric filter for each metric of the watcher."""

    def __init__(self, scope: Construct, construct_id: str, *, log_group: logs.ILogGroup) -> None:
        """Build the filters on the watcher's ``log_group``."""
        super().__init__(scope, construct_id, log_group=log_group)
        self._add(names.OPEN_METRIC, names.LOOKED_AT_FIELD, _OF_STAGE, cloudwatch.Unit.COUNT)
        self._add(names.DELAYS_METRIC, names.ANNOUNCED_FIELD, _OF_STAGE, cloudwatch.Unit.COUNT)


class ApiMetrics(LogMetrics):
    """One metric filter for each metric of the API."""

    def __init__(self, scope: Construct, construct_id: str, *, log_group: logs.ILogGroup) -> None:
        """Build the filters on the ``log_group`` of the API's function."""
        super().__init__(scope, construct_id, log_group=log_group)
        self._add(names.REQUESTS_METRIC, names.REQUESTS_FIELD, _OF_STAGE, cloudwatch.Unit.COUNT)
        self._add(names.NOT_MODIFIED_METRIC, names.NOT_MODIFIED_FIELD, _OF_STAGE, cloudwatch.Unit.COUNT)
        self._add(names.REFUSED_METRIC, names.REFUSED_FIELD, _OF_STAGE, cloudwatch.Unit.COUNT)
        self._add(names.API_FAILED_METRIC, names.API_FAILED_FIELD, _OF_STAGE, cloudwatch.Unit.COUNT)
        self._add(names.DURATION_METRIC, names.DURATION_FIELD, _OF_STAGE, cloudwatch.Unit.MILLISECONDS)
