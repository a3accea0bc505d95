"""The logs of the functions. Only this module calls CloudWatch Logs."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from shipment_events.contract.names import log_group_name, processor_name, tracker_name

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilterLogEventsResponseTypeDef

MOST_READ: Final = 20_000
"""Log events that a reading reads unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One JSON line of the log.

    Attributes:
        written_at: time of the log event in UTC.
        fields: the parsed JSON object.
    """

    written_at: datetime
    fields: dict[str, Any]


class LogLines:
    """The JSON lines of one reading, oldest first. They are read while they are iterated.

    Attributes:
        is_whole: False if the iteration ended because it had read its maximum number of log events. There
            may be more.
    """

    def __init__(
        self, pages: "Iterable[FilterLogEventsResponseTypeDef]", since: datetime, until: datetime, most: int
    ) -> None:
        self.is_whole = True
        self._pages = pages
        self._since = since
        self._until = until
        self._most = most

    def __iter__(self) -> Iterator[LogLine]:
        # Lambda's own lines count, too, although they are no JSON objects with fields of ours.
        for read, event in enumerate((event for page in self._pages for event in page["events"]), start=1):
            self.is_whole = read < self._most
            try:
                fields = json.loads(event["message"])
            except ValueError:
                continue
            written_at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            if isinstance(fields, dict) and self._since <= written_at <= self._until:
                yield LogLine(written_at, fields)


class FunctionLog:
    """The log of a function.

    Args:
        client: CloudWatch Logs client.
        group: name of its log group.
    """

    def __init__(self, client: "CloudWatchLogsClient", group: str) -> None:
        self._client = client
        self._group = group

    def lines(self, text: str, since: datetime, until: datetime, *, most: int = MOST_READ) -> LogLines:
        """JSON lines of a period that contain a text, oldest first.

        The text can be anywhere in a line. A service that ignores the filter pattern also returns lines
        without the text.

        Args:
            most: maximum number of log events that are read.

        Raises:
            botocore.exceptions.ClientError: the log cannot be read. The iteration raises it.
        """
        pages = self._client.get_paginator("filter_log_events").paginate(
            logGroupName=self._group,
            startTime=int(since.timestamp() * 1000),
            endTime=int(until.timestamp() * 1000) + 1,
            filterPattern=json.dumps(text),
            PaginationConfig={"MaxItems": most},
        )
        floor = since.replace(microsecond=since.microsecond // 1000 * 1000)
        return LogLines(pages, floor, until, most)


class ProcessorLog(FunctionLog):
    """The log of a stage's processor."""

    def __init__(self, client: "CloudWatchLogsClient", environment: str) -> None:
        super().__init__(client, log_group_name(processor_name(environment)))


class TrackerLog(FunctionLog):
    """The log of a stage's tracker."""

    def __init__(self, client: "CloudWatchLogsClient", environment: str) -> None:
        super().__init__(client, log_group_name(tracker_name(environment)))
