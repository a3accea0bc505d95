"""The quantity of each priced item that the HTTP API uses in a month, if readers poll states.

A response 304 needs the same request and the same read as a 200. It saves the transfer of the body.
"""

from collections.abc import Iterator
from math import ceil
from typing import Final

from shipment_events.cost.prices import Usage
from shipment_events.cost.traces import traces
from shipment_events.cost.tracking import STATE_BYTES
from shipment_events.cost.workload import DAYS_A_MONTH, GB, Workload
from shipment_events.stages import StageSettings

REQUEST_MS: Final = 15
"""Duration of one request with 0.29 of a core, as with 512 MB; assumed, and billed by the millisecond."""
BODY_BYTES: Final = 600
"""A state as JSON, as ``shipments feed`` makes it."""
HEAD_BYTES: Final = 350
"""Status and headers of a response."""
LOG_BYTES: Final = 650
"""The line of the function and the line of the log of accesses."""


def api_usage(workload: Workload, settings: StageSettings) -> Iterator[Usage]:
    """Every priced item of the requests. Alarms and metrics are in the bill's lines for CloudWatch."""
    requests = workload.api_requests_per_day * DAYS_A_MONTH
    changed = requests * (1 - workload.api_unchanged_share)
    memory = settings.api_memory_mb
    sent = (requests * HEAD_BYTES + changed * BODY_BYTES) / GB
    yield Usage("API", "requests", "apigateway_http_requests", requests)
    yield Usage("API", "function, requests", "lambda_requests", requests)
    seconds = requests * REQUEST_MS / 1000
    yield Usage("API", f"function, duration at {memory} MB", "lambda_duration_arm64", seconds * memory / 1024)
    yield Usage("API", "reads of states", "dynamodb_reads", requests * ceil(STATE_BYTES / 4096))
    yield Usage("API", "transfer to the internet", "data_transfer_out", sent)
    yield Usage("API", "logs, ingestion", "logs_ingestion", requests * LOG_BYTES / GB)
    yield Usage("API", "traces", "xray_traces", traces(requests))
