"""The quantity of each priced item that a stage uses in a month."""

from collections.abc import Iterator
from math import ceil, exp
from typing import Final

from shipment_events.cost.api import api_usage
from shipment_events.cost.designs import Design
from shipment_events.cost.prices import Usage
from shipment_events.cost.traces import traces
from shipment_events.cost.tracking import tracking_usage
from shipment_events.cost.workload import (
    BILLED_BYTES,
    DAYS_A_MONTH,
    GB,
    HOURS_A_MONTH,
    SECONDS_A_MONTH,
    STORED_ITEM_OVERHEAD,
    Workload,
)
from shipment_events.stages import StageSettings

# "Lambda starts processing five batches at a time"
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
STANDARD_POLLERS: Final = 5
POLLS_OF_A_PROVISIONED_POLLER: Final = 10
"""Concurrent invocations, and polls per second, of a poller in provisioned mode (same page)."""

BYTES_OF_A_PROVISIONED_POLLER: Final = 1e6
"""Per second (same page)."""

ASSUMED_POLL_MS: Final = 20
"""Time to receive, invoke and delete. AWS does not publish it."""

# The stage's own metrics: in every stage, if a stage tracks shipments, and if it has the API. Metrics that
# alarms watch: the same, and if a stage expects events, and if it has a canary.
# [[[cog from workbench import metric_counts; cog.outl(metric_counts.as_constants()) ]]]
OWN_METRICS: Final = 8
TRACKING_METRICS: Final = 6
API_METRICS: Final = 5
ALARM_METRICS: Final = 26
TRACKING_ALARM_METRICS: Final = 16
API_ALARM_METRICS: Final = 5
EXPECTED_EVENT_ALARM_METRICS: Final = 1
GUARD_ALARM_METRICS: Final = 4
# [[[end]]]

ALARM_MAILS: Final = 20
"""Per month and address; assumed."""

# "DynamoDB caches the plaintext table keys for each principal ... for five minutes"
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
_KEY_REQUESTS_AN_HOUR: Final = 12
_KEY_USERS: Final = 3
LOG_COMPRESSION: Final = 0.15


def events_per_batch(workload: Workload, settings: StageSettings, design: Design) -> float:
    """Mean size of a batch.

    Without a batching window, a batch is the result of one receive. With a window, a poller collects events
    from its first one until the window ends or the batch is full. The estimate assumes that events arrive at
    random and that all pollers wait for them. If some pollers are busy, the others get larger batches.
    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    window = settings.batching_window_seconds
    if design.batching_window_seconds is not None:
        window = design.batching_window_seconds
    meanwhile = workload.events_per_second * window / _polls(settings)
    received = _events_per_receive(workload, settings, design)
    return max(received, _collected(meanwhile, settings.batch_size))


def _events_per_receive(workload: Workload, settings: StageSettings, design: Design) -> float:
    """Mean number of events that a poller gets at once.

    It is one event while pollers wait for events. If events wait for pollers, a poller receives the events
    that arrived while it was busy. The solution of ``batch = rate * cycle(batch) / pollers``.
    """
    rate = workload.events_per_second
    spare = _polls(settings) - rate * design.event_ms / 1000
    if spare <= 0:
        return settings.batch_size
    batch = rate * (ASSUMED_POLL_MS + design.fixed_ms) / 1000 / spare
    return min(max(1.0, batch), settings.batch_size)


def _collected(mean: float, most: int) -> float:
    """Mean of ``min(1 + n, most)``, where n has a Poisson distribution with this mean."""
    events = 1.0
    exactly, at_most = exp(-mean), 0.0
    for more in range(most - 1):
        at_most += exactly
        events += 1 - at_most
        exactly *= mean / (more + 1)
    return events


def _polls(settings: StageSettings) -> int:
    """Polls that wait for events at the same time."""
    if settings.provisioned_pollers is None:
        return STANDARD_POLLERS
    return settings.provisioned_pollers.minimum * POLLS_OF_A_PROVISIONED_POLLER


def monthly_usage(
    workload: Workload, settings: StageSettings, design: Design, batch: float | None = None
) -> list[Usage]:
    """Every priced item that the stage uses in a month.

    Args:
        batch: mean number of events in a batch, if it was measured. It replaces ``events_per_batch``.
    """
    invocations = workload.events / (batch or events_per_batch(workload, settings, design))
    # A window combines several receives into one batch. The number of receives stays the same.
    receives = workload.events / (batch or _events_per_receive(workload, settings, design))
    return [
        *_bus(workload, settings),
        *_queue(workload, settings, receives, invocations),
        *_function(workload, settings, design, invocations),
        *_table(workload, settings, design),
        *_watching(workload, settings, design, invocations),
        *(tracking_usage(workload, settings) if settings.tracking else ()),
        *(api_usage(workload, settings) if settings.has_api and workload.api_requests_per_day else ()),
    ]


def _bus(workload: Workload, settings: StageSettings) -> Iterator[Usage]:
    gigabytes = workload.events * workload.envelope_bytes / GB
    yield Usage("EventBridge", "events", "eventbridge_events", workload.events * workload.chunks)
    yield Usage("EventBridge", "archive, ingestion", "eventbridge_archive_processing", gigabytes)
    yield Usage(
        "EventBridge",
        f"archive, {settings.archive_retention_days} days",
        "eventbridge_archive_storage",
        gigabytes * settings.archive_retention_days / DAYS_A_MONTH,
    )


def _queue(
    workload: Workload, settings: StageSettings, receives: float, invocations: float
) -> Iterator[Usage]:
    yield Usage("SQS", "sends", "sqs_requests", workload.events * workload.chunks)
    # SQS bills each 64 KB of payload as one request, so a receive of ten events of 64 KB is ten requests.
    payload = workload.events * workload.envelope_bytes / BILLED_BYTES
    yield Usage("SQS", "receives", "sqs_requests", max(receives, payload))
    yield Usage("SQS", "deletes", "sqs_requests", invocations)
    yield Usage("SQS", "empty receives", "sqs_requests", _empty_receives(workload, settings))


def _empty_receives(workload: Workload, settings: StageSettings) -> float:
    """Long polls that end without a message, if messages arrive at random."""
    polls = _polls(settings)
    rate = workload.events_per_second / polls
    wait = max(settings.queue_long_poll_seconds, 1)
    if rate * wait < 1e-9:
        return polls * SECONDS_A_MONTH / wait
    nobody = exp(-rate * wait)
    return polls * SECONDS_A_MONTH * rate * nobody / (1 - nobody)


def _function(
    workload: Workload, settings: StageSettings, design: Design, invocations: float
) -> Iterator[Usage]:
    seconds = invocations * design.duration_ms(workload.events / invocations) / 1000
    yield Usage("Lambda", "requests", "lambda_requests", invocations)
    yield Usage(
        "Lambda",
        f"duration at {settings.processor_memory_mb} MB",
        "lambda_duration_arm64",
        seconds * settings.processor_memory_mb / 1024,
    )
    if settings.provisioned_pollers is not None:
        busy = (seconds + invocations * ASSUMED_POLL_MS / 1000) / SECONDS_A_MONTH
        polls = invocations / SECONDS_A_MONTH
        read = workload.events * workload.envelope_bytes / SECONDS_A_MONTH / BYTES_OF_A_PROVISIONED_POLLER
        needed = ceil(max(max(busy, polls) / POLLS_OF_A_PROVISIONED_POLLER, read))
        pollers = max(settings.provisioned_pollers.minimum, needed)
        yield Usage("Lambda", "pollers", "lambda_sqs_event_pollers", pollers * HOURS_A_MONTH)


def _table(workload: Workload, settings: StageSettings, design: Design) -> Iterator[Usage]:
    months = settings.event_retention_days / DAYS_A_MONTH
    infrequent = settings.infrequent_access
    if design.infrequent_access is not None:
        infrequent = design.infrequent_access
    table_class = "_infrequent" if infrequent else ""
    # A failed condition costs the write units of the stored item. It costs nothing in the index.
    writes = workload.new_events * workload.write_units
    failed = workload.duplicates * (1 if design.extra_writes else workload.write_units)
    yield Usage("DynamoDB", "writes of the table", f"dynamodb_writes{table_class}", writes)
    yield Usage("DynamoDB", "writes of the index", f"dynamodb_writes{table_class}", writes)
    yield Usage("DynamoDB", "writes of duplicates", f"dynamodb_writes{table_class}", failed)
    if design.reads_duplicates:
        reads = workload.duplicates * workload.read_units
        yield Usage("DynamoDB", "reads of duplicates", f"dynamodb_reads{table_class}", reads)
    stored = workload.new_events * months * (workload.item_bytes + STORED_ITEM_OVERHEAD) / GB
    yield Usage("DynamoDB", "storage of the table", f"dynamodb_storage{table_class}", stored)
    yield Usage("DynamoDB", "storage of the index", f"dynamodb_storage{table_class}", stored)
    yield Usage("DynamoDB", "point-in-time recovery", "dynamodb_recovery", stored)
    if design.extra_writes:
        extra = workload.new_events * design.extra_writes
        kept = workload.new_events * months * (design.extra_item_bytes + STORED_ITEM_OVERHEAD) / GB
        yield Usage("DynamoDB", "writes of idempotency records", "dynamodb_writes", extra)
        yield Usage("DynamoDB", "storage of idempotency records", "dynamodb_storage", kept)


def _watching(
    workload: Workload, settings: StageSettings, design: Design, invocations: float
) -> Iterator[Usage]:
    traced = traces(invocations) / invocations
    logged = (
        invocations * (design.batch_log_bytes + design.platform_log_bytes + traced * design.trace_log_bytes)
        + workload.events * design.event_log_bytes
        + workload.duplicates * (design.duplicate_log_bytes + traced * design.trace_log_bytes)
    ) / GB
    kept = logged * LOG_COMPRESSION * settings.log_retention_days / DAYS_A_MONTH
    yield Usage("CloudWatch", "logs, ingestion", "logs_ingestion", logged)
    yield Usage("CloudWatch", f"logs, {settings.log_retention_days} days", "logs_storage", kept)
    metrics, alarms = OWN_METRICS, ALARM_METRICS
    if settings.tracking:
        metrics += TRACKING_METRICS
        alarms += TRACKING_ALARM_METRICS
    if settings.has_api:
        metrics += API_METRICS
        alarms += API_ALARM_METRICS
    yield Usage("CloudWatch", "metrics", "cloudwatch_metrics", metrics)
    if settings.expected_event_hours is not None:
        alarms += EXPECTED_EVENT_ALARM_METRICS
    if settings.canary_minutes is not None:
        alarms += GUARD_ALARM_METRICS
    yield Usage("CloudWatch", "alarms", "cloudwatch_alarms", alarms)
    yield Usage("CloudWatch", "dashboard", "cloudwatch_dashboards", 1)
    yield Usage("X-Ray", "traces", "xray_traces", traces(invocations))
    yield Usage("KMS", "key of the stage", "kms_keys", 1)
    yield Usage("KMS", "requests", "kms_requests", _KEY_USERS * _KEY_REQUESTS_AN_HOUR * HOURS_A_MONTH)
    if settings.alarm_emails:
        yield Usage("SNS", "e-mails", "sns_emails", ALARM_MAILS * len(settings.alarm_emails))
