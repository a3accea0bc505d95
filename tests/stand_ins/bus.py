"""A bus in memory that answers PutEvents as the service does, with failures as a test wants them."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Final

from botocore.exceptions import ClientError

from shipment_events.publishing.publisher import Publisher

ENDPOINT: Final = "http://bus.test"
MAX_ENTRIES: Final = 10
MAX_BYTES: Final = 1024 * 1024

Entry = dict[str, Any]
# Of one request: an error code or None for each of its entries, or what the client raises.
Answer = Callable[[Sequence[Entry]], Sequence[str | None] | Exception]


def service_error(code: str, operation: str = "PutEvents") -> ClientError:
    """What boto3 raises where the service refuses a whole request."""
    return ClientError({"Error": {"Code": code, "Message": f"{code} happened"}}, operation)


def entry_bytes(entry: Entry) -> int:
    """Size of an entry by the service's own rule."""
    return sum(len(entry[name].encode()) for name in ("Source", "DetailType", "Detail"))


class FakeBus:
    """Takes the place of the EventBridge client.

    Attributes:
        requests: entries of every request, in the order of arrival.
        accepted: entries that were taken, with how often.
    """

    def __init__(self, answer: Answer | None = None, *, seconds: float = 0.0, is_there: bool = True) -> None:
        self._answer = answer or (lambda entries: [None] * len(entries))
        self._seconds = seconds
        self._is_there = is_there
        self._serial = itertools.count(1)
        self._lock = threading.Lock()
        self._under_way = 0
        self.most_under_way = 0
        self.requests: list[list[Entry]] = []
        self.accepted = Counter[str]()
        self.meta = SimpleNamespace(endpoint_url=ENDPOINT)

    def put_events(self, *, Entries: list[Entry]) -> dict[str, Any]:  # noqa: N803 - the service's own name
        with self._lock:
            self.requests.append(Entries)
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
        try:
            time.sleep(self._seconds)
            with self._lock:
                return self._respond(Entries)
        finally:
            with self._lock:
                self._under_way -= 1

    def describe_event_bus(self, *, Name: str) -> dict[str, Any]:  # noqa: N803 - the service's own name
        if not self._is_there:
            raise service_error("ResourceNotFoundException", "DescribeEventBus")
        return {"Name": Name}

    def _respond(self, entries: list[Entry]) -> dict[str, Any]:
        assert 0 < len(entries) <= MAX_ENTRIES, "the service refuses such a request"
        answers = self._answer(entries)
        if isinstance(answers, Exception):
            raise answers
        results = [self._result(entry, code) for entry, code in zip(entries, answers, strict=False)]
        return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}

    def _result(self, entry: Entry, code: str | None) -> dict[str, str]:
        if code is not None:
            return {"ErrorCode": code, "ErrorMessage": f"{code} happened"}
        self.accepted[entry["Detail"]] += 1
        return {"EventId": f"envelope-{next(self._serial)}"}


def publisher_on(bus: FakeBus, *, concurrency: int = 2, max_attempts: int = 4) -> Publisher:
    """A publisher that takes the fake for EventBridge."""
    client: Any = bus
    return Publisher(client, "shipmentevents-test", concurrency=concurrency, max_attempts=max_attempts)
