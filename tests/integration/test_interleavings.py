"""Any interleaving of deliveries and faults ends in the same table.

The real processor and store work on the local engine's table. What AWS does around them (deliver, deliver
again, in any order, a crash before or after the write, a redrive, a replay) is the state machine's to choose.
"""

import json
import random
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, cast

import pytest
from botocore.exceptions import ConnectionClosedError
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome
from shipment_events.processor.batch import BatchProcessor
from shipment_events.processor.records import Record
from shipment_events.processor.retries import RetryPolicy
from shipment_events.table.item import CONFLICT, PROCESSED
from shipment_events.table.store import EventTable
from tests.integration.conftest import LocalEngine
from tests.stand_ins.fakes import DEAD_LETTER_QUEUE_URL, QUEUE_URL, FakeQueues, client_error

pytestmark = pytest.mark.engine

MAX_RECEIVES: Final = 3
# One attempt an invocation: the machine itself delivers again.
POLICY: Final = RetryPolicy(visibility_timeout=360, budget=0.0)
THROTTLED: Final = "ProvisionedThroughputExceeded"


class FunctionDiedError(BaseException):
    """The function is gone in the middle of a batch; nobody is told of any outcome."""


@dataclass
class FaultyTable:
    """The engine's DynamoDB behind faults that are set for one batch."""

    client: Any
    fault: str = "none"
    victims: frozenset[int] = frozenset()

    def batch_execute_statement(self, **request: Any) -> Any:
        match self.fault:
            case "throttled":
                raise client_error("ThrottlingException")
            case "reset before":
                raise ConnectionClosedError(endpoint_url="http://table")
            case "died before":
                raise FunctionDiedError
        statements = request["Statements"]
        failing = {i for i in self.victims if i < len(statements)} if self.fault == "statements" else set()
        passed = [statement for i, statement in enumerate(statements) if i not in failing]
        responses = iter(
            self.client.batch_execute_statement(Statements=passed)["Responses"] if passed else []
        )
        if self.fault == "reset after":
            raise ConnectionClosedError(endpoint_url="http://table")
        if self.fault == "died after":
            raise FunctionDiedError
        return {
            "Responses": [
                {"Error": {"Code": THROTTLED}} if i in failing else next(responses)
                for i in range(len(statements))
            ]
        }

    def get_paginator(self, operation: str) -> Any:
        return self.client.get_paginator(operation)

    def batch_get_item(self, **request: Any) -> Any:
        if self.fault == "read throttled":
            raise client_error("ThrottlingException")
        answer = self.client.batch_get_item(**request)
        if self.fault == "read incomplete":
            return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}
        return answer


FAULTS: Final = (
    "none", "throttled", "statements", "reset before", "reset after", "died before", "died after",
    "read throttled", "read incomplete",
)  # fmt: skip


@dataclass(frozen=True)
class Message:
    body: str
    receives: int = 0
    message_id: str = field(default_factory=lambda: str(uuid.uuid4()))


def _events() -> st.SearchStrategy[dict[str, str]]:
    """Of few identities and contents, so that they meet; the first two moments are one."""
    return st.fixed_dictionaries(
        {
            "shipment_id": st.sampled_from(["A", "B"]),
            "event_timestamp": st.sampled_from(
                ["2025-03-01T14:05:00+01:00", "2025-03-01T13:05:00Z", "2025-03-01T13:05:00.000001Z"]
            ),
            "event_type": st.just("shipment.departed"),
            "note": st.sampled_from(["first", "second"]),
        },
        optional={"event_id": st.sampled_from(["1", "2"])},
    )


class Interleavings(RuleBasedStateMachine):
    """The queue, the dead-letter queue and the archive around the processor."""

    local: ClassVar[LocalEngine]

    def __init__(self) -> None:
        super().__init__()
        self.run = uuid.uuid4().hex
        self.faulty = FaultyTable(self.local.client("dynamodb"))
        table_name = self.local.outputs[names.OUTPUT_TABLE_NAME]
        self.table = EventTable(cast("Any", self.faulty), table_name)
        self.queues = FakeQueues()
        self.processor = BatchProcessor(
            self.table, self.queues.client, QUEUE_URL, DEAD_LETTER_QUEUE_URL, POLICY
        )
        self.queue: list[Message] = []
        self.dead: list[Message] = []
        self.archive: list[dict[str, Any]] = []
        self.sent: set[tuple[str, str | None, str]] = set()

    @initialize(events=st.lists(_events(), min_size=4, max_size=8))
    def begin(self, events: list[dict[str, str]]) -> None:
        self.send(events)

    @rule(events=st.lists(_events(), min_size=1, max_size=3))
    def send(self, events: list[dict[str, str]]) -> None:
        for event in events:
            detail = event | {"shipment_id": f"{self.run}-{event['shipment_id']}"}
            envelope = {
                "id": str(uuid.uuid4()),
                "time": "2025-03-01T13:05:01Z",
                "source": names.SOURCE,
                "detail-type": detail["event_type"],
                "detail": detail,
            }
            self.archive.append(envelope)
            self.queue.append(Message(json.dumps(envelope)))
            self.sent.add((_place(detail), detail.get("event_id"), detail["note"]))

    @precondition(lambda self: self.queue)
    @rule(
        size=st.integers(1, 10),
        order=st.randoms(use_true_random=False),
        fault=st.sampled_from(FAULTS),
        victims=st.frozensets(st.integers(0, 3), min_size=1),
    )
    def process(self, size: int, order: random.Random, fault: str, victims: frozenset[int]) -> None:
        order.shuffle(self.queue)
        batch, self.queue = self.queue[:size], self.queue[size:]
        received = [replace(message, receives=message.receives + 1) for message in batch]
        self.faulty.fault, self.faulty.victims = fault, victims
        try:
            settled = self.processor.process(
                [Record(one.message_id, "receipt", one.receives, one.body) for one in received],
                lambda: 60.0,
            )
            failed = {one.record.message_id for one in settled if one.outcome is Outcome.RETRIED}
            assert len(settled) == len(received)
            assert not [one for one in settled if one.outcome is Outcome.QUARANTINED]
        except FunctionDiedError:
            failed = {one.message_id for one in received}
        finally:
            self.faulty.fault = "none"
        for one in received:
            if one.message_id in failed:
                (self.dead if one.receives >= MAX_RECEIVES else self.queue).append(one)

    @rule(how=st.sampled_from(["delivered again", "replayed", "redriven"]), which=st.integers(0, 20))
    def bring_back(self, how: str, which: int) -> None:
        """SQS delivers at least once, an archive is replayed, dead letters are redriven."""
        envelope = self.archive[which % len(self.archive)]
        match how:
            case "delivered again":
                self.queue.append(Message(json.dumps(envelope)))
            case "replayed":
                self.queue.append(Message(json.dumps(envelope | {"replay-name": "r"})))
            case "redriven":
                self._redrive()

    @invariant()
    def nothing_stands_twice_and_nothing_was_invented(self) -> None:
        there = self._stored()
        assert all(number == 1 for number in there.values()), there
        assert set(there) <= self.sent

    def teardown(self) -> None:
        while self.queue or self.dead:
            self._redrive()
            self.process(10, random.Random(0), "none", frozenset())
        assert set(self._stored()) == self.sent
        by_identity: dict[tuple[str, str], list[str]] = {}
        for item in self._items():
            event_id = item.detail.get("event_id")
            if event_id is None:
                assert item.status == PROCESSED, "content with no id of its own cannot conflict"
            else:
                place = (_place(item.detail), event_id)
                by_identity.setdefault(place, []).append(item.status)
        for statuses in by_identity.values():
            assert sorted(statuses) == sorted([PROCESSED] + [CONFLICT] * (len(statuses) - 1))

    def _redrive(self) -> None:
        self.queue += [replace(message, receives=0) for message in self.dead]
        self.dead = []

    def _items(self) -> list[Any]:
        return [item for shipment in ("A", "B") for item in self.table.timeline(f"{self.run}-{shipment}")]

    def _stored(self) -> Counter[tuple[str, str | None, str]]:
        return Counter(
            (_place(item.detail), item.detail.get("event_id"), item.detail["note"]) for item in self._items()
        )


def _place(detail: Mapping[str, Any]) -> str:
    at = "13:05:00.000001" if detail["event_timestamp"].endswith("01Z") else "13:05:00"
    return f"{detail['shipment_id']} {at}"


def test_any_interleaving_ends_in_the_same_table(engine: LocalEngine) -> None:
    class OnTheEngine(Interleavings):
        local = engine

    run_state_machine_as_test(
        OnTheEngine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            # Making a failure smaller takes minutes here, and 25 steps can be read.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
