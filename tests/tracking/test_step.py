"""What is announced: each transition at least once with equal ids on repeats, and nothing of late events."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shipment_events.contract.exact_json import dumps, loads
from shipment_events.table.item import StoredEvent
from shipment_events.tracking.changes import SUBJECTS, Change, Kind
from shipment_events.tracking.item import tracked_of
from shipment_events.tracking.news import sort_key_at
from shipment_events.tracking.schema import change_schema
from shipment_events.tracking.step import Tracked, announce_rest, fold_records
from tests.tracking import oracle
from tests.tracking.announced import FIELDS, check
from tests.tracking.histories import NOON, SHIPMENT, histories, stored, text
from tests.tracking.small_tracker import GrowingTable, SmallTracker, news_in, read


class Transition(NamedTuple):
    """A change of the status that had to be announced, as brute force finds it."""

    cause: StoredEvent
    status: str | None
    previous: str | None
    first_time: bool


def in_stored_order(events: Sequence[StoredEvent]) -> list[StoredEvent]:
    """The events, stored one after the other."""
    return [
        replace(event, stored_at=text(NOON + timedelta(minutes=number)))
        for number, event in enumerate(events)
    ]


def transitions(events: Sequence[StoredEvent]) -> list[Transition]:
    """Where the status changes while the set of stored events grows, one by one."""
    found, before = [], None
    for number, event in enumerate(events, 1):
        line = oracle.timeline(events[:number])
        giver = oracle.status_giver(line)
        status = giver.status if giver else None
        if status != before:
            first = giver is not None and oracle.is_first_time(line, giver)
            found.append(Transition(event, status, before, first))
        before = status
    return found


def in_batches(events: list[StoredEvent], random: Random) -> list[list[StoredEvent]]:
    """The events shuffled and split."""
    random.shuffle(events)
    batches = []
    while events:
        size = random.randint(1, 4)
        batches.append(events[:size])
        events = events[size:]
    return batches


def of_status(changes: Sequence[Change]) -> list[Change]:
    return [change for change in changes if change.kind is Kind.STATUS_CHANGED]


@settings(max_examples=25)
@given(histories(), st.randoms(use_true_random=False))
def test_records_one_by_one_are_announced_as_they_were_stored(
    events: list[StoredEvent], random: Random
) -> None:
    events, tracker = in_stored_order(events), SmallTracker()
    for number, event in enumerate(events, 1):
        # However far a reading is ahead of the records.
        tracker.take([event], events[: random.randint(number, len(events))])
    assert [
        (change.event_id, change.status, change.previous_status, change.first_time)
        for change in of_status(tracker.announced)
    ] == [(had.cause.event_id, had.status, had.previous, had.first_time) for had in transitions(events)]


@settings(max_examples=25)
@given(histories(odd=False), st.randoms(use_true_random=False))
def test_every_transition_in_stored_order_is_announced_from_any_batches(
    events: list[StoredEvent], random: Random
) -> None:
    """By its own event, or by an earlier one of the batch that gave the same status already.

    A batch is folded in the order of the events, so a change to a status may be put down to an event that was
    stored later but lies between the value before and the event that brought the change in stored order.
    """
    events, tracker, number = in_stored_order(events), SmallTracker(), 0
    while number < len(events):
        begin, number = number, min(number + random.randint(1, 4), len(events))
        tracker.take(events[begin:number], events[: random.randint(number, len(events))])
    place = {one.sort_key: one.order for one in oracle.timeline(events)}
    causes = [
        (change.status, place[sort_key_at(change.cause.place)]) for change in of_status(tracker.announced)
    ]
    for number, event in enumerate(events):
        before = oracle.status_giver(oracle.timeline(events[:number]))
        giver = oracle.status_giver(oracle.timeline(events[: number + 1]))
        if giver and giver.status != (before.status if before else None):
            assert any(
                status == giver.status and order <= giver.order and (not before or before.order < order)
                for status, order in causes
            ), (event, causes)


@settings(max_examples=25)
@given(histories(), st.randoms(use_true_random=False))
def test_present_value_is_announced_from_any_order_with_crashes_and_lost_races(
    events: list[StoredEvent], random: Random
) -> None:
    batches = in_batches(events + random.sample(events, len(events) // 2), random)
    tracker, table = SmallTracker(), GrowingTable(events, random)
    while batches:
        batch, lost = batches.pop(), list[Change]()
        if random.random() < 0.3:
            # It comes again before any other, and a reading shows nothing more that was stored by then.
            tracker.take(batch, table.with_all(batch), crash=True)
            tracker.take(batch, table.with_all(batch, 0))
            continue
        while batches and random.random() < 0.3:
            lost += tracker.take(batch, table.with_all(batch), crash=True)
            other = batches.pop()
            tracker.take(other, table.with_all(other))
        tracker.take(batch, table.with_all(batch), lost=lost)
    if not tracker.item:
        return
    for subject in SUBJECTS:
        value = subject.value(tracker.tracked.state)
        assert tracker.tracked.announced[subject.name].value == value
        told = [change for change in tracker.announced if change.kind is subject.kind]
        assert told or value is None
        if told:
            # Consumers order by `at`, and a repeat says nothing new.
            last_at = max(change.at for change in told)
            assert {getattr(change, subject.name) for change in told if change.at == last_at} == {value}


@settings(max_examples=50)
@given(histories(), st.randoms(use_true_random=False))
def test_changes_of_a_kind_have_a_total_order_by_at(events: list[StoredEvent], random: Random) -> None:
    batches, tracker, table = in_batches(list(events), random), SmallTracker(), GrowingTable(events, random)
    for batch in batches:
        tracker.take(batch, table.with_all(batch))
    for subject in SUBJECTS:
        order = [change.at for change in tracker.announced if change.kind is subject.kind]
        assert order == sorted(set(order))


@settings(max_examples=25)
@given(histories(), st.randoms(use_true_random=False))
def test_repeats_announce_the_same_ids_and_nothing_once_written(
    events: list[StoredEvent], random: Random
) -> None:
    events, number, tracker = in_stored_order(events), 0, SmallTracker()
    while number < len(events):
        begin, number = number, min(number + random.randint(1, 4), len(events))
        batch = events[begin:number]
        crashed = tracker.take(batch, events[: random.randint(number, len(events))], crash=True)
        again = tracker.take(batch, events[: random.randint(number, len(events))])
        assert crashed == again
        assert tracker.take(batch, events) == []
        assert len({change.change_id for change in again}) == len(again)


def steps(*batches: tuple[list[StoredEvent], list[StoredEvent]]) -> SmallTracker:
    tracker = SmallTracker()
    for batch, table in batches:
        tracker.take(batch, table)
    return tracker


def told_by(tracker: SmallTracker) -> list[tuple[str | None, str | None, bool | None, str]]:
    return [
        (change.status, change.previous_status, change.first_time, change.at[11:16])
        for change in of_status(tracker.announced)
    ]


PICKED_UP = stored(NOON, "p", "shipment.picked_up", stored_at=NOON)
MOVING = stored(NOON + timedelta(hours=1), "m", "shipment.departed", location={"city": "Łódź"})
DELIVERED = stored(NOON + timedelta(hours=2), "d", "shipment.delivered")


def test_late_event_that_changes_nothing_announces_nothing() -> None:
    late = replace(PICKED_UP, stored_at=text(NOON + timedelta(days=3)))
    tracker = steps(([DELIVERED], [DELIVERED]), ([late], [DELIVERED, late]))
    assert told_by(tracker) == [("delivered", None, True, "14:00")]


def test_batch_is_folded_in_the_order_of_its_events() -> None:
    tracker = steps(([PICKED_UP], [PICKED_UP]), ([DELIVERED, MOVING], []))
    assert [status for status, *_ in told_by(tracker)] == ["picked_up", "in_transit", "delivered"]


def test_late_event_of_a_shipment_without_a_state_is_not_announced_as_current() -> None:
    late = stored(NOON, "l", "shipment.departed", stored_at=NOON + timedelta(days=7))
    before = [PICKED_UP, DELIVERED]
    history = read([*before, late], NOON + timedelta(days=7))
    changes, tracked = fold_records(SHIPMENT, None, news_in([late]), history)
    assert changes == []
    assert tracked.state.status == "delivered"
    # Nor is the next event with the status that the history gave, as it changes nothing either.
    again = stored(NOON + timedelta(days=8), "e", "shipment.delivered")
    assert fold_records(SHIPMENT, tracked, news_in([again])).changes == []


def test_reading_ahead_of_the_records_loses_no_change() -> None:
    table = [PICKED_UP, MOVING, DELIVERED]
    tracker = steps(*(([event], table) for event in table))
    assert told_by(tracker) == [
        ("picked_up", None, True, "12:00"),
        ("in_transit", "picked_up", True, "13:00"),
        ("delivered", "in_transit", True, "14:00"),
    ]


def test_event_that_a_reading_showed_is_announced_with_its_own_record() -> None:
    """Its clock is a little behind, or its record is in another shard."""
    early = replace(DELIVERED, stored_at=PICKED_UP.stored_at)
    table = [PICKED_UP, early]
    tracker = steps(([PICKED_UP], table))
    assert told_by(tracker) == []
    assert tracker.attributes()["status"] == "delivered"
    tracker.take([early], table)
    tracker.take([early], table)
    assert told_by(tracker) == [("delivered", None, True, "14:00")]


def test_retraction_brings_the_old_value_back_as_another_change() -> None:
    retraction = stored(NOON + timedelta(hours=3), "r", retracts="d", location={"city": "Kraków"})
    table = [PICKED_UP, DELIVERED, retraction]
    tracker = steps(*(([event], table) for event in table))
    assert told_by(tracker)[-1] == ("picked_up", "delivered", True, "15:00")
    last = tracker.announced[-1]
    assert (last.event_id, last.location) == ("r", {"city": "Kraków"})
    assert last.change_id != tracker.announced[0].change_id


def test_retraction_of_the_only_status_says_that_there_is_none() -> None:
    retraction = stored(NOON + timedelta(hours=3), "r", retracts="d")
    tracker = steps(([DELIVERED], [DELIVERED]), ([retraction], [DELIVERED, retraction]))
    assert told_by(tracker)[-1] == (None, "delivered", False, "15:00")
    assert "delivered_at" not in tracker.attributes()


def test_changes_at_one_moment_are_a_microsecond_apart_in_any_batches() -> None:
    types = {"a": "shipment.picked_up", "b": "shipment.departed", "c": "shipment.delivered"}
    together = in_stored_order([stored(NOON, event_id, of_type) for event_id, of_type in types.items()])
    at = ["2025-03-01T12:00:00.000000Z", "2025-03-01T12:00:00.000001Z", "2025-03-01T12:00:00.000002Z"]
    for batches in ([together], [together[:1], together[1:]], [[event] for event in together]):
        tracker = steps(*((batch, together) for batch in batches))
        assert [(change.at, change.status) for change in tracker.announced] == list(
            zip(at, ["picked_up", "in_transit", "delivered"], strict=True)
        )


def test_retraction_dated_at_the_end_of_time_does_not_date_the_changes() -> None:
    """``at`` would be in the year 9999, and no later ``at`` exists."""
    end = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    retraction = stored(end, "r", stored_at=NOON + timedelta(hours=3), retracts="d")
    table = [PICKED_UP, DELIVERED, retraction]
    tracker = steps(*(([event], table) for event in table))
    tracker.take([stored(NOON + timedelta(hours=4), "x", "shipment.delivered")], [])
    assert told_by(tracker)[-2:] == [
        ("picked_up", "delivered", True, "15:00"),
        ("delivered", "picked_up", True, "16:00"),
    ]


def test_correction_of_a_lost_race_is_another_change_and_a_later_one() -> None:
    """The winner's change has the same moment. Its id would hide the correction from who drops repeats."""
    tracker = steps(([PICKED_UP], [PICKED_UP]))
    winner = stored(NOON + timedelta(hours=1), "w", "shipment.delivery_failed")
    lost = tracker.take([MOVING], [], crash=True)
    tracker.take([winner], [])
    tracker.take([MOVING], [], lost=lost)
    first, second, third = of_status(tracker.announced)[1:]
    assert (first.at, second.at) == (second.at, first.at)
    assert (third.status, third.event_id, third.at) == ("exception", "m", "2025-03-01T13:00:00.000001Z")
    assert third.change_id not in {first.change_id, second.change_id}


def test_changes_keep_their_order_though_a_retraction_is_dated_early() -> None:
    retraction = stored(NOON + timedelta(minutes=1), "r", retracts="d")
    table = [PICKED_UP, DELIVERED, retraction]
    tracker = steps(*(([event], table) for event in table))
    tracker.take([MOVING], [])
    assert told_by(tracker)[-2:] == [
        ("picked_up", "delivered", True, "14:00"),
        ("in_transit", "picked_up", True, "14:00"),
    ]
    assert tracker.tracked.announced["status"].last_at == "2025-03-01T14:00:00.000002Z"
    tracker.take([stored(NOON + timedelta(hours=5), "x", "shipment.delivered")], [])
    assert tracker.tracked.announced["status"].last_at == ""


def test_estimate_is_announced_when_its_moment_changes() -> None:
    estimates = ["2025-03-05T12:00:00+01:00", "2025-03-05T11:00Z", "soon", None, "2025-03-06T11:00Z"]
    events = [
        stored(NOON + timedelta(hours=n), f"e{n}", estimated_delivery=estimate)
        for n, estimate in enumerate(estimates)
    ]
    tracker = steps(*(([event], events) for event in events))
    assert [(change.kind, change.estimated_delivery, change.event_id) for change in tracker.announced] == [
        (Kind.ESTIMATE_CHANGED, "2025-03-05T11:00:00.000000Z", "e0"),
        (Kind.ESTIMATE_CHANGED, "2025-03-06T11:00:00.000000Z", "e4"),
    ]
    assert {(change.previous_status, change.first_time) for change in tracker.announced} == {(None, None)}


def test_status_is_given_for_the_first_time_once() -> None:
    attempt = stored(NOON + timedelta(hours=3), "x", "shipment.delivery_failed")
    again = stored(NOON + timedelta(hours=4), "n", "shipment.departed")
    tracker = steps(*(([event], [MOVING]) for event in (MOVING, attempt, again)))
    assert [first for _, _, first, _ in told_by(tracker)] == [True, True, False]


def test_lost_race_is_corrected_where_the_winner_only_confirmed_the_value_before() -> None:
    """Else a consumer that orders by ``at`` would keep the exception."""
    tracker = steps(([PICKED_UP], [PICKED_UP]))
    tracker.take([MOVING], [])
    attempt = stored(NOON + timedelta(hours=2), "x", "shipment.delivery_failed")
    lost = tracker.take([attempt], [], crash=True)
    tracker.take([stored(NOON + timedelta(hours=3), "n", "shipment.arrived")], [])
    tracker.take([attempt], [], lost=lost)
    assert told_by(tracker)[-2:] == [
        ("exception", "in_transit", True, "14:00"),
        ("in_transit", "exception", False, "15:00"),
    ]


def test_lost_race_is_not_corrected_where_the_next_step_does() -> None:
    retraction = stored(NOON + timedelta(hours=3), "r", retracts="d")
    tracker = steps(([PICKED_UP, DELIVERED], [PICKED_UP, DELIVERED]))
    lost = tracker.take([retraction], [PICKED_UP, DELIVERED, retraction], crash=True)
    tracker.take([MOVING], [])
    changes = tracker.take([retraction], [PICKED_UP, MOVING, DELIVERED, retraction], lost=lost)
    assert [(change.status, change.at) for change in [*lost, *changes]] == [
        ("picked_up", "2025-03-01T15:00:00.000000Z"),
        ("in_transit", "2025-03-01T15:00:00.000001Z"),
    ]


def test_reading_that_showed_a_retraction_announces_with_its_record_what_it_brought_back() -> None:
    early = stored(NOON + timedelta(hours=3), "r", retracts="d", stored_at=NOON + timedelta(hours=2))
    other = stored(NOON + timedelta(hours=4), "q", retracts="nothing")
    table = [PICKED_UP, DELIVERED, early, other]
    tracker = steps(([PICKED_UP, DELIVERED], [PICKED_UP, DELIVERED]), ([other], table))
    assert [status for status, *_ in told_by(tracker)] == ["picked_up", "delivered"]
    tracker.take([early], table)
    assert told_by(tracker)[2:] == [("picked_up", "delivered", True, "15:00")]


def test_event_below_one_that_a_reading_showed_is_announced_when_that_one_is_void() -> None:
    """Its own record came while the other one gave the same status, and could not be announced."""
    early = stored(NOON + timedelta(hours=2), "d", "shipment.delivered", stored_at=NOON)
    below = stored(NOON + timedelta(hours=1), "e", "shipment.delivered", stored_at=NOON)
    retraction = stored(NOON + timedelta(hours=3), "r", retracts="d")
    tracker = steps(([below], [below, early]))
    assert told_by(tracker) == []
    tracker.take([retraction], [below, early, retraction])
    tracker.take([early], [])
    assert told_by(tracker) == [("delivered", None, True, "15:00")]


def test_changes_keep_their_order_though_an_older_event_gives_the_same_value() -> None:
    same = stored(NOON, "s", "shipment.delivered")
    retraction = stored(NOON, "r", retracts="d")
    tracker = steps(([DELIVERED], [DELIVERED]), ([same], []))
    tracker.take([retraction], [same, DELIVERED, retraction])
    tracker.take([MOVING], [])
    assert told_by(tracker) == [
        ("delivered", None, True, "14:00"),
        ("in_transit", "delivered", True, "14:00"),
    ]


def test_repeat_beside_a_retraction_of_it_does_not_hide_the_change() -> None:
    retraction = stored(NOON + timedelta(hours=1), "r", retracts="d")
    tracker = steps(([DELIVERED], [DELIVERED]), ([retraction, DELIVERED], [retraction, DELIVERED]))
    assert told_by(tracker)[1:] == [(None, "delivered", False, "14:00")]


def test_rebuild_announces_nothing_by_itself_and_on_demand_what_no_change_said() -> None:
    tracker = steps(([PICKED_UP], [PICKED_UP]))
    table = news_in([PICKED_UP, MOVING])
    before = replace(tracker.tracked, marks={"stalled": "x"})
    changes, rebuilt = fold_records(SHIPMENT, before, [], read([PICKED_UP, MOVING]))
    assert (changes, rebuilt.state.status) == ([], "in_transit")
    assert (rebuilt.marks, rebuilt.version) == (before.marks, before.version)
    repair, done = announce_rest(rebuilt, table)
    assert repair == fold_records(SHIPMENT, before, news_in([MOVING])).changes
    assert announce_rest(done, table).changes == []
    # Without the repair, the event's own record announces it, should it come after all.
    assert fold_records(SHIPMENT, rebuilt, news_in([MOVING])).changes == repair


def test_repair_of_a_shipment_of_which_all_is_void_has_a_moment() -> None:
    before = steps(([DELIVERED], [DELIVERED])).tracked
    history = read([DELIVERED, stored(NOON + timedelta(hours=3), "r", retracts="d")])
    (change,), _ = announce_rest(fold_records(SHIPMENT, before, [], history).tracked, history.events)
    assert (change.status, change.event_id, change.at) == (None, None, "2025-03-01T15:00:00.000000Z")


@settings(max_examples=25)
@given(histories())
def test_detail_has_every_field_and_fits_its_schema(events: list[StoredEvent]) -> None:
    tracker = steps(*(([event], events) for event in in_stored_order(events)))
    for change in tracker.announced:
        detail: dict[str, Any] = loads(dumps(change.detail))
        check(change.kind, detail)
        # An entry of PutEvents may have 256 KB, by the older documents.
        assert len(dumps(detail).encode()) < 16_000


@pytest.mark.parametrize("kind", Kind)
def test_schema_of_a_kind_describes_every_field(kind: Kind) -> None:
    schema = change_schema(kind)
    Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(schema["required"]) == FIELDS
    assert all(rules["description"].endswith(".") for rules in schema["properties"].values())


def test_item_of_a_new_shipment_has_version_1() -> None:
    tracker = steps(([PICKED_UP], [PICKED_UP]))
    assert tracker.item
    assert tracker.item["version"] == 1
    assert isinstance(tracked_of(tracker.item), Tracked)
