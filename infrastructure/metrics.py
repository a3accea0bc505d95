"""The CloudWatch metrics of the pipeline, for alarms and dashboard.

Dimensions are public names, not references to resources, so an alarm does not wait for a resource and does
not change with it. Durations are in milliseconds, ages in seconds, all other metrics are counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome
from shipment_events.stage_limits import SECONDS_PER_HOUR
from shipment_events.stages import StageSettings

WRITE_OPERATION: Final = "BatchExecuteStatement"
READ_OPERATION: Final = "BatchGetItem"


class PipelineMetrics:
    """Metrics of one stage, all with the same period."""

    def __init__(self, environment: str, *, period_seconds: int) -> None:
        """Use the stage ``environment``, and one value for each ``period_seconds``."""
        self._environment = environment
        self._period = Duration.seconds(period_seconds)

    def queue(self, metric: str, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Return a metric of the queue. SQS reports it once a minute while the queue is in use."""
        return self._queue(names.queue_name(self._environment), metric, statistic, label)

    def dead_letter_queue(self, metric: str, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Return a metric of the dead-letter queue."""
        return self._queue(names.dead_letter_queue_name(self._environment), metric, statistic, label)

    def failures_queue(
        self, name: str, metric: str, statistic: str, label: str | None = None
    ) -> cloudwatch.Metric:
        """Return a metric of the queue ``name`` of a function's failures."""
        return self._queue(name, metric, statistic, label)

    def dead_letters_there(self, *, hour: int | None = None) -> cloudwatch.MathExpression:
        """Return a value above 0 if there are dead letters; with ``hour`` (UTC), only in that hour of a day.

        A dead letter that somebody reads is in flight; one period may count it as both. The age is no
        substitute: SQS leaves out messages that were received three times, so three reads hide a letter.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        """
        there = "waiting + in_work"
        return self._of_messages(
            names.dead_letter_queue_name(self._environment),
            there if hour is None else f"IF(HOUR(waiting) == {hour}, {there}, 0)",
            "Dead letters",
        )

    def failures_there(self, name: str, label: str) -> cloudwatch.MathExpression:
        """Return a value above 0 if failures are in the queue ``name``, as :meth:`dead_letters_there`."""
        return self._of_messages(name, "waiting + in_work", label)

    def stored_and_none_since(self, done: str) -> cloudwatch.MathExpression:
        """Return 1 from the period in which an event is stored until ``done`` counts one, else 0 or no value.

        ``done`` is a metric of the log of a function that follows the stream.

        The inner ``IF`` without a last argument has no value, and ``REPEAT`` puts the latest value there:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
        """
        # The name of a variable begins with a small letter.
        counted = done.lower()
        return cloudwatch.MathExpression(
            expression=f"FILL(IF(FILL({counted}, 0) > 0, 0, IF(stored > 0, 1)), REPEAT)",
            using_metrics={
                counted: self._own(done, "Sum", None),
                "stored": self.outcome(Outcome.STORED),
            },
            label=f"Stored, none {counted} since",
            period=self._period,
        )

    def dead_letters_added(self) -> cloudwatch.MathExpression:
        """Return the lasting increase of dead letters; 0 if none waited before. The period must be a minute.

        No metric counts the messages that SQS itself moves. A message that somebody reads changes from
        waiting to in work, so only the sum of both can tell. SQS reports one value of each a minute, none of
        what is in work if that is nothing. The maxima of a longer period would be of different moments. The
        counts are approximate, so the lower of the last two sums must be above the higher of the two before;
        there is no value without all four.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        """
        last = "(waiting + in_work)"
        second, third, fourth = (_earlier(last, periods) for periods in (1, 2, 3))
        lower = f"IF(DIFF({last}) > 0, {second}, {last})"
        higher = f"IF(DIFF({third}) > 0, {third}, {fourth})"
        all_four = f"ABS(DIFF(DIFF(DIFF({last})))) >= 0"
        return self._of_messages(
            names.dead_letter_queue_name(self._environment),
            f"IF({all_four}, IF({third} > 0, {lower} - {higher}, 0))",
            "New dead letters",
        )

    def _of_messages(self, queue: str, expression: str, label: str) -> cloudwatch.MathExpression:
        return cloudwatch.MathExpression(
            expression=expression,
            using_metrics={
                "waiting": self._queue(queue, "ApproximateNumberOfMessagesVisible", "Maximum", None),
                "in_work": self._queue(queue, "ApproximateNumberOfMessagesNotVisible", "Maximum", None),
            },
            label=label,
            period=self._period,
        )

    def shipment_rule(self, metric: str, label: str | None = None) -> cloudwatch.Metric:
        """Return a count of the rule that delivers shipment events."""
        return self._rule(names.rule_name(self._environment), metric, label)

    def unmatched_rule(self, metric: str, label: str | None = None) -> cloudwatch.Metric:
        """Return a count of the unmatched rule."""
        return self._rule(names.unmatched_rule_name(self._environment), metric, label)

    def function(self, name: str, metric: str, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Return a metric of the function ``name``."""
        return self._metric("AWS/Lambda", metric, statistic, {"FunctionName": name}, label)

    def error_rate(self, name: str) -> cloudwatch.MathExpression:
        """Return the share of failed invocations of a function, in percent; no value if there are none."""
        return cloudwatch.MathExpression(
            expression="errors / invocations * 100",
            using_metrics={
                "errors": self.function(name, "Errors", "Sum"),
                "invocations": self.function(name, "Invocations", "Sum"),
            },
            label="Error rate (%)",
            period=self._period,
        )

    def version(self, name: str, version: str, metric: str, statistic: str) -> cloudwatch.Metric:
        """Return a metric of one ``version`` of the function ``name``, invoked through its weighted alias.

        https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
        """
        dimensions = {
            "FunctionName": name,
            "Resource": f"{name}:{names.LIVE_ALIAS}",
            "ExecutedVersion": version,
        }
        return self._metric("AWS/Lambda", metric, statistic, dimensions, None)

    def version_failed(self, version: str) -> cloudwatch.MathExpression:
        """Return the share of a ``version``'s events that it quarantined or handed back, in percent."""
        dimensions = {names.METRIC_DIMENSION: self._environment, names.VERSION_DIMENSION: version}
        return cloudwatch.MathExpression(
            expression="failed / settled * 100",
            using_metrics={
                "failed": self._metric(names.METRIC_NAMESPACE, names.FAILED_METRIC, "Sum", dimensions, None),
                "settled": self._metric(
                    names.METRIC_NAMESPACE, names.SETTLED_METRIC, "Sum", dimensions, None
                ),
            },
            label="Failed (%)",
            period=self._period,
        )

    def outcome(self, outcome: Outcome) -> cloudwatch.Metric:
        """Return the count of one outcome."""
        return self._own(outcome.metric, "Sum", None)

    def outcome_or_zero(self, outcome: Outcome) -> cloudwatch.MathExpression:
        """Return the count of one outcome, or 0 if there is no value, so that a graph has no gaps."""
        return cloudwatch.MathExpression(
            expression=f"FILL({outcome.value}, 0)",
            using_metrics={outcome.value: self.outcome(outcome)},
            label=outcome.metric,
            period=self._period,
        )

    def latency(self, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Return the time from bus to table of the slowest event of each batch, in milliseconds."""
        return self._own(names.LATENCY_METRIC, statistic, label)

    def table(
        self,
        metric: str,
        statistic: str,
        label: str | None = None,
        *,
        index: str | None = None,
        operation: str | None = None,
    ) -> cloudwatch.Metric:
        """Return a metric of the table of events, or of one ``index`` or API ``operation`` of it."""
        more = {"GlobalSecondaryIndexName": index, "Operation": operation}
        return self._table(names.table_name(self._environment), metric, statistic, label, more)

    def table_failures(
        self, metric: str, *, index: str | None = None, operation: str | None = None
    ) -> cloudwatch.MathExpression:
        """Return a count of the table of events for an alarm: 0 where there is no value.

        DynamoDB reports failures only where there are some. An alarm on its metrics may ignore what it is
        told of missing values, and then stays on. AWS contradicts itself: always, says the first page; only
        by default, says the second. An expression that is never missing ends the alarm in both cases.
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
        """
        return cloudwatch.MathExpression(
            expression="FILL(failures, 0)",
            using_metrics={"failures": self.table(metric, "Sum", index=index, operation=operation)},
            label=metric,
            period=self._period,
        )

    def shipments_table(
        self, metric: str, statistic: str, label: str | None = None, *, index: str | None = None
    ) -> cloudwatch.Metric:
        """Return a metric of the table of shipments, or of one ``index`` of it."""
        more = {"GlobalSecondaryIndexName": index}
        return self._table(names.shipments_table_name(self._environment), metric, statistic, label, more)

    def folded(self, label: str) -> cloudwatch.Metric:
        """Return the number of events whose shipment has a state that holds them."""
        return self._own(names.FOLDED_METRIC, "Sum", label)

    def announced(self, label: str) -> cloudwatch.Metric:
        """Return the number of changes that were put on the status bus, with repeats."""
        return self._own(names.ANNOUNCED_METRIC, "Sum", label)

    def unsettled(self, label: str | None = None) -> cloudwatch.Metric:
        """Return the number of events that Lambda sends to the tracker again."""
        return self._own(names.UNSETTLED_METRIC, "Sum", label)

    def lag(self, statistic: str, label: str) -> cloudwatch.Metric:
        """Return the time from table to state of the slowest event of each batch, in milliseconds."""
        return self._own(names.LAG_METRIC, statistic, label)

    def open_shipments(self, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Return the number of shipments that are not finished; each run of the watcher gives one value."""
        return self._own(names.OPEN_METRIC, statistic, label)

    def delays(self, label: str) -> cloudwatch.Metric:
        """Return the number of delays that the watcher put on the status bus, with repeats."""
        return self._own(names.DELAYS_METRIC, "Sum", label)

    def api(self, metric: str, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Return a metric of the API's log."""
        return self._own(metric, statistic, label)

    def _table(
        self, name: str, metric: str, statistic: str, label: str | None, more: Mapping[str, str | None]
    ) -> cloudwatch.Metric:
        dimensions = {"TableName": name, **{key: value for key, value in more.items() if value is not None}}
        return self._metric("AWS/DynamoDB", metric, statistic, dimensions, label)

    def _queue(self, name: str, metric: str, statistic: str, label: str | None) -> cloudwatch.Metric:
        return self._metric("AWS/SQS", metric, statistic, {"QueueName": name}, label)

    def _own(self, metric: str, statistic: str, label: str | None) -> cloudwatch.Metric:
        return self._metric(
            names.METRIC_NAMESPACE, metric, statistic, {names.METRIC_DIMENSION: self._environment}, label
        )

    def _rule(self, rule: str, metric: str, label: str | None) -> cloudwatch.Metric:
        # A rule of a custom bus reports with both dimensions, a rule of the default bus only with RuleName:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
        bus = names.event_bus_name(self._environment)
        return self._metric("AWS/Events", metric, "Sum", {"EventBusName": bus, "RuleName": rule}, label)

    def _metric(
        self, namespace: str, metric: str, statistic: str, dimensions: Mapping[str, str], label: str | None
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=metric,
            statistic=statistic,
            dimensions_map=dimensions,
            label=label,
            period=self._period,
        )


def _earlier(expression: str, periods: int) -> str:
    """The values of so many periods before: ``x - DIFF(x)`` is the value of the period before."""
    for _ in range(periods):
        expression = f"({expression} - DIFF({expression}))"
    return expression


@dataclass(frozen=True)
class MetricsByPeriod:
    """The metrics of a stage, with the periods that most alarms use."""

    settings: StageSettings

    @property
    def minutes(self) -> PipelineMetrics:
        """For queues and rules."""
        return self._every(self.settings.alarm_period_seconds)

    @property
    def windows(self) -> PipelineMetrics:
        """For rates and counts."""
        return self._every(self.settings.alarm_rate_period_seconds)

    @property
    def hours(self) -> PipelineMetrics:
        """For what waits for days."""
        return self._every(SECONDS_PER_HOUR)

    def _every(self, seconds: int) -> PipelineMetrics:
        return PipelineMetrics(self.settings.environment, period_seconds=seconds)
