"""The processor between a table and queues that fail as they are told, and records for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from unittest.mock import patch

from botocore.exceptions import ReadTimeoutError

from shipment_events.contract.outcome import Outcome
from shipment_events.processor import batch as batch_module
from shipment_events.processor.records import Record, Settled
from shipment_events.processor.retries import RetryPolicy
from tests.stand_ins.fakes import (
    FakeQueues,
    FakeTable,
    processor_on,
)

POLICY: Final = RetryPolicy(visibility_timeout=360)
TIME_OUT: Final = ReadTimeoutError(endpoint_url="https://dynamodb")


@dataclass
class Clock:
    """Time that passes only where it is told to."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Pipeline:
    """The processor between its table and its queues."""

    table: FakeTable = field(default_factory=FakeTable)
    queues: FakeQueues = field(default_factory=FakeQueues)
    clock: Clock = field(default_factory=Clock)
    seconds: float = 60

    def process(self, *records: Record) -> list[Settled]:
        processor = processor_on(self.table, self.queues, POLICY)
        deadline = self.clock.now + self.seconds
        with patch.object(batch_module, "time", self.clock):
            settled = processor.process(records, lambda: deadline - self.clock.now)
        assert self.clock.now < deadline
        return settled

    def outcomes(self, *records: Record) -> list[Outcome]:
        """Outcomes in the order of the records."""
        of_id = {result.record.message_id: result.outcome for result in self.process(*records)}
        assert len(of_id) == len(records)
        return [of_id[record.message_id] for record in records]

    def statuses(self) -> dict[str, str]:
        """Status of each item by what the producer wrote into its field ``note``."""
        return {
            item["detail"]["M"].get("note", {"S": ""})["S"]: item["processing_status"]["S"]
            for item in self.table.items.values()
        }


def body(envelope: Mapping[str, Any] | None = None, **fields: Any) -> str:
    """Of an event that the bus has just accepted, unless the envelope says otherwise."""
    detail = {
        "shipment_id": "S-1",
        "event_timestamp": "2025-03-01T14:05:00+01:00",
        "event_type": "shipment.departed",
    } | fields
    just_accepted: dict[str, Any] = {
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "time": datetime.now(UTC).isoformat(),
        "source": "shipment.service",
        "detail-type": "shipment.departed",
        "detail": detail,
    }
    return json.dumps(just_accepted | dict(envelope or {}))


def record(number: int = 0, *, text: str | None = None, receive_count: int = 1, **fields: Any) -> Record:
    """Message of the number; its event differs from others by the fields alone."""
    return Record(f"m-{number}", f"receipt-{number}", receive_count, body(**fields) if text is None else text)


def distinct(count: int) -> list[Record]:
    return [record(number, shipment_id=f"S-{number}") for number in range(count)]
