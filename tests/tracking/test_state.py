"""The state is a function of the set of stored events: whatever their order, repeats and batches."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipment_events.table.item import StoredEvent, _attribute_bytes
from shipment_events.tracking.item import tracked_item, tracked_of
from shipment_events.tracking.state import MAX_RETRACTIONS, Fold, Reading, State, fold, must_be_read
from shipment_events.tracking.step import Tracked
from tests.tracking import oracle
from tests.tracking.histories import NOON, SHIPMENT, histories, stored
from tests.tracking.small_tracker import RETENTION, GrowingTable, SmallTracker, news_in


def state_of(*events: StoredEvent) -> State:
    return fold(SHIPMENT, news_in(events))


@settings(max_examples=25)
@given(histories(), st.randoms(use_true_random=False))
def test_any_order_repeats_and_batches_give_the_state_of_the_set(
    events: list[StoredEvent], random: Random
) -> None:
    tracker, table = SmallTracker(), GrowingTable(events, random)
    rest = events + random.sample(events, len(events) // 2)
    random.shuffle(rest)
    while rest:
        size = random.randint(1, 4)
        batch, rest = rest[:size], rest[size:]
        tracker.take(batch, table.with_all(batch))
    assert tracker.attributes() == oracle.attributes(events)
    if tracker.item:
        assert tracker.tracked.state == fold(SHIPMENT, news_in(events))


@settings(max_examples=25)
@given(histories())
def test_fold_is_what_brute_force_finds(events: list[StoredEvent]) -> None:
    news = news_in(events)
    if not news:
        return
    item = tracked_item(Tracked(fold(SHIPMENT, news)), RETENTION)
    for own in ("shipment_id", "version", "memory", "expires_at"):
        item.pop(own)
    assert item == oracle.attributes(events)


@settings(max_examples=25)
@given(histories())
def test_first_time_is_what_brute_force_finds(events: list[StoredEvent]) -> None:
    state, line = state_of(*events), oracle.timeline(events)
    giver = oracle.status_giver(line)
    assert state.is_first(state.status_from) == (giver is not None and oracle.is_first_time(line, giver))


@settings(max_examples=25)
@given(histories())
def test_state_survives_the_item(events: list[StoredEvent]) -> None:
    if not (news := news_in(events)):
        return
    state = fold(SHIPMENT, news)
    marks = {"stalled": "x"}
    again = tracked_of(tracked_item(Tracked(state, marks=marks, version=7), RETENTION))
    assert again.state == state
    assert again.marks == marks
    assert again.version == 8


def test_delivered_is_not_final() -> None:
    delivered = stored(NOON, "a", "shipment.delivered")
    picked_up = stored(NOON + timedelta(hours=1), "b", "shipment.picked_up")
    state = state_of(picked_up, delivered)
    assert (state.status, state.delivered_at) == ("picked_up", "")
    assert not state.is_finished


def test_at_one_moment_the_rank_decides_and_then_the_sort_key() -> None:
    delivered, arrived = stored(NOON, "a", "shipment.delivered"), stored(NOON, "b", "shipment.arrived")
    assert state_of(delivered, arrived).status == "delivered"
    one, other = (
        stored(NOON, "a", "shipment.arrived", carrier="A"),
        stored(NOON, "b", "shipment.departed", carrier="B"),
    )
    assert state_of(other, one).copy_of("carrier") == "B"


def test_value_comes_from_the_last_event_that_carries_it() -> None:
    state = state_of(
        stored(NOON, "a", "shipment.picked_up", tracking_number="1", carrier="A"),
        stored(NOON + timedelta(hours=2), "c"),
        stored(NOON + timedelta(hours=1), "b", tracking_number="2"),
    )
    assert (state.status, state.copy_of("tracking_number"), state.copy_of("carrier")) == (
        "picked_up",
        "2",
        "A",
    )
    assert state.latest_at == "2025-03-01T14:00:00.000000Z"


def test_long_value_is_left_out_and_the_old_one_does_not_come_back() -> None:
    state = state_of(
        stored(NOON, "a", tracking_number="1"),
        stored(NOON + timedelta(hours=1), "b", tracking_number="n" * 3000),
    )
    assert state.copy_of("tracking_number") is None
    assert state.place_of("tracking_number").endswith("#b")


def test_empty_text_is_no_value() -> None:
    later = stored(NOON + timedelta(hours=1), "b", tracking_number="")
    assert state_of(stored(NOON, "a", tracking_number="1"), later).copy_of("tracking_number") == "1"
    assert "tracking_number" not in tracked_item(Tracked(state_of(later)), RETENTION)


def test_event_from_the_future_is_no_news_but_keeps_the_shipment() -> None:
    state = state_of(
        stored(NOON, "a", "shipment.picked_up"),
        stored(
            datetime(2099, 1, 1, tzinfo=UTC), "b", "shipment.delivered", stored_at=NOON + timedelta(hours=5)
        ),
    )
    assert (state.status, state.latest_at) == ("picked_up", "2025-03-01T12:00:00.000000Z")
    assert state.stored_at == "2025-03-01T17:00:00.000000Z"


@pytest.mark.parametrize(("ahead", "is_news"), [(0, True), (1, False)])
def test_the_future_begins_after_24_hours(ahead: int, is_news: bool) -> None:
    moment = NOON + timedelta(days=1, microseconds=ahead)
    assert bool(state_of(stored(moment, "a", stored_at=NOON)).latest) == is_news


def test_retraction_comes_before_or_after_what_it_voids_and_cannot_be_retracted() -> None:
    events = [
        stored(NOON, "a", "shipment.picked_up"),
        stored(NOON + timedelta(hours=1), "b", "shipment.delivered"),
        stored(NOON + timedelta(hours=3), "b", "shipment.returned"),
        stored(NOON + timedelta(hours=4), "r", "shipment.delivered", retracts="b"),
        stored(NOON + timedelta(hours=5), "q", retracts="r"),
    ]
    for order in (events, events[::-1]):
        tracker = SmallTracker()
        for number, event in enumerate(order, 1):
            tracker.take([event], order[:number])
        assert tracker.attributes() == oracle.attributes(events)
        assert tracker.attributes()["status"] == "picked_up"
        assert tracker.attributes()["latest_at"] == "2025-03-01T12:00:00.000000Z"


def test_retraction_reads_the_shipment_once_and_nothing_else_does() -> None:
    tracker = SmallTracker()
    events = [stored(NOON + timedelta(minutes=n), f"e{n}", "shipment.arrived") for n in range(5)]
    for number, event in enumerate(events, 1):
        tracker.take([event], events[:number])
    assert tracker.reads == 1
    retraction = stored(NOON, "r", retracts="e4")
    for _ in range(2):
        tracker.take([retraction], [*events, retraction])
    tracker.take([stored(NOON + timedelta(days=1), "e4", "shipment.delivered")], [])
    assert tracker.reads == 2
    assert tracker.attributes()["status_at"] == "2025-03-01T12:03:00.000000Z"


def test_past_the_bound_of_retractions_the_shipment_is_read_again() -> None:
    retractions = [
        stored(NOON + timedelta(seconds=n), f"r{n}", retracts=f"e{n}") for n in range(MAX_RETRACTIONS + 1)
    ]
    few, many = (state_of(*retractions[:-1]), state_of(*retractions))
    event = news_in([stored(NOON, "x")])
    assert not must_be_read(few, event)
    assert must_be_read(many, event)
    assert len(tracked_item(Tracked(few), RETENTION)["memory"]["retracted"]) == 12 * MAX_RETRACTIONS
    assert tracked_of(tracked_item(Tracked(many), RETENTION)).state == many
    tracker, came = SmallTracker(), list[StoredEvent]()
    void = stored(NOON, f"e{MAX_RETRACTIONS}", "shipment.delivered")
    for one in [*retractions, stored(NOON, "x", "shipment.arrived"), void]:
        came.append(one)
        tracker.take([one], came)
    assert tracker.attributes() == oracle.attributes(came)
    assert tracker.attributes()["status"] == "in_transit"


def test_fold_without_a_reading_refuses_what_needs_one() -> None:
    with pytest.raises(ValueError, match="to be read"):
        Fold(SHIPMENT, state_of(stored(NOON, "a"))).add(news_in([stored(NOON, "r", retracts="a")])[0])


OLD = NOON - timedelta(days=100)
LIMIT = "2025-01-01T00:00:00.000000Z"


def test_value_outlives_the_event_that_gave_it() -> None:
    gone = stored(OLD, "a", "shipment.picked_up", carrier="A", tracking_number="1", stored_at=OLD)
    kept = stored(NOON, "b", tracking_number="2")
    before = state_of(gone, kept)
    again = Fold(SHIPMENT, before, Reading(news_in([kept]), LIMIT, "")).state
    assert again == before
    retraction = stored(NOON, "r", retracts="a")
    void = Fold(SHIPMENT, before, Reading(news_in([kept, retraction]), LIMIT, "")).state
    assert (void.status, void.copy_of("carrier"), void.first_at) == (None, None, text_of(kept))
    assert void.copy_of("tracking_number") == "2"
    assert not void.seen


def test_value_without_an_event_that_could_have_expired_is_dropped() -> None:
    never = stored(NOON, "a", "shipment.delivered")
    kept = stored(NOON - timedelta(hours=1), "b", "shipment.picked_up")
    again = Fold(SHIPMENT, state_of(never, kept), Reading(news_in([kept]), LIMIT, "")).state
    assert again == state_of(kept)


def text_of(event: StoredEvent) -> str:
    return event.sort_key[:27]


@settings(max_examples=25)
@given(histories(), st.integers(0, 9))
def test_rebuild_after_expiry_keeps_what_the_state_held(events: list[StoredEvent], gone: int) -> None:
    """Whatever expires, the state stays: its values outlive, and what is left adds nothing."""
    before = state_of(*events)
    left = sorted(events, key=lambda event: event.sort_key)[gone:]
    again = Fold(SHIPMENT, before, Reading(news_in(left), "9999", "")).state
    assert again == before


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "x" * 390_000},
        {"location": {"x": "ł" * 190_000}},
        {"location": {"n": Decimal("1E+125"), "f": 1.5, "deep": [[[{}]]]}},
        {"estimated_delivery": Decimal(1)},
        {"retracts": {"a": [1.5]}},
        {"retracts": "x" * 901},
        {"word": "x" * 390_000},
        {"estimated_delivery": "x" * 390_000},
    ],
)
def test_nasty_values_are_folded(fields: dict[str, Any]) -> None:
    event = stored(NOON, "i" * 900, "shipment.arrived", **fields)
    item = tracked_item(Tracked(state_of(event)), RETENTION)
    assert item["status"] == "in_transit"
    assert tracked_of(item).state == state_of(event)
    assert len(str(item)) < 20_000


def test_state_of_a_usual_shipment_costs_one_write_unit() -> None:
    """An item of up to a kilobyte does."""
    words = ("picked_up", "in_transit", "exception", "in_transit", "out_for_delivery", "delivered")
    events = [
        stored(
            NOON + timedelta(hours=n, microseconds=123_456),
            f"0b9c7bd0-5f4b-4c4a-9d0e-{n:012}",
            f"shipment.{word}",
            carrier="Prairie Line Freight",
            tracking_number="00340434161094042557",
            description="Carrier departed pick-up location with shipment",
            location={"code": "ORD", "city": "Chicago", "country": "US"},
            estimated_delivery="2025-03-05T12:00Z" if n == 1 else None,
        )
        for n, word in enumerate(words)
    ]
    item = tracked_item(Tracked(state_of(*events)), RETENTION)
    assert sum(len(name) + _attribute_bytes(value) for name, value in item.items()) < 1024
