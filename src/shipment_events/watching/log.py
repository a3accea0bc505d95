"""The logs of the functions. Only this module calls CloudWatch Logs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shipment_events.contract.names import log_group_name, processor_name, tracker_name

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient


@dataclass(frozen=True, slots=True)
class LogLine:
    """One JSON line of the log.

    Attributes:
        written_at: time of the log event in UTC.
        fields: the parsed JSON object.
    """

    written_at: datetime
    fields: dict[str, Any]


class FunctionLog:
    """The log of a function.

    Args:
        client: CloudWatch Logs client.
        group: name of its log group.
    """

    def __init__(self, client: "CloudWatchLogsClient", group: str) -> None:
        self._client = client
        self._group = group

    def lines(self, text: str, since: datetime, until: datetime, *, most: int) -> Iterator[LogLine]:
        """JSON lines of a period that contain a text, oldest first.

        The text can be anywhere in a line. A service that ignores the filter pattern also returns lines
        without the text.

        Args:
            most: maximum number of log events that are read.

        Raises:
            botocore.exceptions.ClientError: the log cannot be read.
        """
        pages = self._client.get_paginator("filter_log_events").paginate(
            logGroupName=self._group,
            startTime=int(since.timestamp() * 1000),
            endTime=int(until.timestamp() * 1000) + 1,
            filterPattern=json.dumps(text),
            PaginationConfig={"MaxItems": most},
        )
        floor = since.replace(microsecond=since.microsecond // 1000 * 1000)
        for page in pages:
            for event in page["events"]:
                try:
                    fields = json.loads(event["message"])
                except ValueError:
                    continue
                written_at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                if isinstance(fields, dict) and floor <= written_at <= until:
                    yield LogLine(written_at, fields)


class ProcessorLog(FunctionLog):
    """The log of a stage's processor."""

    def __init__(self, client: "CloudWatchLogsClient", environment: str) -> None:
        super().__init__(client, log_group_name(processor_name(environment)))


class TrackerLog(FunctionLog):
    """The log of a stage's tracker."""

    def __init__(self, client: "CloudWatchLogsClient", environment: str) -> None:
        super().__init__(client, log_group_name(tracker_name(environment)))
