"""EventBridge's answers to the calls of a publisher."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks.fake_services.tables import ServiceError

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
_MAX_ENTRIES: Final = 10


class Bus:
    """Takes every event and keeps none."""

    def __init__(self) -> None:
        self.entries = 0
        self._serial = itertools.count()
        self.operations: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "PutEvents": self.put_events,
            "DescribeEventBus": self.describe_event_bus,
        }

    def put_events(self, request: dict[str, Any]) -> dict[str, Any]:
        """An id for each entry.

        Raises:
            ServiceError: there are more than ten, or none.
        """
        entries = request["Entries"]
        if not 0 < len(entries) <= _MAX_ENTRIES:
            raise ServiceError("ValidationException", f"expected 1 to {_MAX_ENTRIES} entries")
        self.entries += len(entries)
        return {
            "FailedEntryCount": 0,
            "Entries": [{"EventId": f"00000000-0000-4000-8000-{next(self._serial):012x}"} for _ in entries],
        }

    def describe_event_bus(self, request: dict[str, Any]) -> dict[str, Any]:
        """Every bus exists."""
        return {"Name": request["Name"]}
