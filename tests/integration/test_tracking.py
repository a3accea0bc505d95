"""The tracker as a function of the local engine: fed by a stream, with real tables, bus and queues."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from shipment_events.table.item import StoredEvent
from tests.integration.conftest import LocalEngine
from tests.integration.tracked_stage import TrackedStage
from tests.tracking import oracle

pytestmark = pytest.mark.engine

NOW: Final = datetime.now(UTC)
SECONDS: Final = 20.0


@pytest.fixture(scope="module")
def stage(engine: LocalEngine) -> Iterator[TrackedStage]:
    stage = TrackedStage.make(engine.client, "tracked")
    event_source = stage.start()
    yield stage
    stage.stop(event_source)


def event(shipment_id: str, minute: int, kind: str, **fields: Any) -> dict[str, Any]:
    moment = (NOW - timedelta(days=1) + timedelta(minutes=minute)).isoformat()
    return {"shipment_id": shipment_id, "event_timestamp": moment, "event_type": f"shipment.{kind}"} | fields


def stories() -> Iterator[dict[str, Any]]:
    for number in range(60):
        yield event(f"S-{number}", 1, "picked_up", event_id=f"p{number}", carrier="DHL")
        yield event(f"S-{number}", 3, "delivered", event_id="d", tracking_number=f"T-{number % 7}")
        yield event(f"S-{number}", 2, "departed", location={"city": "Łódź", "detail": [1.5, None]})
        if number % 3 == 0:
            yield event(f"S-{number}", 4, "update", retracts="d")
    yield event("large", 1, "picked_up", description="x" * 390_000)
    yield event("large", 2, "departed", location={"x": "y" * 390_000})
    yield event("numbers", 1, "picked_up", tracking_number="1" * 3000)
    yield event("numbers", 2, "departed", tracking_number="")
    yield event("times", 1, "departed", event_id="é" * 400)
    yield event("times", 2, "delivered", event_timestamp="2099-01-01T00:00:00Z")
    yield event("times", 3, "picked_up", event_timestamp="0001-01-01T00:00:00Z")
    yield event("\x01\x1f" + "s" * 2046, 1, "out_for_delivery", estimated_delivery="2026-01-01T00:00+01:00")


def test_states_and_changes_follow_what_is_stored(stage: TrackedStage) -> None:
    events = list(stories())
    stage.write(*events)
    ids = {one["shipment_id"] for one in events}
    wanted = {one: oracle.attributes(list[StoredEvent](stage.events.timeline(one))) for one in ids}
    assert stage.wait_for(wanted, SECONDS) == wanted
    assert stage.received("failures") == []
    changes = [one for one in stage.received("subscriber") if one["detail-type"] == "shipment.status_changed"]
    last = {
        one["detail"]["shipment_id"]: one["detail"]
        for one in sorted(changes, key=lambda one: one["detail"]["at"])
    }
    assert {one: last[one]["status"] for one in last} == {one: wanted[one].get("status") for one in ids}


def test_what_cannot_be_folded_is_reported_and_stops_nothing(stage: TrackedStage) -> None:
    foreign = {"shipment_id": {"S": "foreign"}, "event_timestamp": {"S": "today"}}
    stage.client("dynamodb").put_item(TableName=stage.events.name, Item=foreign)
    stage.write(event("behind", 1, "picked_up"))
    deadline = time.monotonic() + SECONDS
    while "behind" not in stage.states() and time.monotonic() < deadline:
        time.sleep(0.1)
    (failure,) = stage.received("failures")
    assert (failure["shipment_id"], failure["event_timestamp"]) == ("foreign", "today")
