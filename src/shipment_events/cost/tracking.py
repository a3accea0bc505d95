"""The quantity of each priced item that tracking uses in a month: the function, the states, and the changes.

Lambda reads the stream for nothing: "GetRecords API calls invoked by AWS Lambda as part of DynamoDB triggers"
are free (https://aws.amazon.com/dynamodb/pricing/on-demand/).
"""

from collections.abc import Iterator
from math import ceil, exp
from typing import Final

from shipment_events.cost.prices import Usage
from shipment_events.cost.traces import traces
from shipment_events.cost.workload import DAYS_A_MONTH, GB, SECONDS_A_MONTH, STORED_ITEM_OVERHEAD, Workload
from shipment_events.stages import StageSettings

POLLS_A_SECOND: Final = 4
"""Polls of each shard: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
PARTITION_WRITE_UNITS: Final = 1_000
"""Per second: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"""
NEW_TABLE_WRITE_UNITS: Final = 4_000
"""Per second, of a new on-demand table:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"""

# Means of `shipments feed`, by the fold of 3,000 events. Tests compare them.
SHIPMENT_EVENTS: Final = 4.2
CHANGES_AN_EVENT: Final = 0.9
STATE_BYTES: Final = 680
CHANGE_BYTES: Final = 620
"""Size of the announcement of a change with its envelope."""

INDEXES: Final = 3
MOVED_ENTRY_WRITES: Final = 2
"""Each event moves the state's entry in an index, because ``latest_at`` is its sort key. "If an update to the
table changes the value of an indexed key attribute (from A to B), two writes are required".
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.Writes"""

# Time of one batch with 0.29 of a core, as with 512 MB.
BATCH_MS: Final = 20
RECORD_MS: Final = 1.0
BATCH_LOG_BYTES: Final = 275

OPEN_DAYS: Final = 5
"""Time from the first to the last event of a shipment; assumed."""
WATCHED_MS: Final = 0.1
"""Time of the watcher for one open shipment, with 0.29 of a core; assumed."""


def records_per_second(workload: Workload) -> float:
    """Mean rate of stored events, each of which is one record of the stream."""
    return workload.new_events / SECONDS_A_MONTH


def states_per_second(workload: Workload, settings: StageSettings) -> float:
    """Maximum rate of records that tracking keeps up with.

    All open shipments are one partition of the index of open shipments. If an index is throttled, so are the
    writes of its table.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations
    """
    batch = settings.tracker_batch_size
    full_batch = (BATCH_MS + RECORD_MS * batch) / 1000
    return min(PARTITION_WRITE_UNITS / MOVED_ENTRY_WRITES, shards(workload) * batch / full_batch)


def batches_per_second(workload: Workload, settings: StageSettings) -> float:
    """Mean number of batches. A poll that finds no record is no batch.

    The estimate assumes that records arrive at random, evenly on all shards.
    """
    polls = POLLS_A_SECOND * shards(workload)
    full = records_per_second(workload) / settings.tracker_batch_size
    return max(polls * (1 - exp(-records_per_second(workload) / polls)), full)


def shards(workload: Workload) -> int:
    """Shards of the stream that are read at the same time: one for each partition of the table."""
    units = records_per_second(workload) * workload.write_units
    return ceil(max(NEW_TABLE_WRITE_UNITS, units) / PARTITION_WRITE_UNITS)


def tracking_usage(workload: Workload, settings: StageSettings) -> Iterator[Usage]:
    """Every priced item that tracking adds. Its alarms and metrics are in the bill's lines for CloudWatch."""
    batches = batches_per_second(workload, settings) * SECONDS_A_MONTH
    yield from _function(workload, settings, batches)
    yield from _states(workload, settings)
    yield from _changes(workload, settings)
    yield from _watcher(workload, settings)
    yield Usage("Tracking", "logs, ingestion", "logs_ingestion", batches * BATCH_LOG_BYTES / GB)
    yield Usage("Tracking", "traces", "xray_traces", traces(batches))


def _function(workload: Workload, settings: StageSettings, batches: float) -> Iterator[Usage]:
    seconds = (batches * BATCH_MS + workload.new_events * RECORD_MS) / 1000
    memory = settings.tracker_memory_mb
    yield Usage("Tracking", "function, requests", "lambda_requests", batches)
    yield Usage(
        "Tracking", f"function, duration at {memory} MB", "lambda_duration_arm64", seconds * memory / 1024
    )


def _states(workload: Workload, settings: StageSettings) -> Iterator[Usage]:
    """A read and a write of the state for each event. The first event of a shipment reads the events too."""
    events, shipments = workload.new_events, workload.new_events / SHIPMENT_EVENTS
    units = ceil(STATE_BYTES / 1024)
    # The first event of a shipment adds an entry to each index. The last one only removes an entry from the
    # index of open shipments.
    moved = MOVED_ENTRY_WRITES * INDEXES * (events - shipments) + INDEXES * shipments - shipments
    table_class = "_infrequent" if settings.infrequent_access else ""
    yield Usage("Tracking", "reads of states", "dynamodb_reads", events)
    yield Usage(
        "Tracking",
        "reads of new shipments' events",
        f"dynamodb_reads{table_class}",
        shipments * workload.read_units,
    )
    yield Usage("Tracking", "writes of states", "dynamodb_writes", events * units)
    yield Usage("Tracking", "writes of their indexes", "dynamodb_writes", moved * units)
    months = settings.event_retention_days / DAYS_A_MONTH
    stored = shipments * months * (STATE_BYTES + STORED_ITEM_OVERHEAD) / GB
    # A finished shipment is not in the index of open shipments.
    yield Usage("Tracking", "storage of states and indexes", "dynamodb_storage", stored * INDEXES)
    yield Usage("Tracking", "point-in-time recovery of states", "dynamodb_recovery", stored)


def _watcher(workload: Workload, settings: StageSettings) -> Iterator[Usage]:
    """Each run reads all entries of the index of open shipments, eventually consistent: 8 KB a unit."""
    runs = SECONDS_A_MONTH / (settings.watcher_minutes * 60)
    watched = workload.new_events / DAYS_A_MONTH / SHIPMENT_EVENTS * OPEN_DAYS
    # A run that is not done by then fails.
    seconds = min(watched * WATCHED_MS / 1000, settings.watcher_timeout_seconds)
    memory = settings.watcher_memory_mb
    yield Usage("Tracking", "watcher, requests", "lambda_requests", runs)
    yield Usage(
        "Tracking",
        f"watcher, duration at {memory} MB",
        "lambda_duration_arm64",
        runs * seconds * memory / 1024,
    )
    read = runs * watched * STATE_BYTES / 8192
    yield Usage("Tracking", "reads of open shipments", "dynamodb_reads", read)


def _changes(workload: Workload, settings: StageSettings) -> Iterator[Usage]:
    changes = workload.new_events * CHANGES_AN_EVENT
    gigabytes = changes * CHANGE_BYTES / GB
    yield Usage("Tracking", "changes", "eventbridge_events", changes)
    yield Usage("Tracking", "archive of changes, ingestion", "eventbridge_archive_processing", gigabytes)
    yield Usage(
        "Tracking",
        f"archive of changes, {settings.archive_retention_days} days",
        "eventbridge_archive_storage",
        gigabytes * settings.archive_retention_days / DAYS_A_MONTH,
    )
