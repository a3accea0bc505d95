"""The dashboard. It answers from top to bottom: is it healthy, how far behind, what fails, and where?"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from aws_cdk import Aws, CfnMapping, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infrastructure.console_hosts import CONSOLE_HOSTS
from infrastructure.metrics import READ_OPERATION, WRITE_OPERATION, PipelineMetrics
from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome
from shipment_events.stages import StageSettings

GRID_WIDTH: Final = 24
"""Columns of a CloudWatch dashboard."""
SUMMARY_HEIGHT: Final = 5
GRAPH_HEIGHT: Final = 6


class _Graph(NamedTuple):
    title: str
    metrics: tuple[cloudwatch.IMetric, ...]
    stacked: bool


class PipelineDashboard(Construct):
    """Dashboard of the stage: a summary, then a row for each step of an event."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        alarms: Sequence[cloudwatch.IAlarm],
    ) -> None:
        """Build the dashboard of the stage; the first row shows the state of ``alarms``."""
        super().__init__(scope, construct_id)
        self._metrics = PipelineMetrics(settings.environment, period_seconds=settings.alarm_period_seconds)
        self._totals = PipelineMetrics(
            settings.environment, period_seconds=settings.alarm_rate_period_seconds
        )
        name = names.stack_name(settings.environment)
        processor = names.processor_name(settings.environment)
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=name,
            default_interval=Duration.hours(3),
            widgets=[
                self._build_summary(alarms, processor),
                self._build_bus_row(),
                self._build_queue_row(),
                self._build_function_row("Processor", processor),
                self._build_outcome_row(),
                self._build_table_row(),
                self._build_dead_letter_row(),
                *(self._build_tracking_rows(settings) if settings.tracking else ()),
                *(self._build_api_rows(settings) if settings.has_api else ()),
            ],
        )
        self.url = self._build_url(name)

    def _build_url(self, name: str) -> str:
        mapping = {partition: {"Console": host} for partition, host in CONSOLE_HOSTS.items()}
        hosts = CfnMapping(self, "ConsoleHosts", mapping=mapping)
        console = f"https://{Aws.REGION}.{hosts.find_in_map(Aws.PARTITION, 'Console')}"
        return f"{console}/cloudwatch/home?region={Aws.REGION}#dashboards/dashboard/{name}"

    def _build_summary(self, alarms: Sequence[cloudwatch.IAlarm], processor: str) -> list[cloudwatch.IWidget]:
        return [
            cloudwatch.AlarmStatusWidget(
                title="Is it healthy?", alarms=alarms, width=GRID_WIDTH // 2, height=SUMMARY_HEIGHT
            ),
            cloudwatch.SingleValueWidget(
                title="How far behind?",
                metrics=[
                    self._metrics.queue("ApproximateAgeOfOldestMessage", "Maximum", "Oldest event (s)"),
                    self._metrics.latency("p99", "Event to stored, p99 of the slowest of a batch (ms)"),
                ],
                width=GRID_WIDTH // 4,
                height=SUMMARY_HEIGHT,
            ),
            cloudwatch.SingleValueWidget(
                title="What fails?",
                metrics=[
                    self._metrics.dead_letter_queue(
                        "ApproximateNumberOfMessagesVisible", "Maximum", "Dead letters"
                    ),
                    self._totals.outcome(Outcome.QUARANTINED),
                    self._totals.outcome(Outcome.RETRIED),
                    self._totals.function(processor, "Errors", "Sum", "Processor errors"),
                ],
                width=GRID_WIDTH // 4,
                height=SUMMARY_HEIGHT,
            ),
        ]

    def _build_bus_row(self) -> list[cloudwatch.IWidget]:
        return _row(
            _graph(
                "Bus: events by rule",
                self._metrics.shipment_rule("MatchedEvents", "Shipment events"),
                self._metrics.unmatched_rule("MatchedEvents", "Unmatched"),
            ),
            _graph(
                "Bus: failed deliveries",
                self._metrics.shipment_rule("FailedInvocations", "Not delivered to the queue"),
                self._metrics.shipment_rule("InvocationsSentToDlq", "Dead letters of delivery"),
                self._metrics.shipment_rule("InvocationsFailedToBeSentToDlq", "Lost by the rule"),
                self._metrics.unmatched_rule("FailedInvocations", "Lost by the unmatched rule"),
            ),
        )

    def _build_queue_row(self) -> list[cloudwatch.IWidget]:
        return _row(
            _graph(
                "Queue: depth",
                self._metrics.queue("ApproximateNumberOfMessagesVisible", "Maximum", "Waiting"),
                self._metrics.queue("ApproximateNumberOfMessagesNotVisible", "Maximum", "In flight"),
            ),
            _graph(
                "Queue: age of the oldest message (s)",
                self._metrics.queue("ApproximateAgeOfOldestMessage", "Maximum", "Oldest"),
            ),
            _graph(
                "Queue: throughput",
                self._metrics.queue("NumberOfMessagesSent", "Sum", "In"),
                self._metrics.queue("NumberOfMessagesDeleted", "Sum", "Done"),
            ),
        )

    def _build_function_row(self, title: str, name: str) -> list[cloudwatch.IWidget]:
        return _row(
            _graph(
                f"{title}: invocations, errors, throttles",
                self._metrics.function(name, "Invocations", "Sum", "Invocations"),
                self._metrics.function(name, "Errors", "Sum", "Errors"),
                self._metrics.function(name, "Throttles", "Sum", "Throttles"),
            ),
            _graph(f"{title}: error rate (%)", self._totals.error_rate(name)),
            _graph(
                f"{title}: duration (ms)",
                self._metrics.function(name, "Duration", "p50", "p50"),
                self._metrics.function(name, "Duration", "p99", "p99"),
                self._metrics.function(name, "Duration", "Maximum", "Maximum"),
            ),
        )

    def _build_outcome_row(self) -> list[cloudwatch.IWidget]:
        return _row(
            _graph(
                "Outcomes", *(self._metrics.outcome_or_zero(outcome) for outcome in Outcome), stacked=True
            ),
            _graph(
                "Event to stored, slowest of a batch (ms)",
                self._metrics.latency("p50", "p50"),
                self._metrics.latency("p99", "p99"),
            ),
        )

    def _build_table_row(self) -> list[cloudwatch.IWidget]:
        index = names.STATUS_INDEX
        return _row(
            _graph(
                "Table: consumed capacity",
                self._metrics.table("ConsumedWriteCapacityUnits", "Sum", "Table, write"),
                self._metrics.table("ConsumedReadCapacityUnits", "Sum", "Table, read"),
                self._metrics.table("ConsumedWriteCapacityUnits", "Sum", "Index, write", index=index),
                self._metrics.table("ConsumedReadCapacityUnits", "Sum", "Index, read", index=index),
            ),
            _graph(
                "Table: throttles",
                self._metrics.table("WriteThrottleEvents", "Sum", "Table, write"),
                self._metrics.table("ReadThrottleEvents", "Sum", "Table, read"),
                self._metrics.table("WriteThrottleEvents", "Sum", "Index, write", index=index),
            ),
            _graph(
                "Table: errors",
                self._metrics.table("SystemErrors", "Sum", "Service, write", operation=WRITE_OPERATION),
                self._metrics.table("SystemErrors", "Sum", "Service, read", operation=READ_OPERATION),
                self._metrics.table("ConditionalCheckFailedRequests", "Sum", "Failed conditions"),
            ),
        )

    def _build_dead_letter_row(self) -> list[cloudwatch.IWidget]:
        return _row(
            _graph(
                "Dead letters: waiting",
                self._metrics.dead_letter_queue("ApproximateNumberOfMessagesVisible", "Maximum", "Waiting"),
                self._metrics.dead_letter_queue(
                    "ApproximateNumberOfMessagesNotVisible", "Maximum", "In flight"
                ),
            ),
            _graph(
                "Dead letters: age of the oldest that was received less than three times (s)",
                self._metrics.dead_letter_queue("ApproximateAgeOfOldestMessage", "Maximum", "Oldest"),
            ),
        )

    def _build_tracking_rows(self, settings: StageSettings) -> list[list[cloudwatch.IWidget]]:
        tracker = names.tracker_name(settings.environment)
        return [
            self._build_function_row("Tracker", tracker),
            _row(
                _graph(
                    "States: lag (ms)",
                    self._metrics.function(tracker, "IteratorAge", "Maximum", "Oldest record"),
                    self._metrics.lag("p99", "Stored to state, p99 of the slowest of a batch"),
                ),
                _graph(
                    "States: events and changes",
                    self._metrics.folded("Events"),
                    self._metrics.announced("Changes"),
                    self._metrics.unsettled("Sent again"),
                ),
                _graph(
                    "States: failures",
                    self._metrics.failures_queue(
                        names.tracker_failures_queue_name(settings.environment),
                        "ApproximateNumberOfMessagesVisible",
                        "Maximum",
                        "Waiting",
                    ),
                ),
            ),
            self._build_shipments_row(),
            self._build_function_row("Watcher", names.watcher_name(settings.environment)),
            _row(
                _graph("Shipments: open", self._totals.open_shipments("Maximum", "Not finished")),
                _graph("Shipments: delays announced", self._totals.delays("Stalled or overdue")),
            ),
        ]

    def _build_api_rows(self, settings: StageSettings) -> list[list[cloudwatch.IWidget]]:
        api = self._metrics.api
        return [
            self._build_function_row("API", names.api_name(settings.environment)),
            _row(
                _graph(
                    "API: requests",
                    api(names.REQUESTS_METRIC, "Sum", "All"),
                    api(names.NOT_MODIFIED_METRIC, "Sum", "Not modified"),
                    api(names.REFUSED_METRIC, "Sum", "Refused"),
                    api(names.API_FAILED_METRIC, "Sum", "Failed"),
                ),
                _graph(
                    "API: time in the function (ms)",
                    api(names.DURATION_METRIC, "p50", "p50"),
                    api(names.DURATION_METRIC, "p99", "p99"),
                ),
            ),
        ]

    def _build_shipments_row(self) -> list[cloudwatch.IWidget]:
        table, index = self._metrics.shipments_table, names.OPEN_INDEX
        return _row(
            _graph(
                "Shipments: consumed capacity",
                table("ConsumedWriteCapacityUnits", "Sum", "Table, write"),
                table("ConsumedReadCapacityUnits", "Sum", "Table, read"),
                table("ConsumedWriteCapacityUnits", "Sum", "Index of open shipments, write", index=index),
            ),
            _graph(
                "Shipments: throttles",
                table("WriteThrottleEvents", "Sum", "Table, write"),
                table("ReadThrottleEvents", "Sum", "Table, read"),
                table("WriteThrottleEvents", "Sum", "Index of open shipments, write", index=index),
            ),
        )


def _graph(title: str, *metrics: cloudwatch.IMetric, stacked: bool = False) -> _Graph:
    return _Graph(title, metrics, stacked)


def _row(*graphs: _Graph) -> list[cloudwatch.IWidget]:
    return [
        cloudwatch.GraphWidget(
            title=graph.title,
            left=list(graph.metrics),
            left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
            stacked=graph.stacked,
            width=GRID_WIDTH // len(graphs),
            height=GRAPH_HEIGHT,
        )
        for graph in graphs
    ]
