"""The alarm table: each alarm with its metric, threshold, urgency, meaning and where to look."""

from typing import Final

from infrastructure.alarm_spec import AlarmSpec, Urgency
from infrastructure.api_alarms import api_alarms
from infrastructure.function_alarms import FunctionAlarms
from infrastructure.metrics import WRITE_OPERATION, MetricsByPeriod, PipelineMetrics
from infrastructure.tracking_alarms import tracking_alarms
from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome
from shipment_events.stage_limits import SECONDS_PER_DAY, SECONDS_PER_HOUR
from shipment_events.stages import StageSettings

TABLE_WINDOWS: Final = 2
"""Windows of which one is bad. FILL puts a 0 in the place of a value that comes late:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html"""


def alarm_specs(settings: StageSettings) -> list[AlarmSpec]:
    """Return the alarm table of the stage. The first three alarms are part of the contract."""
    metrics = MetricsByPeriod(settings)
    processor = FunctionAlarms(
        settings, names.processor_name(settings.environment), settings.processor_timeout_seconds
    )
    return [
        AlarmSpec(
            name="queue-depth",
            urgency=Urgency.WARNING,
            metric=metrics.minutes.queue("ApproximateNumberOfMessagesVisible", "Maximum"),
            threshold=settings.queue_depth_threshold,
            above=True,
            periods=settings.queue_depth_periods,
            meaning="Events arrive faster than the processor stores them. Nothing is lost.",
            look_at="processor throttles and duration, and retried events. A replay also causes this.",
        ),
        processor.error_rate(
            "error-rate",
            meaning="The processor crashes or times out, or every record of its batches fails.",
            look_at="the exception in the processor's log, and the last deployment.",
        ),
        AlarmSpec(
            name="dead-letters",
            urgency=Urgency.PAGE,
            # The visible count, because NumberOfMessagesSent does not count the messages that SQS itself
            # moves here after the last receive:
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
            metric=metrics.minutes.dead_letter_queue("ApproximateNumberOfMessagesVisible", "Maximum"),
            threshold=settings.dead_letter_threshold,
            meaning=(
                "Events wait in the dead-letter queue for a decision. SQS deletes them "
                f"{settings.dead_letter_retention_days} days after they were first queued."
            ),
            look_at="their attributes reason and detail. Then redrive, repair or discard them.",
        ),
        AlarmSpec(
            name="oldest-message",
            urgency=Urgency.WARNING,
            metric=metrics.minutes.queue("ApproximateAgeOfOldestMessage", "Maximum"),
            threshold=settings.queue_age_threshold_seconds,
            periods=settings.queue_age_periods,
            meaning="The oldest event has waited in the queue for "
            f"{settings.queue_age_threshold_seconds} s or longer.",
            look_at="whether the event source is enabled, then retried events and processor throttles.",
        ),
        AlarmSpec(
            name="quarantined",
            urgency=Urgency.WARNING,
            metric=metrics.windows.outcome(Outcome.QUARANTINED),
            threshold=settings.quarantined_threshold,
            meaning="A producer is sending events that can never be stored.",
            look_at="the reason in the processor's log. Then tell the producer.",
        ),
        AlarmSpec(
            name="retried",
            urgency=Urgency.WARNING,
            metric=metrics.windows.outcome(Outcome.RETRIED),
            threshold=settings.retried_threshold,
            meaning="The table refuses or delays writes. The error rate does not show this: Lambda does not "
            "count partial batch failures as errors.",
            look_at="table throttles and errors, and the AWS health dashboard.",
        ),
        processor.throttles(
            "throttles",
            meaning="The account's Lambda concurrency is used up. A throttled batch counts as one of the "
            f"{settings.queue_max_receives} receives of its events.",
        ),
        AlarmSpec(
            name="undelivered",
            urgency=Urgency.PAGE,
            metric=metrics.minutes.shipment_rule("FailedInvocations"),
            threshold=settings.undelivered_threshold,
            meaning="EventBridge stopped trying to deliver shipment events to the queue.",
            look_at="the queue and its policy. The events are in the dead-letter queue.",
        ),
        AlarmSpec(
            name="delivery-dead-lettered",
            urgency=Urgency.WARNING,
            metric=metrics.minutes.shipment_rule("InvocationsSentToDlq"),
            threshold=settings.undelivered_threshold,
            meaning="EventBridge could not deliver shipment events to the queue, and sent them to the "
            "dead-letter queue.",
            look_at="attributes ERROR_CODE and ERROR_MESSAGE of the dead letters. Then redrive them.",
        ),
        AlarmSpec(
            name="delivery-lost",
            urgency=Urgency.PAGE,
            metric=metrics.minutes.shipment_rule("InvocationsFailedToBeSentToDlq"),
            threshold=settings.undelivered_threshold,
            meaning="Shipment events reached neither the queue nor the dead-letter queue.",
            look_at="the policies of both queues. Then replay the period from the archive.",
        ),
        AlarmSpec(
            name="unmatched",
            urgency=Urgency.WARNING,
            metric=metrics.windows.unmatched_rule("MatchedEvents"),
            threshold=settings.unmatched_threshold,
            meaning="Events came whose source or detail-type is not in the contract.",
            look_at="source and detail-type of the newest dead letters. Then tell the producer.",
        ),
        AlarmSpec(
            name="unmatched-lost",
            urgency=Urgency.PAGE,
            metric=metrics.minutes.unmatched_rule("FailedInvocations"),
            threshold=settings.undelivered_threshold,
            meaning="EventBridge could not deliver unmatched events to the dead-letter queue.",
            look_at="the dead-letter queue's policy. The archive has the events.",
        ),
        processor.slow(
            "slow-processor",
            meaning="A batch took nearly the whole timeout. The usual cause is a slow table and its retries.",
            look_at="table throttles and errors, and retried events.",
        ),
        AlarmSpec(
            name="concurrency",
            urgency=Urgency.WARNING,
            metric=metrics.windows.function(processor.function_name, "ConcurrentExecutions", "Maximum"),
            threshold=settings.most_concurrent_batches,
            periods=settings.concurrency_periods,
            meaning="The processor runs as many batches at once as the stage allows. Other events wait.",
            look_at="age of the oldest message, and processor_max_concurrency in stages.py.",
        ),
        AlarmSpec(
            name="table-throttled",
            urgency=Urgency.WARNING,
            metric=metrics.windows.table_failures("WriteThrottleEvents"),
            threshold=settings.table_threshold,
            within_periods=TABLE_WINDOWS,
            meaning="Writes come faster than the table scales. It refuses some; the processor retries them.",
            look_at="consumed capacity, and whether most events belong to one shipment.",
        ),
        AlarmSpec(
            name="index-throttled",
            urgency=Urgency.WARNING,
            metric=metrics.windows.table_failures("WriteThrottleEvents", index=names.STATUS_INDEX),
            threshold=settings.table_threshold,
            within_periods=TABLE_WINDOWS,
            meaning="One status of the index gets over 1,000 writes a second, so the table refuses writes.",
            look_at="events a second. A replay or a redrive without a rate also causes this.",
        ),
        AlarmSpec(
            name="table-errors",
            urgency=Urgency.WARNING,
            metric=metrics.windows.table_failures("SystemErrors", operation=WRITE_OPERATION),
            threshold=settings.table_threshold,
            within_periods=TABLE_WINDOWS,
            meaning="DynamoDB returns server errors. The processor retries the events.",
            look_at="the AWS health dashboard, and retried events.",
        ),
        AlarmSpec(
            name="latency",
            urgency=Urgency.WARNING,
            metric=metrics.windows.latency("p99"),
            threshold=settings.latency_threshold_seconds * 1000,
            above=True,
            periods=settings.latency_periods,
            meaning="Events reach the table late. Nothing is lost.",
            look_at="age of the oldest message, retried events, and duration of the processor.",
        ),
        *_retention_alarms(settings),
        *_expected_events(settings),
        *(tracking_alarms(settings) if settings.tracking else ()),
        *(api_alarms(settings) if settings.has_api else ()),
    ]


def _retention_alarms(settings: StageSettings) -> list[AlarmSpec]:
    """Return the alarms that go off before SQS deletes messages that are too old."""
    metrics = MetricsByPeriod(settings)
    days = settings.dead_letter_age_threshold_days
    left = settings.dead_letter_retention_days - settings.queue_retention_days - days
    return [
        AlarmSpec(
            name="oldest-message-hours",
            urgency=Urgency.PAGE,
            metric=metrics.minutes.queue("ApproximateAgeOfOldestMessage", "Maximum"),
            threshold=settings.queue_age_page_seconds,
            periods=settings.queue_age_periods,
            meaning="The pipeline has stopped or is far behind. SQS deletes events "
            f"{settings.queue_retention_days} days after they were queued.",
            look_at="whether the event source is enabled, retried events, processor errors and throttles.",
        ),
        AlarmSpec(
            name="dead-letters-new",
            urgency=Urgency.PAGE,
            metric=metrics.minutes.dead_letters_added(),
            threshold=1,
            # The alarm stays on for an hour, so that single letters in that hour page once.
            within_periods=SECONDS_PER_HOUR // settings.alarm_period_seconds,
            tells_end=False,
            meaning="New dead letters came while older ones were waiting.",
            look_at="the reasons of the newest. They may have another cause than the old ones.",
        ),
        AlarmSpec(
            name="dead-letters-daily",
            urgency=Urgency.WARNING,
            metric=metrics.hours.dead_letters_there(hour=settings.dead_letter_reminder_hour),
            threshold=1,
            tells_end=False,
            meaning="Dead letters wait for a decision. This alarm repeats each day until there are none.",
            look_at="the oldest dead letter: when it was first queued, and its reason.",
        ),
        AlarmSpec(
            name="dead-letters-old",
            urgency=Urgency.PAGE,
            metric=metrics.hours.dead_letters_there(),
            threshold=1,
            periods=days * SECONDS_PER_DAY // SECONDS_PER_HOUR,
            tells_end=False,
            meaning=(
                f"The dead-letter queue was not empty for {days} days. Its oldest letter may be that old, "
                f"and SQS may delete it in {left} days."
            ),
            look_at="the oldest dead letters. Repair and redrive them, or export them.",
        ),
    ]


def _expected_events(settings: StageSettings) -> list[AlarmSpec]:
    if settings.expected_event_hours is None:
        return []
    hours = PipelineMetrics(
        settings.environment, period_seconds=settings.expected_event_hours * SECONDS_PER_HOUR
    )
    return [
        AlarmSpec(
            name="no-events",
            urgency=Urgency.PAGE,
            metric=hours.shipment_rule("MatchedEvents"),
            threshold=1,
            silence_is_bad=True,
            meaning=f"No shipment event came in {settings.expected_event_hours} hours.",
            look_at="the producers, then unmatched events. A producer may use a new source or detail-type.",
        )
    ]
