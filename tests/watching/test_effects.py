"""The computed effect of an event is what a tracker does that gets one event after the other."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from shipment_events.table.item import StoredEvent
from shipment_events.watching import effects
from shipment_events.watching.effects import effects_of
from tests.rebuilding.test_rebuilder import DELIVERED, MOVING, PICKED_UP
from tests.tracking.histories import NOON, SHIPMENT, histories, stored
from tests.tracking.services import World

LATER = NOON + timedelta(hours=9)


@given(events=histories(min_size=1))
def test_changes_are_those_of_a_tracker_with_their_ids(events: list[StoredEvent]) -> None:
    world, found = World(), effects_of(SHIPMENT, events)
    for event in sorted(events, key=lambda one: (one.stored_at, one.sort_key)):
        before = world.state()
        world.bus.accepted.clear()
        world.track([world.store(event)])
        effect = found[event.sort_key]
        assert [change.change_id for change in effect.changes] == world.change_ids
        assert effect.values == {
            name: (before.get(name), world.state().get(name))
            for name in ("status", "estimated_delivery")
            if before.get(name) != world.state().get(name)
        }


def at(hour: int, event_id: str, event_type: str = "shipment.update", **fields: Any) -> StoredEvent:
    moment = NOON + timedelta(hours=hour)
    return stored(moment, event_id, event_type, **fields)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            DELIVERED,
            "status in_transit → delivered; it was the latest news when it was stored; change shipment",
        ),
        (at(-9, "late", "shipment.manifested", stored_at=LATER), "no current value changes"),
        (at(5, "r", retracts="m"), "status in_transit → picked_up; change shipment.status_changed"),
        (
            at(5, "c", "shipment.departed", word="exception"),
            "its status contradicts its type; the status counts",
        ),
    ],
)
def test_sentence_says_what_happened_and_why(event: StoredEvent, said: str) -> None:
    assert said in effects_of(SHIPMENT, [PICKED_UP, MOVING, event])[event.sort_key].sentence


@pytest.mark.parametrize("status", ["CONFLICT", "PROCESSED"])
def test_event_that_no_state_contains_says_so(status: str) -> None:
    event = stored(NOON + timedelta(days=3), "x", "shipment.delivered", stored_at=NOON, status=status)
    effect = effects_of(SHIPMENT, [PICKED_UP, event])[event.sort_key]
    assert (effect.values, effect.changes, len(effect.notes)) == ({}, [], 1)


def test_too_many_events_are_not_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "MOST_EVENTS", 2)
    assert effects_of(SHIPMENT, [PICKED_UP, MOVING])
    assert effects_of(SHIPMENT, [PICKED_UP, MOVING, DELIVERED]) == {}
