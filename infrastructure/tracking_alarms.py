"""The alarms of a stage that tracks shipments: on its tracker and its watcher."""

from infrastructure.alarm_spec import AlarmSpec, Urgency
from infrastructure.function_alarms import FunctionAlarms
from infrastructure.metrics import MetricsByPeriod, PipelineMetrics
from shipment_events.contract import names
from shipment_events.stage_limits import SECONDS_PER_DAY, SECONDS_PER_HOUR
from shipment_events.stages import StageSettings


def tracking_alarms(settings: StageSettings) -> list[AlarmSpec]:
    """Return the rows of the alarm table for tracker and watcher."""
    tracker = FunctionAlarms(
        settings, names.tracker_name(settings.environment), settings.tracker_timeout_seconds
    )
    return [
        *_failure_alarms(settings),
        *_lag_alarms(settings),
        tracker.error_rate(
            "tracker-errors",
            meaning="The tracker crashes or times out. Lambda retries the records and blocks their shard.",
            look_at="the exception in the tracker's log, and the last deployment.",
        ),
        tracker.throttles(
            "tracker-throttles",
            meaning="The account's Lambda concurrency is used up, so states are late.",
        ),
        tracker.slow(
            "slow-tracker",
            meaning="A batch of the stream took nearly the whole timeout.",
            look_at="throttles of the table of shipments, and shipments with very many events.",
        ),
        AlarmSpec(
            name="tracker-retried",
            urgency=Urgency.WARNING,
            metric=MetricsByPeriod(settings).windows.unsettled(),
            threshold=settings.retried_threshold,
            meaning="The table of shipments or the status bus refuses requests. Lambda sends the records "
            "again, and blocks their shard until then.",
            look_at="field detail of the warnings in the tracker's log.",
        ),
        *_watcher_alarms(settings),
    ]


def _failure_alarms(settings: StageSettings) -> list[AlarmSpec]:
    metrics = MetricsByPeriod(settings)
    days = settings.tracker_failures_age_threshold_days
    return [
        AlarmSpec(
            name="tracker-failures",
            urgency=Urgency.PAGE,
            metric=metrics.minutes.tracker_failures_queue("ApproximateNumberOfMessagesVisible", "Maximum"),
            threshold=settings.tracker_failures_threshold,
            meaning="Stored events are not in the states of their shipments, and their changes were not "
            "announced.",
            look_at="the messages of the queue: shipment, key and reason. Then rebuild the shipments.",
        ),
        AlarmSpec(
            name="tracker-failures-old",
            urgency=Urgency.PAGE,
            metric=metrics.hours.tracker_failures_there(),
            threshold=1,
            periods=days * SECONDS_PER_DAY // SECONDS_PER_HOUR,
            tells_end=False,
            meaning=f"The queue of the tracker's failures was not empty for {days} days. SQS deletes a "
            f"failure after {settings.tracker_failures_retention_days} days.",
            look_at="the oldest failures. Rebuild their shipments.",
        ),
    ]


def _lag_alarms(settings: StageSettings) -> list[AlarmSpec]:
    windows = MetricsByPeriod(settings).windows
    # Lambda measures the age at each invocation, also if the invocation fails. The tracker's own measure
    # lacks the batches that it could not write.
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    age = windows.function(names.tracker_name(settings.environment), "IteratorAge", "Maximum")
    return [
        AlarmSpec(
            name="tracker-lag",
            urgency=Urgency.WARNING,
            metric=age,
            threshold=settings.tracker_lag_threshold_seconds * 1000,
            periods=settings.tracker_lag_periods,
            meaning="States are late. Nothing is lost.",
            look_at="tracker errors and throttles, retried records, and throttles of the table of shipments.",
        ),
        AlarmSpec(
            name="tracker-lag-hours",
            urgency=Urgency.PAGE,
            metric=age,
            threshold=settings.tracker_lag_page_seconds * 1000,
            meaning="States are late by an hour or more. Lambda gives up on records after "
            f"{settings.tracker_max_age_hours} hours.",
            look_at="tracker errors, and field detail of the warnings in its log.",
        ),
        AlarmSpec(
            name="tracker-stopped",
            urgency=Urgency.PAGE,
            # Without an invocation, there is no age. The bad windows have to be consecutive: single ones come
            # of events that are stored at a window's end and folded in the next.
            metric=windows.stored_and_none_folded_since(),
            threshold=1,
            periods=settings.tracker_lag_periods,
            # The alarm forgets an event that is older than the windows that CloudWatch reads.
            tells_end=False,
            meaning="Events are stored, but no state changes. The stream deletes a record after a day.",
            look_at="whether the tracker's event source is enabled, then tracker errors.",
        ),
    ]


def _watcher_alarms(settings: StageSettings) -> list[AlarmSpec]:
    name = names.watcher_name(settings.environment)
    watcher = FunctionAlarms(settings, name, settings.watcher_timeout_seconds)
    runs = PipelineMetrics(
        settings.environment, period_seconds=settings.watcher_minutes * SECONDS_PER_HOUR // 60
    )
    return [
        AlarmSpec(
            name="watcher-errors",
            urgency=Urgency.WARNING,
            metric=runs.function(name, "Errors", "Sum"),
            threshold=settings.watcher_errors_threshold,
            meaning="The watcher fails, so stalled and overdue shipments are announced late or not at all.",
            look_at="the warnings and the exception in the watcher's log.",
        ),
        AlarmSpec(
            name="watcher-silent",
            urgency=Urgency.WARNING,
            metric=runs.open_shipments("SampleCount"),
            threshold=1,
            periods=settings.watcher_silence_periods,
            silence_is_bad=True,
            meaning="The watcher does not run, so stalled and overdue shipments are not announced.",
            look_at="the watcher's schedule. After a first deployment, wait for the first run.",
        ),
        watcher.throttles(
            "watcher-throttles",
            meaning="The account's Lambda concurrency is used up, so delays are announced late.",
        ),
        watcher.slow(
            "slow-watcher",
            meaning="A run took nearly the whole timeout. If it is too short, the last shipments are never "
            "looked at.",
            look_at="the number of open shipments, then watcher_timeout_seconds in stages.py.",
        ),
    ]
