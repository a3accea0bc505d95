"""The public shipment: what the tracker wrote, by the names of the contract."""

import json
from typing import Any

import pytest
from hypothesis import given

from shipment_events import Shipment
from shipment_events.cli.presentation import json_line
from shipment_events.table.item import StoredEvent, value_of_attribute
from shipment_events.tracking.item import UnreadableStateError
from tests.tracking import oracle
from tests.tracking.histories import SHIPMENT, histories
from tests.tracking.services import World

NAMES = {
    "shipment_id", "status", "status_at", "latest_at", "latest_event", "first_at", "carrier",
    "tracking_number", "estimated_delivery", "delivered_at",
}  # fmt: skip


@given(events=histories(min_size=1))
def test_has_what_the_events_give_and_null_for_the_rest(events: list[StoredEvent]) -> None:
    world = World()
    world.track([world.store(event) for event in events])
    items: Any = world.tables.shipments
    for item in items.values():
        shown = Shipment.of({name: value_of_attribute(value) for name, value in item.items()}).as_json
        assert shown.keys() == NAMES
        wanted = oracle.attributes(events)
        wanted.pop("open", None)
        latest = shown.pop("latest_event")
        given = {name: value for name, value in shown.items() if value is not None}
        assert given == {"shipment_id": SHIPMENT} | {
            name: value for name, value in wanted.items() if name != "latest_event"
        }
        assert {name: value for name, value in (latest or {}).items() if value is not None} == wanted.get(
            "latest_event", {}
        )


def test_location_as_deep_as_an_event_may_be_is_shown_whole() -> None:
    location: Any = "end"
    for _ in range(29):
        location = {"in": location}
    shipment = Shipment(shipment_id="S", latest_event={"event_id": "e", "location": location})
    assert json.loads(json_line(shipment.as_json))["latest_event"]["location"] == location


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"status": "delivered"},
        {"shipment_id": "S", "status": 1},
        {"shipment_id": "S", "latest_event": "x"},
    ],
)
def test_item_of_somebody_else_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UnreadableStateError, match="expected the state of a shipment"):
        Shipment.of(values)
