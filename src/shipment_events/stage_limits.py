"""The limits of a stage's numbers, checked before the deployment."""

from typing import TYPE_CHECKING, Final

from shipment_events.errors import ShipmentEventsError

if TYPE_CHECKING:
    from shipment_events.stages import StageSettings

SECONDS_PER_HOUR: Final = 3_600
SECONDS_PER_DAY: Final = 86_400
SQS_MAX_RETENTION_DAYS: Final = 14
CLOUDWATCH_MAX_ALARM_DAYS: Final = 7
"""Longest evaluation time of an alarm: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
DEAD_LETTER_MARGIN_DAYS: Final = 2
"""Minimum time between the alarm on old dead letters and the expiry of one."""
SQS_MAX_VISIBILITY_SECONDS: Final = 43_200
SQS_MAX_LONG_POLL_SECONDS: Final = 20
SQS_MAX_CONCURRENCY: Final = 1_000
POLLER_CONCURRENCY: Final = 10
"""Batches in work of one provisioned poller: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"""
MAX_BATCH_SIZE: Final = 10
"""Lambda allows more only with a batching window, and SQS deletes ten messages with one request."""
MAX_BATCHING_WINDOW_SECONDS: Final = 5
"""Lambda allows up to 300. A window of more than a few seconds saves nothing more."""
MAX_STATUS_INDEX_SHARDS: Final = 1_000
ON_DEMAND_WARM_WRITE_UNITS: Final = 4_000
"""Write units per second of a new table: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/warm-throughput.html"""
LAMBDA_MAX_TIMEOUT_SECONDS: Final = 900
MIN_PROCESSOR_TIMEOUT_SECONDS: Final = 20
"""The timeouts of the processor's requests follow the visibility timeout, which follows this one. At 20 s, a
response has a second. With less, the processor would give up on a table that is slow but works."""
MAX_VISIBILITY_MULTIPLE: Final = 7
"""Budget and reserve of the processor's retries follow the visibility timeout, and have to fit into its own.
Above 7, retries within an invocation end early, and from 10 on there are none."""
MIN_TRACKER_TIMEOUT_SECONDS: Final = 40
"""Budget, reserve and reading of the tracker. At 30, no invocation would have the time to read a shipment."""
MIN_WATCHER_TIMEOUT_SECONDS: Final = 20
"""Twice the watcher's reserve: a request for open shipments, and one for their delays."""
MIN_API_TIMEOUT_SECONDS: Final = 11
"""Two attempts of a read, so that a client gets the API's own answer if a table does not respond."""
MIN_RECEIVES: Final = 3
"""The second receive comes seconds after the first, so fewer than three would not outlast a short outage."""
SQS_MAX_RECEIVES: Final = 1_000
"""SQS refuses others: "valid values are from 1 to 1000 both inclusive"."""
EVENTBRIDGE_MAX_RETRY_HOURS: Final = 24
EVENTBRIDGE_MAX_RETRY_ATTEMPTS: Final = 185
STREAM_RETENTION_HOURS: Final = 24
"""How long a stream has a record: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html"""
STREAM_MAX_BATCH: Final = 10_000
STREAM_MAX_RETRY_ATTEMPTS: Final = 10_000
"""Limits of an event source mapping: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html"""
LOG_RETENTION_DAYS: Final = (30, 90, 365)
"""The useful ones of the retention periods that CloudWatch Logs offers."""
CANARY_MINUTES: Final = (10, 15, 30)
"""CodeDeploy's predefined canaries that are longer than the alarms on a new version need."""


class InvalidSettingError(ShipmentEventsError, ValueError):
    """A setting of a stage is not allowed. The message names the setting and the allowed values."""


def check(settings: "StageSettings") -> None:
    """Refuse settings that the services would refuse, or that would lose events without an error.

    Raises:
        InvalidSettingError: names the field, its value and what is allowed.
    """
    _check_ranges(settings)
    _check_choices(settings)
    _check_receivers(settings)


def _ranges(settings: "StageSettings") -> dict[str, tuple[int, int | None]]:
    """Minimum and maximum of each number; None for no limit."""
    return {
        **_processor_ranges(settings),
        "queue_long_poll_seconds": (0, SQS_MAX_LONG_POLL_SECONDS),
        # A dead letter keeps its first send time, so the time it waited in the queue shortens its life.
        "dead_letter_retention_days": (
            settings.queue_retention_days + DEAD_LETTER_MARGIN_DAYS + 1,
            SQS_MAX_RETENTION_DAYS,
        ),
        "dead_letter_age_threshold_days": (
            1,
            min(
                CLOUDWATCH_MAX_ALARM_DAYS,
                settings.dead_letter_retention_days - settings.queue_retention_days - DEAD_LETTER_MARGIN_DAYS,
            ),
        ),
        "dead_letter_reminder_hour": (0, 23),
        "queue_age_page_seconds": (
            settings.queue_age_threshold_seconds,
            settings.queue_retention_days * SECONDS_PER_DAY // 2,
        ),
        "dead_letter_visibility_seconds": (0, SQS_MAX_VISIBILITY_SECONDS),
        "delivery_retry_attempts": (0, EVENTBRIDGE_MAX_RETRY_ATTEMPTS),
        "delivery_max_age_hours": (1, EVENTBRIDGE_MAX_RETRY_HOURS),
        "unmatched_retry_attempts": (0, EVENTBRIDGE_MAX_RETRY_ATTEMPTS),
        "unmatched_max_age_hours": (1, EVENTBRIDGE_MAX_RETRY_HOURS),
        "status_index_shards": (2, MAX_STATUS_INDEX_SHARDS),
        "event_retention_days": (1, None),
        "stalled_after_hours": (1, settings.event_retention_days * 24),
        "warm_write_units": (ON_DEMAND_WARM_WRITE_UNITS, None),
        **_tracking_ranges(settings),
        # API Gateway ends a request after 30 s, whatever the function does:
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
        "api_timeout_seconds": (MIN_API_TIMEOUT_SECONDS, 29),
        # The account's own limits:
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
        "api_requests_per_second": (1, 10_000),
        "api_burst": (1, 5_000),
        "watcher_minutes": (5, 60),
        "watcher_timeout_seconds": (
            MIN_WATCHER_TIMEOUT_SECONDS,
            min(LAMBDA_MAX_TIMEOUT_SECONDS, settings.watcher_minutes * 60),
        ),
        "expected_event_hours": (1, 24),
    }


def _processor_ranges(settings: "StageSettings") -> dict[str, tuple[int, int | None]]:
    return {
        "processor_timeout_seconds": (MIN_PROCESSOR_TIMEOUT_SECONDS, LAMBDA_MAX_TIMEOUT_SECONDS),
        "visibility_timeout_multiple": (6, MAX_VISIBILITY_MULTIPLE),
        "queue_retention_days": (1, SQS_MAX_RETENTION_DAYS),
        # A receive may hide a message for the whole visibility timeout, and SQS must not delete it before the
        # last one.
        "queue_max_receives": (
            MIN_RECEIVES,
            min(
                SQS_MAX_RECEIVES,
                settings.queue_retention_days
                * SECONDS_PER_DAY
                // 2
                // max(1, settings.visibility_timeout_seconds),
            ),
        ),
        "batch_size": (1, MAX_BATCH_SIZE),
        "batching_window_seconds": (0, MAX_BATCHING_WINDOW_SECONDS),
        "processor_max_concurrency": (2, SQS_MAX_CONCURRENCY),
    }


def _tracking_ranges(settings: "StageSettings") -> dict[str, tuple[int, int | None]]:
    return {
        "tracker_timeout_seconds": (MIN_TRACKER_TIMEOUT_SECONDS, LAMBDA_MAX_TIMEOUT_SECONDS),
        "tracker_batch_size": (1, STREAM_MAX_BATCH),
        # -1 would retry without an end.
        "tracker_retry_attempts": (0, STREAM_MAX_RETRY_ATTEMPTS),
        # Less than a day, or records would expire unreported while an older one is retried.
        "tracker_max_age_hours": (1, STREAM_RETENTION_HOURS - 1),
        "tracker_failures_retention_days": (DEAD_LETTER_MARGIN_DAYS + 1, SQS_MAX_RETENTION_DAYS),
        "tracker_failures_age_threshold_days": (
            1,
            min(
                CLOUDWATCH_MAX_ALARM_DAYS, settings.tracker_failures_retention_days - DEAD_LETTER_MARGIN_DAYS
            ),
        ),
        "tracker_lag_page_seconds": (
            settings.tracker_lag_threshold_seconds,
            settings.tracker_max_age_hours * SECONDS_PER_HOUR // 2,
        ),
    }


def _check_ranges(settings: "StageSettings") -> None:
    for field, (least, most) in _ranges(settings).items():
        value = getattr(settings, field)
        if value is None:
            continue
        if not isinstance(value, int) or value < least or (most is not None and value > most):
            allowed = f"{least} to {'…' if most is None else most}"
            raise InvalidSettingError(f"{field} is {value}, allowed is {allowed}, whole numbers")


def _check_choices(settings: "StageSettings") -> None:
    if settings.log_retention_days not in LOG_RETENTION_DAYS:
        raise InvalidSettingError(
            f"log_retention_days is {settings.log_retention_days}, allowed is one of {LOG_RETENTION_DAYS}"
        )
    if settings.canary_minutes is not None and settings.canary_minutes not in CANARY_MINUTES:
        raise InvalidSettingError(
            f"canary_minutes is {settings.canary_minutes}, allowed is one of {CANARY_MINUTES}"
        )


def _check_receivers(settings: "StageSettings") -> None:
    for address in settings.alarm_emails:
        if "@" not in address.strip("@"):
            raise InvalidSettingError(f"alarm_emails has {address!r}, which is not an e-mail address")
    if len(set(settings.alarm_emails)) < len(settings.alarm_emails):
        raise InvalidSettingError("alarm_emails has an address twice")
    if settings.alarms_without_receivers is not None and not settings.alarms_without_receivers.strip():
        raise InvalidSettingError("alarms_without_receivers is empty, expected a reason")
