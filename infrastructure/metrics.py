"""The CloudWatch metrics of the pipeline, spelled once for alarms and dashboard.

Dimensions are the public names rather than references to resources: an alarm then neither waits for a
resource nor changes with it. Durations are milliseconds, ages seconds, everything else counts.
"""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome

WRITE_OPERATION: Final = "BatchExecuteStatement"
READ_OPERATION: Final = "BatchGetItem"


class PipelineMetrics:
    """Metrics of one stage, all over the same period."""

    def __init__(self, environment: str, *, period_seconds: int) -> None:
        """Metrics of the stage ``environment``, one value for each ``period_seconds``."""
        self._environment = environment
        self._period = Duration.seconds(period_seconds)

    def queue(self, metric: str, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Return a metric of the queue; what SQS reports once a minute for a queue in use."""
        return self._metric(
            "AWS/SQS", metric, statistic, {"QueueName": names.queue_name(self._environment)}, label
        )

    def dead_letter_queue(self, metric: str, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Return a metric of the dead-letter queue."""
        return self._metric(
            "AWS/SQS",
            metric,
            statistic,
            {"QueueName": names.dead_letter_queue_name(self._environment)},
            label,
        )

    def dead_letters_there(self, *, hour: int | None = None) -> cloudwatch.MathExpression:
        """Return a value above 0 if there are dead letters; with an ``hour`` (UTC) in that of each day only.

        Those that somebody is reading are in work; in one period they may count as both. The age would not
        do: SQS leaves messages out of it that were received three times, so three looks would hide a letter.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        """
        there = "waiting + in_work"
        return self._of_dead_letters(
            there if hour is None else f"IF(HOUR(waiting) == {hour}, {there}, 0)", "Dead letters"
        )

    def dead_letters_added(self) -> cloudwatch.MathExpression:
        """Return how many more dead letters wait than there were in the period before; 0 if none waited then.

        No metric counts what SQS itself moves. Those that were in work before are no new ones when they come
        back; ``x - DIFF(x)`` is the value before.
        """
        before_in_work = "(FILL(in_work, 0) - DIFF(FILL(in_work, 0)))"
        return self._of_dead_letters(
            f"IF(waiting > DIFF(waiting), DIFF(waiting) - {before_in_work}, 0)", "New dead letters"
        )

    def _of_dead_letters(self, expression: str, label: str) -> cloudwatch.MathExpression:
        return cloudwatch.MathExpression(
            expression=expression,
            using_metrics={
                "waiting": self.dead_letter_queue("ApproximateNumberOfMessagesVisible", "Maximum"),
                "in_work": self.dead_letter_queue("ApproximateNumberOfMessagesNotVisible", "Maximum"),
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
        """Return the share of a function's invocations that failed, in percent; no value without any."""
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
        """Return a metric of the ``version`` that the function ``name`` tries behind its weighted alias.

        https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
        """
        dimensions = {
            "FunctionName": name,
            "Resource": f"{name}:{names.PROCESSOR_ALIAS}",
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
        """Return the count of one outcome, 0 where the processor logged none: a graph then has no holes."""
        return cloudwatch.MathExpression(
            expression=f"FILL({outcome.value}, 0)",
            using_metrics={outcome.value: self.outcome(outcome)},
            label=outcome.metric,
            period=self._period,
        )

    def latency(self, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Return the milliseconds from the bus to the table of the slowest event of each batch."""
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
        """Return a metric of the table, or of one ``index`` or API ``operation`` of it."""
        dimensions = {"TableName": names.table_name(self._environment)}
        if index is not None:
            dimensions["GlobalSecondaryIndexName"] = index
        if operation is not None:
            dimensions["Operation"] = operation
        return self._metric("AWS/DynamoDB", metric, statistic, dimensions, label)

    def _own(self, metric: str, statistic: str, label: str | None) -> cloudwatch.Metric:
        return self._metric(
            names.METRIC_NAMESPACE, metric, statistic, {names.METRIC_DIMENSION: self._environment}, label
        )

    def _rule(self, rule: str, metric: str, label: str | None) -> cloudwatch.Metric:
        # A rule of a custom bus reports under both dimensions, one of the default bus under the rule alone:
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
