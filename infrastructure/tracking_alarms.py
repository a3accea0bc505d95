"""The alarms of a stage that tracks shipments: on its tracker and its watcher."""

from infrastructure.alarm_spec import AlarmSpec, Urgency
from infrastructure.function_alarms import FunctionAlarms
from infrastructure.metrics import MetricsByPeriod, PipelineMetrics
from infrastructure.stream_alarms import StreamAlarms
from shipment_events.contract import names
from shipment_events.stage_limits import SECONDS_PER_HOUR
from shipment_events.stages import StageSettings


def tracking_alarms(settings: StageSettings) -> list[AlarmSpec]:
    """Return the rows of the alarm table for tracker and watcher."""
    name = names.tracker_name(settings.environment)
    tracker = FunctionAlarms(settings, name, settings.tracker_timeout_seconds)
    return [
        *_stream_alarms(settings, name),
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


def _stream_alarms(settings: StageSettings, function_name: str) -> list[AlarmSpec]:
    stream = StreamAlarms(
        settings=settings,
        called="tracker",
        function_name=function_name,
        failures_name=names.tracker_failures_queue_name(settings.environment),
    )
    return [
        stream.failures(
            "tracker-failures",
            threshold=settings.tracker_failures_threshold,
            meaning="Stored events are not in the states of their shipments, and their changes were not "
            "announced.",
            look_at="the messages of the queue: shipment, key and reason. Then rebuild the shipments.",
        ),
        stream.failures_old(
            "tracker-failures-old",
            days=settings.tracker_failures_age_threshold_days,
            retention_days=settings.tracker_failures_retention_days,
            look_at="the oldest failures. Rebuild their shipments.",
        ),
        stream.lag(
            "tracker-lag",
            seconds=settings.tracker_lag_threshold_seconds,
            periods=settings.tracker_lag_periods,
            meaning="States are late.",
            look_at="tracker errors and throttles, retried records, and throttles of the table of shipments.",
        ),
        stream.long_lag(
            "tracker-lag-hours",
            seconds=settings.tracker_lag_page_seconds,
            max_age_hours=settings.tracker_max_age_hours,
            meaning="States are late by an hour or more.",
            look_at="tracker errors, and field detail of the warnings in its log.",
        ),
        stream.stopped(
            "tracker-stopped",
            done=names.FOLDED_METRIC,
            periods=settings.tracker_lag_periods,
            meaning="Events are stored, but no state changes.",
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
