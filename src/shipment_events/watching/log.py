"""The processor's log.

No other module talks to CloudWatch Logs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shipment_events.contract.names import log_group_name

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient


@dataclass(frozen=True, slots=True)
class LogLine:
    """One JSON line of the processor.

    Attributes:
        written_at: UTC.
        fields: as the processor printed them.
    """

    written_at: datetime
    fields: dict[str, Any]


def read_log(
    client: "CloudWatchLogsClient",
    environment: str,
    text: str,
    *,
    since: datetime,
    until: datetime,
    most: int,
) -> Iterator[LogLine]:
    """JSON lines that contain a text, oldest first, at most so many.

    Raises:
        botocore.exceptions.ClientError: the log cannot be read.
    """
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=log_group_name(environment),
        startTime=int(since.timestamp() * 1000),
        endTime=int(until.timestamp() * 1000) + 1,
        filterPattern=json.dumps(text),
        PaginationConfig={"MaxItems": most},
    )
    for page in pages:
        for event in page["events"]:
            try:
                fields = json.loads(event["message"])
            except ValueError:
                continue
            if isinstance(fields, dict):
                yield LogLine(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), fields)
