"""The queue for failures is emptied by repairs alone: a message goes when its shipment is right."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shipment_events.queue.queue import Queue
from shipment_events.rebuilding.examined import Verdict
from shipment_events.rebuilding.failure_queue import FailureQueue, Repair
from shipment_events.rebuilding.rebuilder import Listener
from shipment_events.tracking.failures import Failure
from tests.rebuilding.test_rebuilder import DELIVERED, MOVING, PICKED_UP, STORY, tracked
from tests.stand_ins.sqs import AwsSqs
from tests.tracking import oracle
from tests.tracking.histories import NOON, SHIPMENT, text
from tests.tracking.services import FAILURES_URL, World


def batch(first: Any = NOON, last: Any = NOON, **fields: Any) -> str:
    """As in https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html"""
    info = {
        "shardId": "shardId-00000001573689847184-864758bb",
        "startSequenceNumber": "800000000003126276362",
        "endSequenceNumber": "800000000003126276362",
        "approximateArrivalOfFirstRecord": f"{first:%Y-%m-%dT%H:%M:%SZ}",
        "approximateArrivalOfLastRecord": f"{last:%Y-%m-%dT%H:%M:%SZ}",
        "batchSize": 1,
        "streamArn": "arn",
    }
    context = {"requestId": "r", "functionArn": "a", "condition": "RetryAttemptsExhausted"}
    return json.dumps(
        {"requestContext": context, "version": "1.0", "timestamp": "t", "DDBStreamBatchInfo": info | fields}
    )


def failure(shipment_id: str = SHIPMENT, sort_key: str = DELIVERED.sort_key) -> str:
    return Failure(shipment_id, sort_key, "expected something").body


def missed(*shipments: str) -> World:
    """The tracker could not fold the deliveries of these shipments."""
    world = World()
    for shipment in shipments:
        world.track([world.store(PICKED_UP, shipment), world.store(MOVING, shipment)])
        world.store(DELIVERED, shipment)
    world.bus.accepted.clear()
    return world


def repair(world: World, sqs: AwsSqs, *, dry_run: bool = False, listener: Listener | None = None) -> Repair:
    queue = Queue(sqs.client, FAILURES_URL, sqs.clock.timing)
    return FailureQueue(queue, world.rebuilder()).repair(dry_run=dry_run, listener=listener)


def queue_with(*bodies: str, **settings: Any) -> AwsSqs:
    sqs = AwsSqs(**settings)
    sqs.put(FAILURES_URL, *bodies)
    return sqs


@pytest.mark.parametrize("settings", [{}, {"false_empties": 1}, {"repeats": 1}, {"count_lag": 60.0}])
def test_shipments_that_the_tracker_named_are_right_and_announced_and_the_queue_is_empty(
    settings: dict[str, Any],
) -> None:
    ids = [f"S-{number}" for number in range(30)]
    world = missed(*ids)
    sqs = queue_with(*map(failure, ids), failure("S-1", MOVING.sort_key), **settings)
    result = repair(world, sqs)
    assert sqs.bodies(FAILURES_URL) == []
    assert (result.deleted, result.kept) == (31, [])
    assert {shipment: world.state(shipment) for shipment in ids} == dict.fromkeys(
        ids, oracle.attributes(STORY)
    )
    assert sorted(detail["shipment_id"] for _, detail in world.bus.accepted) == sorted(ids)


def test_dry_run_changes_neither_states_nor_queue() -> None:
    world, sqs = missed(SHIPMENT), queue_with(failure(), batch())
    result = repair(world, sqs, dry_run=True)
    assert (len(sqs.bodies(FAILURES_URL)), world.bus.accepted, world.state()["status"]) == (
        2,
        [],
        "in_transit",
    )
    assert result.deleted == 2
    assert result.rebuilt.verdicts[Verdict.DIFFERENT] == 2, (
        "found by name, and by the comparison for its batch"
    )


def test_event_that_still_cannot_be_folded_keeps_its_message() -> None:
    world = missed(SHIPMENT)
    world.tables.events[SHIPMENT].append({"shipment_id": {"S": SHIPMENT}, "event_timestamp": {"S": "today"}})
    sqs = queue_with(failure(sort_key="today"), failure())
    result = repair(world, sqs)
    assert sqs.bodies(FAILURES_URL) == [failure(sort_key="today")]
    ((kept, why),) = result.kept
    assert (kept.sort_key, why.startswith("the item still cannot be folded: ")) == ("today", True)
    assert world.state() == oracle.attributes(STORY), "the rest of the shipment is right"

    del world.tables.events[SHIPMENT][-1]
    sqs.clock.sleep(100)
    assert repair(world, sqs).deleted == 1
    assert sqs.bodies(FAILURES_URL) == []


def test_message_stays_if_its_shipment_cannot_be_written() -> None:
    world, sqs = missed(SHIPMENT), queue_with(failure())
    world.bus.codes = [{0: "InternalFailure"}] * 20
    ((_, why),) = repair(world, sqs).kept
    assert why == "not announced: InternalFailure"
    assert sqs.bodies(FAILURES_URL) == [failure()]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"shipment_id": "S"}', "1", failure(""), batch()])
def test_message_of_another_form_stays_and_is_named(body: str) -> None:
    if "DDBStream" in body:
        body = body.replace("approximateArrivalOfFirstRecord", "x")
    sqs = queue_with(body)
    result = repair(missed(SHIPMENT), sqs)
    assert (len(result.kept), sqs.bodies(FAILURES_URL)) == (1, [body])


class TestBatches:
    def test_rebuilds_every_shipment_whenever_its_events_were_stored(self) -> None:
        """A recovery copies events back as they were stored, beside live traffic of the batch's time."""
        world = missed("live", "recovered")
        for item in world.tables.events["recovered"]:
            item["processing"]["M"]["stored_at"]["S"] = text(NOON - timedelta(minutes=30))
        sqs = queue_with(batch(NOON, NOON + timedelta(hours=2)))
        result = repair(world, sqs)
        assert [world.state(one)["status"] for one in ("live", "recovered")] == ["delivered"] * 2
        assert (result.deleted, sqs.bodies(FAILURES_URL)) == (1, [])

    def test_finds_events_that_were_copied_back_from_a_restored_table(self) -> None:
        """A recovery keeps the time at which an event was stored, so no window of time has it."""
        world = missed(SHIPMENT)
        recovered_at = NOON + timedelta(days=20)
        sqs = queue_with(batch(recovered_at, recovered_at))
        result = repair(world, sqs)
        assert world.state() == oracle.attributes(STORY)
        assert (result.deleted, sqs.bodies(FAILURES_URL)) == (1, [])

    def test_clocks_may_differ(self) -> None:
        world = missed(SHIPMENT)
        late = NOON + timedelta(hours=2, minutes=3)
        repair(world, queue_with(batch(late, late)))
        assert world.state() == oracle.attributes(STORY)

    def test_stays_if_not_all_of_its_shipments_were_rebuilt(self) -> None:
        world, sqs = missed("a", "b"), queue_with(batch(NOON, NOON + timedelta(hours=2)))
        world.tables.shipments["a"] = {"shipment_id": {"S": "a"}}
        result = repair(world, sqs)
        assert (result.deleted, len(sqs.bodies(FAILURES_URL))) == (0, 1)
        assert world.state("b") == oracle.attributes(STORY)


def test_interrupt_leaves_what_was_not_repaired() -> None:
    world = missed(*(f"S-{number}" for number in range(20)))
    sqs = queue_with(*(failure(f"S-{number}") for number in range(20)))

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    result = repair(world, sqs, listener=Listener(on_shipment=interrupt))
    assert result.rebuilt.interrupted
    left = {json.loads(body)["shipment_id"] for body in sqs.bodies(FAILURES_URL)}
    right = {
        shipment for shipment in world.tables.shipments if world.state(shipment)["status"] == "delivered"
    }
    assert left >= {f"S-{number}" for number in range(20)} - right
    assert left
    sqs.clock.sleep(100)
    repair(world, sqs)
    assert sqs.bodies(FAILURES_URL) == []
    assert len(world.bus.accepted) >= 20


def test_repair_of_what_is_right_already_only_empties_the_queue() -> None:
    world, sqs = tracked(*STORY), queue_with(failure())
    before = replace(world.calls).counts["BatchExecuteStatement"]
    result = repair(world, sqs)
    assert (result.deleted, sqs.bodies(FAILURES_URL)) == (1, [])
    assert world.calls.counts["BatchExecuteStatement"] == before
