"""Legal events that are hard to track, through bus, processor and tracker of the deployed stack."""

import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from shipment_events.accounting.shipments import History
from shipment_events.contract import names
from shipment_events.table.item import StoredEvent, value_of_attribute
from shipment_events.table.store import EventTable
from tests.integration.conftest import LocalEngine

pytestmark = [pytest.mark.engine, pytest.mark.slow]

RUN: Final = f"nasty-{uuid.uuid4().hex}"
LONGEST_ID: Final = f"{RUN}-s\x01'\"#/?" + "é" * 1_001
LARGE: Final = "x" * 390_000
BEFORE: Final = datetime.now(UTC) - timedelta(hours=2)
SECONDS: Final = 20.0
OWN: Final = {"shipment_id", "version", "memory", "expires_at"}
"""Attributes of a state that are not the contract's."""


def shipment(name: str) -> str:
    return f"{RUN}-{name}"


def event(shipment_id: str, kind: str, **fields: Any) -> dict[str, Any]:
    moment = BEFORE.isoformat()
    return {"shipment_id": shipment_id, "event_timestamp": moment, "event_type": f"shipment.{kind}"} | fields


def behind(shipment_id: str) -> dict[str, Any]:
    """A good event that is sent after the others, and is the latest."""
    return event(shipment_id, "out_for_delivery", event_timestamp=(BEFORE + timedelta(hours=1)).isoformat())


NASTY: Final = [
    event(shipment("description"), "picked_up", description=LARGE, carrier="DHL"),
    event(shipment("location"), "picked_up", location={"city": LARGE}),
    event(shipment("numbers"), "picked_up", tracking_number="T-1"),
    event(shipment("numbers"), "departed", tracking_number="", carrier=""),
    event(shipment("long number"), "picked_up", tracking_number="1" * 3_000),
    event(shipment("times"), "delivered", event_timestamp="2099-01-01T00:00:00Z"),
    event(shipment("times"), "picked_up", event_timestamp="0001-01-01T00:00:00Z"),
    event(shipment("times"), "delivered", event_timestamp="9999-12-31T23:59:59.999999Z", retracts="none"),
    event(LONGEST_ID, "picked_up", event_id="ü" * 450, tracking_number="T-2"),
]
IDS: Final = list(dict.fromkeys(one["shipment_id"] for one in NASTY))


def publish(engine: LocalEngine, *events: dict[str, Any]) -> None:
    for one in events:
        entry = {
            "Source": names.SOURCE,
            "DetailType": one["event_type"],
            "Detail": json.dumps(one, ensure_ascii=False),
            "EventBusName": engine.outputs[names.OUTPUT_EVENT_BUS_NAME],
        }
        assert engine.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def states(engine: LocalEngine) -> dict[str, dict[str, Any]]:
    table, found = engine.outputs[names.OUTPUT_SHIPMENTS_TABLE_NAME], {}
    for one in IDS:
        answer = engine.client("dynamodb").get_item(TableName=table, Key={"shipment_id": {"S": one}})
        item = answer.get("Item", {})
        found[one] = {name: value_of_attribute(value) for name, value in item.items() if name not in OWN}
    return found


def failures(engine: LocalEngine) -> list[dict[str, str]]:
    """Records of these shipments that were given up."""
    sqs = engine.client("sqs")
    queue = names.tracker_failures_queue_name(engine.environment)
    url, found = sqs.get_queue_url(QueueName=queue)["QueueUrl"], []
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get(
        "Messages", []
    ):
        found.append(json.loads(message["Body"]))
    return [one for one in found if str(one.get("shipment_id", "")).startswith(RUN)]


def test_no_legal_event_blocks_the_stream_and_the_states_are_right(engine: LocalEngine) -> None:
    assert len(LONGEST_ID.encode()) == 2_048
    publish(engine, *NASTY)
    publish(engine, *map(behind, IDS))
    table = EventTable(engine.client("dynamodb"), engine.outputs[names.OUTPUT_TABLE_NAME])
    deadline = time.monotonic() + SECONDS
    stored: dict[str, list[StoredEvent]] = {}
    while sum(map(len, stored.values())) < len(NASTY) + len(IDS) and time.monotonic() < deadline:
        time.sleep(0.2)
        stored = {one: list(table.timeline(one)) for one in IDS}
    wanted = {one: History.of(one, events).state() for one, events in stored.items()}
    while (found := states(engine)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sum(map(len, stored.values())) == len(NASTY) + len(IDS)
    assert found == wanted
    assert {state["status"] for state in found.values()} == {"out_for_delivery"}
    assert found[shipment("numbers")]["tracking_number"] == "T-1"
    assert "tracking_number" not in found[shipment("long number")]
    assert found[shipment("times")]["first_at"].startswith("0001-01-01")
    assert failures(engine) == []
