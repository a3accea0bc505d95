"""The log of the API: one JSON line for each request, without ids or any other text of the client.

It goes to standard output, which Lambda sends to CloudWatch Logs.
"""

from http import HTTPStatus
from typing import Any

from shipment_events.contract.names import (
    ANSWERED_MESSAGE,
    API_FAILED_FIELD,
    DURATION_FIELD,
    ENVIRONMENT_FIELD,
    NOT_MODIFIED_FIELD,
    REFUSED_FIELD,
    REQUESTS_FIELD,
    VERSION_FIELD,
)
from shipment_events.function.log_lines import print_line, stack_trace, trace


def report_request(
    route: str, status: HTTPStatus, duration_ms: int, *, environment: str, request_id: str, version: str
) -> None:
    """Print the line of one request, answered by the published ``version`` of the function."""
    line: dict[str, Any] = {
        "level": "INFO",
        "message": ANSWERED_MESSAGE,
        "route": route,
        "status": status.value,
        # Zeros are logged too; without them, an alarm ends late:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
        REQUESTS_FIELD: 1,
        NOT_MODIFIED_FIELD: int(status is HTTPStatus.NOT_MODIFIED),
        REFUSED_FIELD: int(400 <= status < 500),
        API_FAILED_FIELD: int(status >= 500),
        DURATION_FIELD: duration_ms,
    }
    print_line(
        {**line, ENVIRONMENT_FIELD: environment, VERSION_FIELD: version, "request_id": request_id, **trace()}
    )


def report_failure(route: str, why: str, request_id: str, error: Exception | None = None) -> None:
    """Print why a request failed.

    Args:
        why: error code of the service, or name of the exception.
        error: a defect. Its trace is printed without its message, which can contain text of the client.
    """
    print_line(
        {
            "level": "ERROR",
            "message": "request failed",
            "route": route,
            "detail": why,
            **({"defect": stack_trace(error)} if error else {}),
            "request_id": request_id,
        }
    )
