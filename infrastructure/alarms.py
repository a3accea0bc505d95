"""The alarm table: what is told, to whom, and where to look."""

from typing import Final

from infrastructure.alarm_spec import AlarmSpec, Urgency
from infrastructure.function_alarms import FunctionAlarms
from infrastructure.metrics import WRITE_OPERATION, PipelineMetrics
from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome
from shipment_events.stage_limits import SECONDS_PER_DAY
from shipment_events.stages import StageSettings

SECONDS_PER_HOUR: Final = 3_600


def alarm_specs(settings: StageSettings) -> list[AlarmSpec]:
    """Return the alarm table of the stage: the three that the contract names, then those operation needs."""
    metrics = PipelineMetrics(settings.environment, period_seconds=settings.alarm_period_seconds)
    rates = PipelineMetrics(settings.environment, period_seconds=settings.alarm_rate_period_seconds)
    processor = FunctionAlarms(
        settings, names.processor_name(settings.environment), settings.processor_timeout_seconds
    )
    return [
        AlarmSpec(
            name="queue-depth",
            urgency=Urgency.WARNING,
            metric=metrics.queue("ApproximateNumberOfMessagesVisible", "Maximum"),
            threshold=settings.queue_depth_threshold,
            above=True,
            periods=settings.queue_depth_periods,
            meaning="Events arrive faster than the processor stores them. Nothing is lost.",
            look_at="processor throttles and duration, retried events; expected during a replay.",
        ),
        processor.error_rate(
            "error-rate",
            meaning="The processor crashes or times out, or every record of its batches fails.",
            look_at="the processor's log for the exception, and the last deployment.",
        ),
        AlarmSpec(
            name="dead-letters",
            urgency=Urgency.PAGE,
            # The visible count: NumberOfMessagesSent leaves out what SQS itself moves here after the last
            # receive (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/
            # sqs-available-cloudwatch-metrics.html).
            metric=metrics.dead_letter_queue("ApproximateNumberOfMessagesVisible", "Maximum"),
            threshold=settings.dead_letter_threshold,
            meaning=(
                "Events wait in the dead-letter queue for a decision and expire "
                f"{settings.dead_letter_retention_days} days after they were first queued."
            ),
            look_at="their attributes reason and detail; repair and redrive them, or discard them knowingly.",
        ),
        AlarmSpec(
            name="oldest-message",
            urgency=Urgency.WARNING,
            metric=metrics.queue("ApproximateAgeOfOldestMessage", "Maximum"),
            threshold=settings.queue_age_threshold_seconds,
            periods=settings.queue_age_periods,
            meaning="The pipeline is behind by this many seconds, whatever the number of waiting events.",
            look_at="retried events, processor throttles, and whether the event source is enabled.",
        ),
        AlarmSpec(
            name="quarantined",
            urgency=Urgency.WARNING,
            metric=rates.outcome(Outcome.QUARANTINED),
            threshold=settings.quarantined_threshold,
            meaning="A producer is sending events right now that can never be stored.",
            look_at="the reason in the processor's log; tell the producer before the dead letters pile up.",
        ),
        AlarmSpec(
            name="retried",
            urgency=Urgency.WARNING,
            metric=rates.outcome(Outcome.RETRIED),
            threshold=settings.retried_threshold,
            meaning="The table refuses or delays writes. Partial batch failures are no Lambda errors, so the "
            "error rate does not show this.",
            look_at="table throttles and errors, and the AWS health dashboard.",
        ),
        processor.throttles(
            "throttles",
            meaning="The account's Lambda concurrency is used up. A throttled receive counts towards the "
            f"{settings.queue_max_receives} that an event has.",
            look_at="which function uses the concurrency, and the account's quota.",
        ),
        AlarmSpec(
            name="undelivered",
            urgency=Urgency.PAGE,
            metric=metrics.shipment_rule("FailedInvocations"),
            threshold=settings.undelivered_threshold,
            meaning="EventBridge gave up on putting shipment events into the queue.",
            look_at="the queue and its policy; the events are in the dead-letter queue.",
        ),
        AlarmSpec(
            name="delivery-dead-lettered",
            urgency=Urgency.WARNING,
            metric=metrics.shipment_rule("InvocationsSentToDlq"),
            threshold=settings.undelivered_threshold,
            meaning="Shipment events went from the bus to the dead-letter queue, past the processor.",
            look_at="attributes ERROR_CODE and ERROR_MESSAGE of the dead letters; redrive them as they are.",
        ),
        AlarmSpec(
            name="delivery-lost",
            urgency=Urgency.PAGE,
            metric=metrics.shipment_rule("InvocationsFailedToBeSentToDlq"),
            threshold=settings.undelivered_threshold,
            meaning="Shipment events reached neither the queue nor the dead-letter queue.",
            look_at="the policies of both queues; then replay the period from the archive.",
        ),
        AlarmSpec(
            name="unmatched",
            urgency=Urgency.WARNING,
            metric=rates.unmatched_rule("MatchedEvents"),
            threshold=settings.unmatched_threshold,
            meaning="Events arrive with a source or detail-type outside the contract.",
            look_at="source and detail-type of the newest dead letters; tell the producer.",
        ),
        AlarmSpec(
            name="unmatched-lost",
            urgency=Urgency.PAGE,
            metric=metrics.unmatched_rule("FailedInvocations"),
            threshold=settings.undelivered_threshold,
            meaning="Unmatched events could not even be put into the dead-letter queue.",
            look_at="the dead-letter queue's policy; the archive has the events.",
        ),
        processor.slow(
            "slow-processor",
            meaning="A batch takes nearly the whole timeout, most of it for retries against a slow table.",
            look_at="table throttles and errors, retried events.",
        ),
        AlarmSpec(
            name="concurrency",
            urgency=Urgency.WARNING,
            metric=rates.function(processor.function_name, "ConcurrentExecutions", "Maximum"),
            threshold=settings.most_concurrent_batches,
            periods=settings.concurrency_periods,
            meaning="As many batches are in work as the stage allows; more events than that have to wait.",
            look_at="age of the oldest message, and processor_max_concurrency in stages.py.",
        ),
        AlarmSpec(
            name="table-throttled",
            urgency=Urgency.WARNING,
            metric=rates.table("WriteThrottleEvents", "Sum"),
            threshold=settings.table_threshold,
            meaning="The table refuses writes that come faster than it scales. The events are tried again.",
            look_at="consumed capacity, and whether one shipment gets most of the events.",
        ),
        AlarmSpec(
            name="index-throttled",
            urgency=Urgency.WARNING,
            metric=rates.table("WriteThrottleEvents", "Sum", index=names.STATUS_INDEX),
            threshold=settings.table_threshold,
            meaning="The index takes 1,000 writes a second for one status, and the table waits for it.",
            look_at="events a second; expected during a replay or a redrive without a rate.",
        ),
        AlarmSpec(
            name="table-errors",
            urgency=Urgency.WARNING,
            metric=rates.table("SystemErrors", "Sum", operation=WRITE_OPERATION),
            threshold=settings.table_threshold,
            meaning="DynamoDB fails by itself. The events are tried again.",
            look_at="the AWS health dashboard, and retried events.",
        ),
        AlarmSpec(
            name="latency",
            urgency=Urgency.WARNING,
            metric=rates.latency("p99"),
            threshold=settings.latency_threshold_seconds * 1000,
            above=True,
            periods=settings.latency_periods,
            meaning="Events reach the table late. Nothing is lost.",
            look_at="age of the oldest message, retried events, duration of the processor.",
        ),
        *_retention_alarms(settings),
        *_expected_events(settings),
    ]


def _retention_alarms(settings: StageSettings) -> list[AlarmSpec]:
    """Return the alarms that come before SQS deletes what waits too long."""
    minutes = PipelineMetrics(settings.environment, period_seconds=settings.alarm_period_seconds)
    windows = PipelineMetrics(settings.environment, period_seconds=settings.alarm_rate_period_seconds)
    hours = PipelineMetrics(settings.environment, period_seconds=SECONDS_PER_HOUR)
    days = settings.dead_letter_age_threshold_days
    left = settings.dead_letter_retention_days - settings.queue_retention_days - days
    return [
        AlarmSpec(
            name="oldest-message-hours",
            urgency=Urgency.PAGE,
            metric=minutes.queue("ApproximateAgeOfOldestMessage", "Maximum"),
            threshold=settings.queue_age_page_seconds,
            periods=settings.queue_age_periods,
            meaning="The pipeline stands still or is far behind, and SQS deletes events "
            f"{settings.queue_retention_days} days after they were queued.",
            look_at="whether the event source is enabled, retried events, processor errors and throttles.",
        ),
        AlarmSpec(
            name="dead-letters-new",
            urgency=Urgency.PAGE,
            metric=windows.dead_letters_added(),
            threshold=1,
            # On for an hour, so that a trickle pages once.
            within_periods=SECONDS_PER_HOUR // settings.alarm_rate_period_seconds,
            tells_end=False,
            meaning="More dead letters came, while older ones were waiting already.",
            look_at="the reasons of the newest: it may be another fault than that of the old ones.",
        ),
        AlarmSpec(
            name="dead-letters-daily",
            urgency=Urgency.WARNING,
            metric=hours.dead_letters_there(hour=settings.dead_letter_reminder_hour),
            threshold=1,
            tells_end=False,
            meaning="Dead letters still wait for a decision. This comes each day until there are none.",
            look_at="when the oldest was first queued, and its reason.",
        ),
        AlarmSpec(
            name="dead-letters-old",
            urgency=Urgency.PAGE,
            metric=hours.dead_letters_there(),
            threshold=1,
            periods=days * SECONDS_PER_DAY // SECONDS_PER_HOUR,
            tells_end=False,
            meaning=(
                f"For {days} days the dead-letter queue was never empty. Its oldest letter may be that old, "
                f"and SQS may delete it in {left} days."
            ),
            look_at="the dead letters that were first queued; repair and redrive them, or export them.",
        ),
    ]


def _expected_events(settings: StageSettings) -> list[AlarmSpec]:
    if settings.expected_event_hours is None:
        return []
    hours = PipelineMetrics(settings.environment, period_seconds=settings.expected_event_hours * 3600)
    return [
        AlarmSpec(
            name="no-events",
            urgency=Urgency.PAGE,
            metric=hours.shipment_rule("MatchedEvents"),
            threshold=1,
            silence_is_bad=True,
            meaning=f"No shipment event came in {settings.expected_event_hours} hours, and some should have.",
            look_at="the producers first, then unmatched events, as of a new source or detail-type.",
        )
    ]
