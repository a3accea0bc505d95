"""Public names of the pipeline's resources, outputs and metrics.

Other teams' code and dashboards rely on them. ``environment`` is the stage suffix (``dev``, ``prod``, …).
"""

from typing import Final

SOURCE: Final = "shipment.service"
EVENT_TYPE_PREFIX: Final = "shipment."

STATUS_INDEX: Final = "status-timestamp-index"
PARTITION_KEY: Final = "shipment_id"
SORT_KEY: Final = "event_timestamp"
STATUS_ATTRIBUTE: Final = "processing_status"
TTL_ATTRIBUTE: Final = "expires_at"

CHANGE_SOURCE: Final = "shipment.tracker"
"""Source of the events that announce a shipment's changes."""
SHIPMENT_STATUS_INDEX: Final = "status-latest-index"
TRACKING_NUMBER_INDEX: Final = "tracking-number-index"
OPEN_INDEX: Final = "open-latest-index"
"""Index of the shipments that are not finished."""
OPEN_ATTRIBUTE: Final = "open"
"""Only shipments that are not finished have this attribute. Its value is its name."""
LATEST_ATTRIBUTE: Final = "latest_at"
"""Sort key of these indexes."""
SHIPMENT_INDEX_KEYS: Final = {
    SHIPMENT_STATUS_INDEX: "status",
    TRACKING_NUMBER_INDEX: "tracking_number",
    OPEN_INDEX: OPEN_ATTRIBUTE,
}
"""Partition key of each of these indexes."""

METRIC_NAMESPACE: Final = "ShipmentEvents"
METRIC_DIMENSION: Final = "Environment"
LATENCY_METRIC: Final = "EventToStored"
SETTLED_METRIC: Final = "Settled"
"""Events that got any outcome."""
FAILED_METRIC: Final = "Failed"
"""Events that were quarantined or retried."""
VERSION_DIMENSION: Final = "FunctionVersion"
"""The published version of the processor. A second dimension beside ``METRIC_DIMENSION``."""

BATCH_MESSAGE: Final = "batch settled"
"""Message of the line that the processor logs for each batch. Metric filters read its fields."""
ENVIRONMENT_FIELD: Final = "environment"
VERSION_FIELD: Final = "version"
LATENCY_FIELD: Final = "slowest_ms"
SETTLED_FIELD: Final = "settled"
FAILED_FIELD: Final = "failed"
RETRIED_MESSAGE: Final = "event could not be stored now; returned to the queue"
"""Message of the line for a retried event. Its field ``detail`` says why."""

TRACKED_MESSAGE: Final = "batch tracked"
"""Message of the line that the tracker logs for each batch of the stream. Its fields follow."""
FOLDED_FIELD: Final = "folded"
"""Events whose shipment has a state that holds them."""
ANNOUNCED_FIELD: Final = "announced"
"""Changes that were put on the status bus, with repeats."""
UNFOLDABLE_FIELD: Final = "unfoldable"
UNSETTLED_FIELD: Final = "unsettled"
"""Events that Lambda sends again, because something failed that may succeed later."""
LOST_RACES_FIELD: Final = "lost_races"
LAG_FIELD: Final = "slowest_ms"
"""Time from storing an event to writing its shipment's state, for the slowest event of the batch."""

# Metrics of the tracker, from these fields.
FOLDED_METRIC: Final = "Folded"
ANNOUNCED_METRIC: Final = "ChangesAnnounced"
UNSETTLED_METRIC: Final = "Unsettled"
LAG_METRIC: Final = "StoredToState"

WATCHED_MESSAGE: Final = "open shipments watched"
"""Message of the line that the watcher logs for each run. Its fields follow."""
LOOKED_AT_FIELD: Final = "looked_at"
"""Open shipments. Zero if there are none, so each line has the field."""
UNREADABLE_FIELD: Final = "unreadable"
"""Items of the table of shipments that the tracker did not write."""

# Metrics of the watcher, from these fields.
OPEN_METRIC: Final = "OpenShipments"
DELAYS_METRIC: Final = "DelaysAnnounced"
"""Stalled and overdue shipments that were put on the status bus, with repeats."""

ANSWERED_MESSAGE: Final = "request answered"
"""Message of the line that the API's function logs for each request. Its fields follow."""
REQUESTS_FIELD: Final = "requests"
NOT_MODIFIED_FIELD: Final = "not_modified"
REFUSED_FIELD: Final = "refused"
API_FAILED_FIELD: Final = "request_failed"
DURATION_FIELD: Final = "duration_ms"

# Metrics of the API, from these fields.
REQUESTS_METRIC: Final = "ApiRequests"
NOT_MODIFIED_METRIC: Final = "ApiNotModified"
REFUSED_METRIC: Final = "ApiRefused"
API_FAILED_METRIC: Final = "ApiFailed"
DURATION_METRIC: Final = "ApiDuration"

OUTPUT_QUEUE_URL: Final = "SQSQueueURL"
OUTPUT_DEAD_LETTER_QUEUE_URL: Final = "DeadLetterQueueURL"
OUTPUT_PROCESSOR_ARN: Final = "ProcessorLambdaARN"
OUTPUT_TABLE_NAME: Final = "EventsTableName"
OUTPUT_DASHBOARD_URL: Final = "DashboardURL"
OUTPUT_EVENT_BUS_NAME: Final = "EventBusName"
OUTPUT_ARCHIVE_NAME: Final = "ArchiveName"
OUTPUT_SHIPMENTS_TABLE_NAME: Final = "ShipmentsTableName"
OUTPUT_STATUS_BUS_NAME: Final = "StatusBusName"
OUTPUT_API_URL: Final = "ApiURL"
OUTPUT_STATUS_INDEX_SHARDS: Final = "StatusIndexShards"
"""Only present if the index is sharded."""
OUTPUT_EXACT_COUNTS: Final = "LocalEngineCountsAreExact"
"""Only present on the local engine, whose queue counts and polls are exact. On AWS they are approximate."""


def stack_name(environment: str) -> str:
    """CloudFormation stack."""
    return f"shipmentevents-{environment}"


def event_bus_name(environment: str) -> str:
    """EventBridge bus that producers publish to."""
    return f"shipmentevents-{environment}"


def rule_name(environment: str) -> str:
    """Rule that delivers shipment events to the queue."""
    return f"shipment-event-rule-{environment}"


def unmatched_rule_name(environment: str) -> str:
    """Rule that delivers every other event to the dead-letter queue."""
    return f"shipment-event-unmatched-{environment}"


def archive_name(environment: str) -> str:
    """Archive of every event on the bus."""
    return f"shipmentevents-archive-{environment}"


def queue_name(environment: str) -> str:
    """Queue between the bus and the processor."""
    return f"shipmentevents-queue-{environment}"


def dead_letter_queue_name(environment: str) -> str:
    """Queue of events that could not be stored or delivered."""
    return f"shipmentevents-dlq-{environment}"


def processor_name(environment: str) -> str:
    """Lambda function that stores events."""
    return f"shipment-event-processor-{environment}"


LIVE_ALIAS: Final = "live"
"""Alias of each function. It names the version that gets the calls."""


def table_name(environment: str) -> str:
    """DynamoDB table of events."""
    return f"shipmentevents-{environment}"


def log_group_name(function_name: str) -> str:
    """Log group of a function."""
    return f"/aws/lambda/{function_name}"


def shipments_table_name(environment: str) -> str:
    """DynamoDB table of the current state of each shipment."""
    return f"shipments-{environment}"


def tracker_name(environment: str) -> str:
    """Lambda function that keeps the states and announces their changes."""
    return f"shipment-tracker-{environment}"


def command(environment: str, words: str) -> str:
    """A command for a person to copy. It names the stage, because the shell may have another one."""
    return f"shipments --env {environment} {words}"


def watcher_name(environment: str) -> str:
    """Lambda function that announces stalled and overdue shipments."""
    return f"shipment-watcher-{environment}"


def api_name(environment: str) -> str:
    """Lambda function of the HTTP API, and name of the API."""
    return f"shipment-api-{environment}"


def api_access_log_group_name(environment: str) -> str:
    """Log group of the requests that the API got."""
    return f"/aws/apigateway/{api_name(environment)}"


def tracker_failures_queue_name(environment: str) -> str:
    """Queue of what the tracker could not fold."""
    return f"shipmenttracker-failures-{environment}"


def status_bus_name(environment: str) -> str:
    """EventBridge bus of the changes of shipments."""
    return f"shipmentstatus-{environment}"


def status_archive_name(environment: str) -> str:
    """Archive of every change."""
    return f"shipmentstatus-archive-{environment}"
