"""The tracker on stand-ins of its services: what it does, what it costs, and what faults do to it."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from hypothesis import given, settings
from hypothesis import strategies as st

from shipment_events.table.item import StoredEvent
from shipment_events.tracking import batch, history, store
from shipment_events.tracking import tracker as tracker_module
from shipment_events.tracking.batch import Tracking
from shipment_events.tracking.store import Found
from tests.stand_ins.fakes import client_error
from tests.tracking import oracle
from tests.tracking.histories import NOON, histories, stored, text
from tests.tracking.services import KilledError, World, item_of

PICKED_UP = stored(NOON, "p", "shipment.picked_up")
MOVING = stored(NOON + timedelta(hours=1), "m", "shipment.departed", location={"detail": {"x": "Łódź"}})
DELIVERED = stored(NOON + timedelta(hours=2), "d", "shipment.delivered")
RETRACTION = stored(NOON + timedelta(hours=3), "r", retracts="d")
STORY = (PICKED_UP, MOVING, DELIVERED, RETRACTION)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker_module, "pauses", lambda: itertools.repeat(0.0))


def closed() -> ConnectionClosedError:
    return ConnectionClosedError(endpoint_url="http://aws")


def numbers(records: Sequence[dict[str, Any]]) -> list[str]:
    return [record["dynamodb"]["SequenceNumber"] for record in records]


def unsettled(tracking: Tracking) -> list[str]:
    return [number for number, _ in tracking.unsettled]


class TestStates:
    def test_follow_the_events_and_every_change_is_announced(self) -> None:
        world = World()
        for event in STORY:
            tracking = world.track([world.store(event)])
            assert not tracking.unsettled
        assert world.state() == oracle.attributes(STORY)
        assert world.statuses == ["picked_up", "in_transit", "delivered", "in_transit"]
        assert "delivered_at" not in world.tables.shipments["S-1"]
        assert world.tables.shipments["S-1"]["version"] == {"N": "4"}

    def test_batch_of_many_shipments_is_folded_record_by_record(self) -> None:
        world = World()
        records = [world.store(event, f"S-{number}") for event in STORY[:3] for number in range(30)]
        tracking = world.track(records)
        assert len(tracking.folded) == 90
        assert all(world.state(f"S-{number}") == oracle.attributes(STORY[:3]) for number in range(30))
        assert len(world.statuses) == 90

    def test_repeats_change_nothing_and_write_nothing(self) -> None:
        world = World()
        records = [world.store(event) for event in STORY[:2]]
        world.track(records)
        before, announced = world.tables.shipments.copy(), list(world.bus.accepted)
        world.calls.made.clear()
        assert len(world.track(records).folded) == 2
        assert world.calls.made == ["BatchGetItem"]
        assert (world.tables.shipments, world.bus.accepted) == (before, announced)

    def test_only_inserts_of_events_count(self) -> None:
        world = World()
        conflict = stored(NOON, "x", "shipment.delivered", status="CONFLICT")
        records = [world.record(item_of(PICKED_UP), name) for name in ("MODIFY", "REMOVE")]
        tracking = world.track([*records, world.record(item_of(conflict))])
        assert (tracking.skipped, world.calls.made) == (3, [])

    def test_location_with_any_keys_survives(self) -> None:
        world = World()
        for event in (MOVING, stored(NOON, "late", "shipment.picked_up")):
            world.track([world.store(event)])
        assert world.state()["latest_event"]["location"] == {"detail": {"x": "Łódź"}}


class TestCost:
    def test_is_one_read_one_write_for_25_shipments_and_tens_of_changes(self) -> None:
        world = World()
        world.track([world.store(PICKED_UP, f"S-{number}") for number in range(90)])
        world.calls.made.clear()
        records = [world.store(MOVING, f"S-{number}") for number in range(90)]
        records += [world.store(DELIVERED, f"S-{number}") for number in range(10)]
        assert len(world.track(records).folded) == 100
        assert world.calls.counts == {"BatchGetItem": 1, "PutEvents": 10, "BatchExecuteStatement": 4}

    def test_event_that_is_no_transition_announces_nothing(self) -> None:
        world = World()
        world.track([world.store(PICKED_UP)])
        world.calls.made.clear()
        world.track([world.store(stored(NOON + timedelta(minutes=1), "scan", "shipment.scanned"))])
        assert world.calls.counts == {"BatchGetItem": 1, "BatchExecuteStatement": 1}

    def test_text_that_stays_is_not_sent_again(self) -> None:
        world = World()
        for hour in (1, 2):
            at = NOON + timedelta(hours=hour)
            world.track([world.store(stored(at, f"e-{hour}", "shipment.departed", carrier="UPS"))])
        first, second = map(set, world.tables.written)
        assert first - second == {"status", "first_at", "carrier", "open"}
        assert world.state()["carrier"] == "UPS"

    def test_map_that_only_python_takes_for_the_same_is_sent(self) -> None:
        world = World()
        world.track([world.store(stored(NOON, "e", "shipment.departed", location={"gate": 1}))])
        table = world.tracker().shipments
        found = table.read(["S-1"])["S-1"]
        assert isinstance(found, Found)
        assert found.tracked
        summary = {**found.values["latest_event"], "location": {"gate": True}}
        assert summary == found.values["latest_event"]
        there = replace(found, values={**found.values, "latest_event": summary})
        assert '\\"latest_event\\"=?' in table.statement(found.tracked, there)

    def test_shipment_is_read_for_its_first_event_and_a_retraction_alone(self) -> None:
        world = World()
        for event, queries in zip(STORY, (1, 0, 0, 2), strict=True):
            world.calls.made.clear()
            world.track([world.store(event)])
            # In pages of three.
            assert world.calls.counts["Query"] == queries


class TestFaults:
    def test_throttled_statements_alone_are_written_again(self) -> None:
        world = World()
        world.tables.statement_codes = [{1: "ThrottlingError", 2: "InternalServerError"}]
        records = [world.store(PICKED_UP, f"S-{number}") for number in range(4)]
        assert len(world.track(records).folded) == 4
        assert world.calls.counts["BatchExecuteStatement"] == 2
        assert world.calls.counts["BatchGetItem"] == world.calls.counts["PutEvents"] == 1
        assert all(world.state(f"S-{number}")["status"] == "picked_up" for number in range(4))

    def test_partial_failures_of_the_bus_alone_are_sent_again(self) -> None:
        world = World()
        world.bus.codes = [{0: "ThrottlingException", 7: "InternalFailure"}]
        records = [world.store(PICKED_UP, f"S-{number}") for number in range(10)]
        assert len(world.track(records).folded) == 10
        assert len(world.change_ids) == len(set(world.change_ids)) == 10

    def test_change_that_cannot_be_announced_keeps_its_record_and_its_state(self) -> None:
        world = World()
        world.bus.codes = [{1: "ThrottlingException"}]
        records = [world.store(PICKED_UP, f"S-{number}") for number in range(3)]
        tracking = world.track(records, budget=0)
        assert tracking.unsettled == [(numbers(records)[1], "not announced: ThrottlingException")]
        assert sorted(world.tables.shipments) == ["S-0", "S-2"]
        # Lambda sends again from the failed one on.
        assert not world.track(records[1:]).unsettled
        assert len(world.change_ids) == len(set(world.change_ids)) == 3

    def test_unprocessed_keys_are_read_again(self) -> None:
        world = World()
        world.tables.unprocessed = [2, 1]
        records = [world.store(PICKED_UP, f"S-{number}") for number in range(3)]
        assert len(world.track(records).folded) == 3
        assert world.calls.counts["BatchGetItem"] == 3
        assert len(world.change_ids) == 3

    def test_half_an_answer_proves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        world.track([world.store(PICKED_UP)])
        monkeypatch.setattr(world.tables, "batch_get_item", lambda **_: {"Responses": {}})
        tracking = world.track([world.store(MOVING)], budget=0)
        assert [why for _, why in tracking.unsettled] == ["IncompleteResponse"]

    @pytest.mark.parametrize("fault", [closed, lambda: client_error("ThrottlingException")])
    @pytest.mark.parametrize("acted", [False, True])
    def test_every_call_may_fail_once(self, fault: Callable[[], Exception], acted: bool) -> None:
        for index in range(9):
            world = World()
            (world.calls.after if acted else world.calls.before)[index] = fault()
            for event in STORY:
                assert not world.track([world.store(event)]).unsettled
            assert world.state() == oracle.attributes(STORY)
            assert world.statuses[-1] == "in_transit"
            assert len(set(world.change_ids)) == 4

    def test_lost_race_is_folded_again_into_the_winners_state(self) -> None:
        world = World()
        world.track([world.store(PICKED_UP)])
        mine, others = world.store(MOVING), world.store(DELIVERED)
        world.tables.before_write = [lambda: world.track([others])]
        tracking = world.track([mine])
        assert (len(tracking.folded), tracking.lost_races) == (1, 1)
        assert world.state() == oracle.attributes(STORY[:3])
        last = max(world.bus.accepted, key=lambda change: change[1]["at"])
        assert last[1]["status"] == "delivered"

    def test_lost_race_for_a_new_shipment(self) -> None:
        world = World()
        mine, others = world.store(PICKED_UP), world.store(DELIVERED)
        world.tables.before_write = [lambda: world.track([others])]
        assert world.track([mine]).lost_races == 1
        assert world.state() == oracle.attributes([PICKED_UP, DELIVERED])

    def test_state_that_is_gone_is_made_anew(self) -> None:
        world = World()
        world.track([world.store(PICKED_UP)])
        world.tables.before_write = [world.tables.shipments.clear]
        assert not world.track([world.store(MOVING)]).unsettled
        assert world.state() == oracle.attributes(STORY[:2])

    def test_lost_races_without_end_leave_the_record_to_come_again(self) -> None:
        world = World()
        world.track([world.store(PICKED_UP)])
        world.tables.statement_codes = [{0: "ConditionalCheckFailed"}] * 1000
        records = [world.store(MOVING)]
        tracking = world.track(records, budget=0.2)
        assert tracking.unsettled == [(numbers(records)[0], "Overtaken")]

    def test_function_without_time_sends_nothing_more(self) -> None:
        world = World()
        records = [world.store(PICKED_UP)]
        tracking = world.track(records, seconds=10)
        assert unsettled(tracking) == numbers(records)
        assert set(world.calls.made) <= {"BatchGetItem", "Query"}


class TestFailures:
    def test_unfoldable_record_is_reported_and_stops_no_other(self) -> None:
        world = World()
        broken = item_of(MOVING) | {"detail": {"S": "text"}}
        records = [world.store(PICKED_UP), world.record(broken), world.store(DELIVERED)]
        tracking = world.track(records)
        assert (len(tracking.folded), len(tracking.unfoldable)) == (2, 1)
        assert world.state() == oracle.attributes([PICKED_UP, DELIVERED])
        (failure,) = world.failures.bodies
        assert (failure["shipment_id"], failure["event_timestamp"]) == ("S-1", MOVING.sort_key)
        assert "expected an item with an event" in failure["reason"]

    def test_record_that_could_not_be_reported_comes_again(self) -> None:
        world = World()
        world.failures.refused = True
        record = world.record(item_of(MOVING) | {"detail": {"S": "text"}})
        tracking = world.track([record])
        assert tracking.unsettled == [(numbers([record])[0], "failure not reported: ServiceUnavailable")]
        assert not tracking.unfoldable

    def test_record_for_whose_report_there_is_no_time_comes_again(self) -> None:
        world = World()
        records = [world.record(item_of(MOVING, f"S-{n}") | {"detail": {"S": "text"}}) for n in range(30)]
        tracking = world.tracker().track(records, lambda: 5.0 if world.failures.bodies else 60.0)
        assert (len(tracking.unfoldable), len(world.failures.bodies)) == (10, 10)
        assert sorted(tracking.unsettled) == [
            (number, "failure not reported: OutOfTime") for number in numbers(records[10:])
        ]

    def test_foreign_state_is_reported(self) -> None:
        world = World()
        world.tables.shipments["S-1"] = {"shipment_id": {"S": "S-1"}}
        tracking = world.track([world.store(PICKED_UP), world.store(PICKED_UP, "S-2")])
        assert (len(tracking.folded), len(tracking.unfoldable)) == (1, 1)
        assert "expected the state of a shipment" in world.failures.bodies[0]["reason"]

    def test_state_that_the_table_refuses_is_reported_alone(self) -> None:
        world = World()
        world.tables.refuses = lambda item: item["shipment_id"]["S"] == "S-2"
        tracking = world.track([world.store(PICKED_UP, f"S-{number}") for number in range(5)])
        assert (len(tracking.folded), len(tracking.unfoldable)) == (4, 1)
        assert world.failures.bodies[0]["shipment_id"] == "S-2"

    def test_defect_of_ours_is_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any) -> None:
            raise ZeroDivisionError("".join(["sec", "ret"]))

        monkeypatch.setattr(tracker_module, "fold_records", broken)
        world = World()
        (one,) = world.track([world.store(PICKED_UP)]).unfoldable
        assert "ZeroDivisionError" in world.failures.bodies[0]["reason"]
        assert "ZeroDivisionError" in one.trace
        assert "secret" not in one.trace + json.dumps(world.failures.bodies)

    def test_defect_of_ours_in_one_shipment_stops_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wherever it is: folding, announcing or writing."""
        for module, name in ((batch, "entry_of"), (store, "tracked_item"), (tracker_module, "correct")):
            world, intact = World(), getattr(module, name)

            def broken(first: Any, *rest: Any, intact: Any = intact) -> Any:
                if "S-2" in repr(first):
                    raise ZeroDivisionError
                return intact(first, *rest)

            with monkeypatch.context() as patch:
                patch.setattr(module, name, broken)
                tracking = world.track([world.store(PICKED_UP, f"S-{number}") for number in range(4)])
            assert (len(tracking.folded), len(tracking.unfoldable)) == (3, 1)
            assert world.failures.bodies[0]["shipment_id"] == "S-2"

    def test_event_that_a_reading_cannot_fold_is_reported_once(self) -> None:
        """It is older than the stream, so that its own record will not come."""
        world = World(clock=lambda: NOON + timedelta(hours=25))
        broken = item_of(MOVING) | {"processing": {"M": {"stored_at": {"S": text(NOON)}}}}
        world.tables.events["S-1"] = [broken]
        world.failures.refused = True
        record = world.store(PICKED_UP)
        tracking = world.track([record], budget=0)
        assert [why for _, why in tracking.unsettled] == ["failure not reported: ServiceUnavailable"]
        assert not world.tables.shipments, "a later reading would not be the first"
        world.failures.refused = False
        tracking = world.track([record])
        assert (len(tracking.folded), tracking.unreadable_events) == (1, 1)
        assert tracking.unreadable_event
        assert tracking.unreadable_event.sort_key == MOVING.sort_key
        world.track([world.store(RETRACTION)])
        (failure,) = world.failures.bodies
        assert (failure["shipment_id"], failure["event_timestamp"]) == ("S-1", MOVING.sort_key)

    def test_event_that_a_reading_cannot_fold_is_reported_by_its_own_record_if_that_comes(self) -> None:
        world = World()
        stored_at = {"M": {"stored_at": {"S": text(NOON)}}}
        broken = item_of(MOVING) | {"processing": stored_at}
        world.tables.events["S-1"] = [broken]
        world.track([world.store(PICKED_UP)])
        assert world.failures.bodies == []
        world.track([world.record(broken)])
        assert [failure["event_timestamp"] for failure in world.failures.bodies] == [MOVING.sort_key]

    def test_many_events_that_a_reading_cannot_fold_are_counted(self) -> None:
        world = World()
        events = [stored(NOON + timedelta(minutes=number), "b") for number in range(30)]
        world.tables.events["S-1"] = [item_of(event) | {"processing": {"S": "text"}} for event in events]
        world.track([world.store(PICKED_UP)])
        *_, last = world.failures.bodies
        assert len(world.failures.bodies) == 11
        assert (last["event_timestamp"], "got 30 others" in last["reason"]) == ("", True)

    @pytest.mark.parametrize("code", ["InvalidArgument", "MalformedDetail", "RedactionFailure"])
    def test_change_that_the_bus_refuses_is_reported_and_stops_no_other(self, code: str) -> None:
        world = World()
        world.bus.codes = [{1: code}]
        tracking = world.track([world.store(PICKED_UP, f"S-{number}") for number in range(3)])
        assert (len(tracking.folded), len(tracking.unfoldable), tracking.unsettled) == (2, 1, [])
        assert sorted(world.tables.shipments) == ["S-0", "S-2"]
        (failure,) = world.failures.bodies
        assert (failure["shipment_id"], failure["event_timestamp"]) == ("S-1", PICKED_UP.sort_key)
        assert failure["reason"] == f"expected a change that the bus accepts, got {code}"

    def test_request_that_the_bus_refuses_is_split_until_one_change_is_reported(self) -> None:
        world = World()
        world.bus.refuses = lambda detail: detail["shipment_id"] == "S-1"
        tracking = world.track([world.store(PICKED_UP, f"S-{number}") for number in range(3)])
        assert (len(tracking.folded), len(tracking.unfoldable), tracking.unsettled) == (2, 1, [])

    @pytest.mark.parametrize("code", ["AccessDeniedException", "NotAuthorizedForSourceException", "Unknown"])
    def test_change_that_the_stage_may_not_announce_waits_for_the_repair(self, code: str) -> None:
        world = World()
        world.bus.codes = [{1: code}] * 1000
        tracking = world.track([world.store(PICKED_UP, f"S-{number}") for number in range(3)], budget=0)
        assert [why for _, why in tracking.unsettled] == [f"not announced: {code}"]

    def test_statement_that_the_table_refuses_is_reported_alone(self) -> None:
        world = World()
        world.tables.statement_codes = [{1: "ValidationError"}]
        tracking = world.track([world.store(PICKED_UP, f"S-{number}") for number in range(3)])
        assert (len(tracking.folded), len(tracking.unfoldable), tracking.unsettled) == (2, 1, [])
        assert "expected a state that the table accepts" in world.failures.bodies[0]["reason"]

    @pytest.mark.parametrize("bound", ["MAX_SECONDS", "MAX_NEWS_BYTES"])
    def test_shipment_that_cannot_be_read_is_reported(
        self, bound: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World()
        tracking = world.track([world.store(PICKED_UP, "S-2")])
        monkeypatch.setattr(history, bound, 0)
        tracking = world.track([world.store(PICKED_UP), world.store(MOVING, "S-2")])
        assert (len(tracking.folded), len(tracking.unfoldable), tracking.unsettled) == (1, 1, [])

    def test_batch_with_more_readings_than_time_makes_progress(self) -> None:
        world = World()
        records = [world.store(PICKED_UP, f"S-{number}") for number in range(20)]
        tracking = world.tracker(budget=0).track(records, lambda: 60 - 5 * world.calls.counts["Query"])
        assert 1 <= len(tracking.folded) < 20
        assert unsettled(tracking) == numbers(records)[len(tracking.folded) :]

    @pytest.mark.parametrize("shipment_id", ["\x00\x1f￾", "ü" * 1024, "'\"#?"])
    def test_any_id_is_tracked_and_reported(self, shipment_id: str) -> None:
        world = World()
        broken = item_of(MOVING, shipment_id) | {"detail": {"S": "text"}}
        tracking = world.track([world.store(PICKED_UP, shipment_id), world.record(broken)])
        assert (len(tracking.folded), len(tracking.unfoldable)) == (1, 1)
        assert world.failures.bodies[0]["shipment_id"] == shipment_id
        assert world.state(shipment_id)["status"] == "picked_up"


def deliver(world: World, batches: Sequence[Sequence[dict[str, Any]]]) -> int:
    """Deliver batches as Lambda does: again from the lowest failed record on, all where the function dies."""
    deaths = 0
    for records in batches:
        left = list(records)
        while left:
            try:
                failed = unsettled(world.track(left))
            except KilledError:
                deaths += 1
                continue
            left = left[min(map(numbers(left).index, failed)) :] if failed else []
    return deaths


def story(world: World) -> list[list[dict[str, Any]]]:
    """Batches with transitions, repeats, a retraction, and a shipment that is in all of them."""
    first = [world.store(PICKED_UP, f"S-{number}") for number in range(26)]
    second = [world.store(event, "S-1") for event in (MOVING, DELIVERED)]
    return [first, [*second, *first[:3]], [world.store(RETRACTION, "S-1")]]


@pytest.mark.parametrize("acted", [False, True], ids=["before the call", "after it"])
def test_kill_at_any_call_leaves_right_states_and_loses_no_change(acted: bool) -> None:
    calm = World()
    deliver(calm, story(calm))
    details = {detail["change_id"]: detail for _, detail in calm.bus.accepted}
    assert len(calm.calls.made) >= 20
    for index in range(len(calm.calls.made)):
        world = World()
        (world.calls.after if acted else world.calls.before)[index] = KilledError()
        assert deliver(world, story(world)) == 1
        assert [world.state(f"S-{n}") for n in range(26)] == [calm.state(f"S-{n}") for n in range(26)]
        assert {detail["change_id"]: detail for _, detail in world.bus.accepted} == details
        assert all(detail == details[detail["change_id"]] for _, detail in world.bus.accepted)


def any_fault(world: World, random: Random, others: list[dict[str, Any]], *, kills: bool) -> None:
    """Something goes wrong with one of the next calls."""
    index = len(world.calls.made) + random.randint(0, 3)
    match random.randint(0 if kills else 2, 6):
        case 0:
            world.calls.before[index] = KilledError()
        case 1:
            world.calls.after[index] = KilledError()
        case 2:
            world.calls.after[index] = closed()
        case 3:
            world.tables.statement_codes.append({0: "ThrottlingError"})
        case 4:
            world.bus.codes.append({0: "ThrottlingException"})
        case 5:
            world.tables.lost_responses.append(1)
        case 6 if others:
            record = others.pop()
            world.tables.before_write.append(lambda: world.track([record]))


@settings(max_examples=25)
@given(st.lists(histories(max_size=6), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_states_are_right_whatever_goes_wrong(stories: list[list[StoredEvent]], random: Random) -> None:
    kills = random.random() < 0.5
    world = World(clock=lambda: NOON + timedelta(hours=7))
    ids = [f"S-{number}" for number in range(len(stories))]
    records = [world.store(event, one) for one, events in zip(ids, stories, strict=True) for event in events]
    random.shuffle(records)
    others = records[: len(records) // 3]
    queue = records[len(records) // 3 :]
    while queue:
        any_fault(world, random, others, kills=kills)
        size = random.randint(1, 5)
        deliver(world, [queue[:size]])
        queue = queue[size:]
    world.tables.before_write.clear()
    deliver(world, [others] if others else [])
    # Records of a race that was started and died come again, too.
    deliver(world, [records])
    for one, events in zip(ids, stories, strict=True):
        assert world.state(one) == oracle.attributes(events)
        told = [
            change
            for kind, change in world.bus.accepted
            if kind == "shipment.status_changed" and change["shipment_id"] == one
        ]
        if told and not kills:
            # Consumers order by `at`. A crash and a race in one may leave a void value as the last one.
            last_at = max(change["at"] for change in told)
            last = {change["status"] for change in told if change["at"] == last_at}
            assert last == {world.state(one).get("status")}
