"""A rebuild: it agrees with the tracker, finds what differs, and loses to nobody who writes beside it."""

import functools
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.rebuilding import examiner
from shipment_events.rebuilding.examined import Examined, Verdict
from shipment_events.rebuilding.rebuilder import Listener, Rebuilt
from shipment_events.table.item import StoredEvent
from shipment_events.tracking import step
from tests.stand_ins.fakes import client_error
from tests.tracking import oracle
from tests.tracking.histories import NOON, SHIPMENT, histories, stored
from tests.tracking.services import World

PICKED_UP = stored(NOON, "p", "shipment.picked_up", carrier="DHL")
MOVING = stored(NOON + timedelta(hours=1), "m", "shipment.departed", location={"city": "Łódź"})
DELIVERED = stored(NOON + timedelta(hours=2), "d", "shipment.delivered")
STORY = (PICKED_UP, MOVING, DELIVERED)


def tracked(*events: StoredEvent, world: World | None = None) -> World:
    world = world or World()
    for event in events:
        assert not world.track([world.store(event)]).unsettled
    return world


class Run:
    """One rebuild, and what it told."""

    def __init__(self, world: World, *ids: str, **options: Any) -> None:
        self.examined: list[Examined] = []
        listener = Listener(self.examined.append)
        rebuilder = world.rebuilder()
        self.counts: Rebuilt = (
            rebuilder.rebuild(ids, listener=listener, **options)
            if ids
            else rebuilder.rebuild_all(listener=listener, **options)
        )

    @property
    def verdicts(self) -> dict[str, int]:
        return {verdict.value: count for verdict, count in self.counts.verdicts.items() if count}

    @property
    def one(self) -> Examined:
        (examined,) = self.examined
        return examined


WAYS = pytest.mark.parametrize("ids", [(), (SHIPMENT,)], ids=["scan", "named"])


@WAYS
@given(events=histories(min_size=1), random=st.randoms(use_true_random=False))
def test_agrees_with_a_tracker_in_whatever_order_and_batches_the_records_came(
    ids: tuple[str, ...], events: list[StoredEvent], random: Random
) -> None:
    """All attributes, those that only the fold reads among them."""
    world = World()
    records = [world.store(event) for event in events]
    random.shuffle(records)
    while records:
        size = random.randint(1, len(records))
        world.track(records[:size])
        records = records[size:]
    run = Run(world, *ids, dry_run=True)
    assert run.verdicts == {"same": 1}, run.examined


@WAYS
@pytest.mark.parametrize("announce", [False, True])
@given(events=histories(min_size=1))
def test_fills_states_that_are_missing(
    ids: tuple[str, ...], announce: bool, events: list[StoredEvent]
) -> None:
    world = World()
    for event in events:
        world.store(event)
    counts = Run(world, *ids, announce=announce).counts
    assert world.state() == oracle.attributes(events)
    last = oracle.status_giver(oracle.timeline(events))
    assert world.statuses == ([last.status] if announce and last else [])
    assert counts.changes == len(world.bus.accepted)
    assert Run(world, *ids, announce=announce, dry_run=True).verdicts == {"same": 1}


@WAYS
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", {"S": "exception"}),
        ("delivered_at", None),
        ("open", {"S": "open"}),
        ("expires_at", {"N": "1"}),
    ],
)
def test_says_which_attribute_differs_and_mends_it(
    ids: tuple[str, ...], name: str, value: dict[str, str] | None
) -> None:
    world = tracked(*STORY)
    right = world.tables.shipments[SHIPMENT]
    wrong = {key: one for key, one in {**right, name: value}.items() if one}
    world.tables.shipments[SHIPMENT] = wrong

    run = Run(world, *ids, dry_run=True)
    assert (run.one.verdict, list(run.one.attributes)) == (Verdict.DIFFERENT, [name])
    assert world.tables.shipments[SHIPMENT] is wrong

    assert Run(world, *ids).verdicts == {"rebuilt": 1}
    assert {**world.tables.shipments[SHIPMENT], "version": 0} == {**right, "version": 0}
    assert len(world.bus.accepted) == len(STORY), "a rebuild announces nothing"


@WAYS
@pytest.mark.parametrize("days", [1, 90])
def test_another_retention_of_the_stage_is_no_difference(ids: tuple[str, ...], days: int) -> None:
    """Each state would differ after a deployment that changes the retention."""
    rebuilder = tracked(*STORY).rebuilder(timedelta(days=days))
    counts = rebuilder.rebuild(ids, dry_run=True) if ids else rebuilder.rebuild_all(dry_run=True)
    assert +counts.verdicts == {Verdict.SAME: 1}


def test_difference_that_is_gone_at_the_second_reading_is_not_reported() -> None:
    """The tracker was about to write."""
    world = tracked(PICKED_UP)
    record = world.store(MOVING)
    rebuilder = world.rebuilder()
    looks = []

    def sleep(_: float) -> None:
        looks.append(world.state()["status"])
        world.track([record])

    counts = type(rebuilder)(
        rebuilder.shipments, rebuilder.events, rebuilder.scan, rebuilder.announcer, rebuilder.clock, sleep
    ).rebuild_all(dry_run=True)
    assert counts.verdicts == {Verdict.SAME: 1}
    assert looks == ["picked_up"]


@WAYS
def test_lost_race_is_read_again(ids: tuple[str, ...]) -> None:
    world = tracked(PICKED_UP)
    world.store(MOVING)
    record = world.store(DELIVERED)
    world.tables.before_write.append(lambda: world.track([record]))
    counts = Run(world, *ids).counts
    assert world.state() == oracle.attributes(STORY)
    assert counts.lost_races == 1


@WAYS
def test_another_rebuild_at_once_changes_nothing(ids: tuple[str, ...]) -> None:
    world = World()
    for event in STORY:
        world.store(event)
    world.tables.before_write.append(lambda: Run(world, SHIPMENT))
    run = Run(world, *ids)
    assert (run.counts.lost_races, run.verdicts) == (1, {"same": 1})
    assert world.tables.shipments[SHIPMENT]["version"] == {"N": "1"}


def test_events_that_are_stored_after_the_scan_read_them_are_kept() -> None:
    """A state must never be replaced by one with fewer events."""
    world = tracked(PICKED_UP)
    world.store(MOVING)
    later = [DELIVERED]
    read = world.tables._scan

    def scan(**request: Any) -> Any:
        for page in list(read(**request)):
            yield page
            if later and page["Items"]:
                tracked(later.pop(), world=world)

    world.tables._scan = scan  # type: ignore[method-assign]
    Run(world)
    assert world.state() == oracle.attributes(STORY)


def test_answer_that_was_lost_after_the_write_counts_as_rebuilt() -> None:
    world = World()
    for event in STORY:
        world.store(event)
    # Scan of 32 segments, then the state, then state and events again, then the write.
    world.tables.lost_responses.append(1)
    assert Run(world).verdicts == {"rebuilt": 1}
    assert world.tables.shipments[SHIPMENT]["version"] == {"N": "1"}


def test_marks_of_the_watcher_and_values_of_expired_events_stay() -> None:
    now = [NOON + timedelta(hours=4)]
    world = tracked(PICKED_UP, MOVING, world=World(clock=lambda: now[0]))
    item = world.tables.shipments[SHIPMENT]
    item["memory"]["M"]["marks"] = {"M": {"stalled": {"S": "x"}}}
    before = world.state()
    now[0] += timedelta(days=91)
    del world.tables.events[SHIPMENT][0]
    assert Run(world, SHIPMENT).verdicts == {"same": 1}
    item["status_at"] = {"S": "2000-01-01T00:00:00.000000Z"}
    assert Run(world, SHIPMENT).verdicts == {"rebuilt": 1}
    assert world.state() == before
    assert world.tables.shipments[SHIPMENT]["memory"]["M"]["marks"] == {"M": {"stalled": {"S": "x"}}}


@WAYS
def test_item_that_is_no_event_is_named_with_its_reason(ids: tuple[str, ...]) -> None:
    world = tracked(*STORY)
    world.tables.events[SHIPMENT].append({"shipment_id": {"S": SHIPMENT}, "event_timestamp": {"S": "today"}})
    run = Run(world, *ids, dry_run=True)
    assert (run.verdicts, run.counts.unfoldable) == ({"same": 1}, 1)
    assert (run.one.unfoldable[0].sort_key, bool(run.one.unfoldable[0].reason)) == ("today", True)


def test_state_that_the_tracker_did_not_write_is_an_error_with_what_to_do() -> None:
    world = tracked(*STORY)
    world.tables.shipments[SHIPMENT] = {"shipment_id": {"S": SHIPMENT}}
    run = Run(world)
    assert run.one.verdict is Verdict.FAILED
    assert f"Delete the item from {world.rebuilder().shipments.name}" in run.one.why


def test_shipment_with_too_many_events_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    world = tracked(*STORY)
    monkeypatch.setattr("shipment_events.rebuilding.histories.MAX_EVENTS", 2)
    for ids in ((), (SHIPMENT,)):
        assert Run(world, *ids, dry_run=True).verdicts == {"failed": 1}


def test_defect_in_the_fold_stops_no_other_shipment(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for shipment in ("bad", "good"):
        world.store(PICKED_UP, shipment)
    fold = step.fold_records

    def broken(shipment_id: str, *rest: Any) -> Any:
        if shipment_id == "bad":
            raise KeyError("secret")
        return fold(shipment_id, *rest)

    monkeypatch.setattr(examiner, "fold_records", broken)
    run = Run(world)
    assert run.verdicts == {"failed": 1, "rebuilt": 1}
    assert [one.why for one in run.examined if one.why] == [
        "expected to fold it, got KeyError in the tracker's own code"
    ]


@WAYS
def test_scan_that_separates_a_shipments_events_finds_the_same(ids: tuple[str, ...]) -> None:
    world = World()
    world.tables.is_together = False
    shipments = [f"S-{number}" for number in range(40)]
    for shipment in shipments:
        tracked(world=world)
        for event in STORY:
            world.track([world.store(event, shipment)])
    assert Run(world, *(ids and shipments), dry_run=True).verdicts.keys() == {"same"}
    del world.tables.shipments["S-7"]["delivered_at"]
    run = Run(world, *(ids and shipments))
    assert {one.shipment_id for one in run.examined} == {"S-7"}
    assert world.state("S-7") == oracle.attributes(STORY)


class TestAnnouncing:
    def test_announces_what_a_failed_record_would_have(self) -> None:
        world, other = tracked(PICKED_UP), tracked(*STORY)
        world.store(MOVING)
        world.store(DELIVERED)
        run = Run(world, SHIPMENT, announce=True)
        assert world.statuses == ["picked_up", "delivered"]
        assert world.change_ids == [other.change_ids[0], other.change_ids[2]], (
            "the ids that the tracker gives"
        )
        assert [change.status for change in run.one.changes] == ["delivered"]
        assert Run(world, SHIPMENT, announce=True).verdicts == {"same": 1}
        assert len(world.bus.accepted) == 2

    def test_dry_run_says_what_would_be_announced(self) -> None:
        world = tracked(PICKED_UP)
        world.store(DELIVERED)
        run = Run(world, SHIPMENT, announce=True, dry_run=True)
        assert (run.counts.changes, world.statuses) == (1, ["picked_up"])

    def test_state_is_not_written_before_its_change_is_on_the_bus(self) -> None:
        world = tracked(PICKED_UP)
        world.store(DELIVERED)
        world.bus.codes = [{0: "InternalFailure"}] * 20
        run = Run(world, SHIPMENT, announce=True)
        assert (run.one.verdict, run.one.why) == (Verdict.FAILED, "not announced: InternalFailure")
        assert world.state()["status"] == "picked_up"

    def test_change_of_a_lost_race_is_followed_by_the_current_one(self) -> None:
        """Announced, then overtaken by a retraction of the event that gave the value."""
        retraction = stored(NOON + timedelta(hours=3), "r", retracts="d")
        world = tracked(PICKED_UP)
        world.store(DELIVERED)
        record = world.store(retraction)
        del world.tables.events[SHIPMENT][-1]

        def overtake() -> None:
            world.tables.events[SHIPMENT].append(record["dynamodb"]["NewImage"])
            world.track([record])

        world.tables.before_write.append(overtake)
        Run(world, SHIPMENT, announce=True)
        last = max(world.bus.accepted, key=lambda one: one[1]["at"])[1]
        assert (last["status"], world.state()["status"]) == ("picked_up", "picked_up")


def raise_(error: Exception, **_: Any) -> Any:
    raise error


def many(count: int = 500) -> World:
    world = World()
    for number in range(count):
        world.store(PICKED_UP, f"S-{number}")
    return world


def test_interrupt_tells_what_was_done_and_the_next_run_does_the_rest() -> None:
    world = many()
    seen: list[Examined] = []

    def interrupt(examined: Examined) -> None:
        seen.append(examined)
        if len(seen) == 50:
            raise KeyboardInterrupt

    counts = world.rebuilder().rebuild_all(listener=Listener(interrupt))
    assert counts.interrupted
    assert len(world.tables.shipments) < 500
    again = Run(world).counts
    assert len(world.tables.shipments) == 500
    assert again.verdicts[Verdict.SAME] + again.verdicts[Verdict.REBUILT] == 500


@pytest.mark.parametrize(
    "error", [client_error("AccessDeniedException"), ConnectionClosedError(endpoint_url="x")]
)
def test_scan_that_fails_ends_the_rebuild_with_its_error(error: Exception) -> None:
    world = many(5)
    world.tables._scan = functools.partial(raise_, error)  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        Run(world)


def test_shipment_that_cannot_be_read_now_is_tried_again_and_then_named() -> None:
    world = many(3)
    world.tables.unprocessed = [1]
    assert Run(world, "S-0", "S-1", "S-2").verdicts == {"rebuilt": 3}
    world.tables.unprocessed = [1] * 50
    run = Run(world, "S-0", "S-1")
    assert run.verdicts == {"same": 1, "failed": 1}
    assert run.one.why == "UnprocessedKeys"


def test_shipment_that_nobody_knows_is_absent() -> None:
    assert Run(World(), "S-404").verdicts == {"absent": 1}


def test_size_is_the_tables() -> None:
    size = many(7).rebuilder().size()
    assert (size.items, size.read_units) == (7, 2)


def test_memory_does_not_grow_with_the_table() -> None:
    """A batch ends at a number of shipments and of events."""
    world = many(900)
    sizes: list[int] = []
    read = world.tables.batch_get_item

    def batch_get_item(**request: Any) -> Any:
        sizes.append(sum(len(one["Keys"]) for one in request["RequestItems"].values()))
        return read(**request)

    world.tables.batch_get_item = batch_get_item  # type: ignore[method-assign]
    Run(world)
    assert max(sizes) <= 100
