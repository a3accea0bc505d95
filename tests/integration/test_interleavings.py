"""Any interleaving of deliveries, faults and deletions ends in the same table.

The real processor and store work on the local engine's table. What AWS does around them (deliver, deliver
again, in any order, a crash before or after the write, a redrive, a replay) is the state machine's to choose,
and so is what is deleted, by hand or because it expired, between two batches or in the middle of one. Time is
the machine's own, and what was accepted before a deletion is late when it is made.
"""

import json
import random
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, TypeAlias, cast
from unittest.mock import Mock, patch

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
from shipment_events.contract.event import parse_event
from shipment_events.contract.outcome import Outcome
from shipment_events.processor import batch as batch_module
from shipment_events.processor.batch import LATE_AFTER, BatchProcessor
from shipment_events.processor.records import Record
from shipment_events.processor.retries import RetryPolicy
from shipment_events.table.item import CONFLICT, PROCESSED
from shipment_events.table.store import EventTable
from tests.integration.conftest import LocalEngine
from tests.stand_ins.fakes import DEAD_LETTER_QUEUE_URL, QUEUE_URL, RETENTION, FakeQueues, client_error

pytestmark = pytest.mark.engine

MAX_RECEIVES: Final = 3
# One attempt an invocation: the machine itself delivers again.
POLICY: Final = RetryPolicy(visibility_timeout=360, budget=0.0)
# Longer than an event stays fresh.
A_WHILE: Final = 2 * LATE_AFTER
DERIVED: Final = "derived"
THROTTLED: Final = "ProvisionedThroughputExceeded"


# Place, event id and content of an event.
Sent: TypeAlias = tuple[str, str, str]


class FunctionDiedError(BaseException):
    """The function is gone in the middle of a batch; nobody is told of any outcome."""


@dataclass
class FaultyTable:
    """The engine's DynamoDB behind faults that are set for one batch."""

    client: Any
    fault: str = "none"
    victims: frozenset[int] = frozenset()
    before_insert: Callable[[], None] = lambda: None

    def batch_execute_statement(self, **request: Any) -> Any:
        self.before_insert()
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

    def query(self, **request: Any) -> Any:
        return self.client.query(**request)

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
    """Of few identities and contents, so that they meet; the first two moments are one.

    An id may be the one that the pipeline derives for the content ``first``.
    """
    return st.fixed_dictionaries(
        {
            "shipment_id": st.sampled_from(["A", "B"]),
            "event_timestamp": st.sampled_from(
                ["2025-03-01T14:05:00+01:00", "2025-03-01T13:05:00Z", "2025-03-01T13:05:00.000001Z"]
            ),
            "event_type": st.just("shipment.departed"),
            "note": st.sampled_from(["first", "second"]),
        },
        optional={"event_id": st.sampled_from(["1", "2", DERIVED])},
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
            self.table, RETENTION, self.queues.client, QUEUE_URL, DEAD_LETTER_QUEUE_URL, POLICY
        )
        self.queue: list[Message] = []
        self.dead: list[Message] = []
        self.archive: list[dict[str, Any]] = []
        self.sent: set[Sent] = set()
        # Deleted and not settled since: these may be in the table again, or not.
        self.gone: set[Sent] = set()
        self.deleted = False
        # Not in the past: the engine deletes what has expired.
        self.clock = datetime.now(UTC)

    @initialize(events=st.lists(_events(), min_size=4, max_size=8))
    def begin(self, events: list[dict[str, str]]) -> None:
        self.send(events)

    @rule(events=st.lists(_events(), min_size=1, max_size=3))
    def send(self, events: list[dict[str, str]]) -> None:
        for event in events:
            detail = event | {"shipment_id": f"{self.run}-{event['shipment_id']}"}
            if event.get("event_id") == DERIVED:
                same = {name: value for name, value in detail.items() if name != "event_id"}
                detail["event_id"] = parse_event(same | {"note": "first"}).event_id
            # What the contract leaves open: published anew, and processed when the event beside which it
            # lies has been deleted.
            if self.deleted and _sent(detail) in self.sent:
                continue
            envelope = {
                "id": str(uuid.uuid4()),
                "time": self.clock.isoformat(timespec="seconds"),
                "source": names.SOURCE,
                "detail-type": detail["event_type"],
                "detail": detail,
            }
            self.archive.append(envelope)
            self.queue.append(Message(json.dumps(envelope)))
            self.sent.add(_sent(detail))

    @precondition(lambda self: self.queue)
    @rule(
        size=st.integers(1, 10),
        order=st.randoms(use_true_random=False),
        fault=st.sampled_from(FAULTS),
        victims=st.frozensets(st.integers(0, 3), min_size=1),
        deleted=st.none() | st.integers(0, 3),
    )
    def process(
        self, size: int, order: random.Random, fault: str, victims: frozenset[int], deleted: int | None = None
    ) -> None:
        order.shuffle(self.queue)
        batch, self.queue = self.queue[:size], self.queue[size:]
        received = [replace(message, receives=message.receives + 1) for message in batch]
        self.faulty.fault, self.faulty.victims = fault, victims
        meanwhile: set[Sent] = set()
        if deleted is not None:
            self._let_time_pass()
            self.faulty.before_insert = lambda: meanwhile.update(self._delete(deleted))
        try:
            with patch.object(batch_module, "datetime", Mock(now=lambda _: self.clock)):
                settled = self.processor.process(
                    [Record(one.message_id, "receipt", one.receives, one.body) for one in received],
                    lambda: 60.0,
                )
            failed = {one.record.message_id for one in settled if one.outcome is Outcome.RETRIED}
            assert len(settled) == len(received)
            assert not [one for one in settled if one.outcome is Outcome.QUARANTINED]
            kept = {_sent(json.loads(one.body)["detail"]) for one in received if one.message_id not in failed}
            self.gone -= kept - meanwhile
            assert kept - meanwhile <= set(self._stored()), "settled, and not in the table"
        except FunctionDiedError:
            failed = {one.message_id for one in received}
        finally:
            self.faulty.fault = "none"
            self.faulty.before_insert = lambda: None
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

    @rule(which=st.integers(0, 3))
    def delete(self, which: int) -> None:
        """By hand, or because it expired."""
        self._delete(which)
        self._let_time_pass()

    @invariant()
    def nothing_stands_twice_and_nothing_was_invented(self) -> None:
        there = self._stored()
        assert all(number == 1 for number in there.values()), there
        assert set(there) <= self.sent

    def teardown(self) -> None:
        while self.queue or self.dead:
            self._redrive()
            self.process(10, random.Random(0), "none", frozenset())
        assert self.sent - self.gone <= set(self._stored()) <= self.sent
        by_identity: dict[tuple[str, str], list[str]] = {}
        for item in self._items():
            by_identity.setdefault((_place(item.detail), item.event_id), []).append(item.status)
        for statuses in by_identity.values():
            assert statuses.count(PROCESSED) == 1 or (self.deleted and PROCESSED not in statuses)
            assert set(statuses) <= {PROCESSED, CONFLICT}

    def _delete(self, which: int) -> set[Sent]:
        """Delete one item, if there is any; returns its event."""
        items = self._items()
        taken = Counter((_place(item.detail), item.event_id) for item in items)
        # First those that another lies beside, then in an order that does not depend on the ids of this run.
        items.sort(
            key=lambda item: (
                item.status != PROCESSED or taken[_place(item.detail), item.event_id] == 1,
                _label(item.detail, item.status),
            )
        )
        if not items:
            return set()
        item = items[which % len(items)]
        key = {"shipment_id": {"S": item.detail["shipment_id"]}, "event_timestamp": {"S": item.sort_key}}
        self.faulty.client.delete_item(TableName=self.local.outputs[names.OUTPUT_TABLE_NAME], Key=key)
        self.deleted = True
        self.gone.add(_sent(item.detail))
        return {_sent(item.detail)}

    def _let_time_pass(self) -> None:
        self.clock += A_WHILE

    def _redrive(self) -> None:
        self.queue += [replace(message, receives=0) for message in self.dead]
        self.dead = []

    def _items(self) -> list[Any]:
        return [item for shipment in ("A", "B") for item in self.table.timeline(f"{self.run}-{shipment}")]

    def _stored(self) -> Counter[Sent]:
        return Counter(_sent(item.detail) for item in self._items())


def _sent(detail: Mapping[str, Any]) -> Sent:
    return _place(detail), parse_event(dict(detail)).event_id, detail["note"]


def _label(detail: Mapping[str, Any], status: str) -> tuple[str, ...]:
    """What tells an item from others in the same way at each run."""
    event_id = detail.get("event_id", "")
    named = event_id if len(event_id) < 2 else DERIVED
    return detail["shipment_id"][-1], _place(detail)[-15:], detail["note"], named, status


def _place(detail: Mapping[str, Any]) -> str:
    at = "13:05:00.000001" if detail["event_timestamp"].endswith("01Z") else "13:05:00"
    return f"{detail['shipment_id']} {at}"


def run_interleavings(engine: LocalEngine, examples: int) -> None:
    class OnTheEngine(Interleavings):
        local = engine

    run_state_machine_as_test(
        OnTheEngine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            # Making a failure smaller takes minutes here, and 25 steps can be read.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_any_interleaving_ends_in_the_same_table(engine: LocalEngine) -> None:
    run_interleavings(engine, 15)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_hundred_interleavings_end_in_the_same_table(engine: LocalEngine) -> None:
    run_interleavings(engine, 500)
