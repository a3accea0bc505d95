"""The index by status on the engine: a sharded table reads as an unsharded one does."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shipment_events.contract import names
from shipment_events.contract.event import parse_event
from shipment_events.table.item import CONFLICT, PROCESSED, ItemTimes, Write
from shipment_events.table.results import Inserted
from shipment_events.table.store import EventTable
from tests.integration.commands import QuickCommands, exported
from tests.integration.conftest import LocalEngine
from tests.stand_ins.fakes import RETENTION

# Windows in which no other test's events happened.
SHARDED_DAY = datetime(1999, 5, 1, tzinfo=UTC)
PLAIN_DAY = datetime(1999, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
COUNT = 60


def writes(day: datetime, count: int) -> list[Write]:
    """Every sixth of them a conflict."""
    made = []
    for number in range(count):
        event = parse_event(
            {
                "shipment_id": f"INDEX-{number}",
                "event_timestamp": (day + timedelta(minutes=(7 * number) % count)).isoformat(),
                "event_type": "shipment.departed",
                "event_id": f"E-{number}",
            }
        )
        one = Write.of(event, "correlation")
        made.append(one.beside() if number % 6 == 0 else one)
    return made


def fill(table: EventTable, made: list[Write]) -> None:
    for start in range(0, len(made), 25):
        times = ItemTimes.of(datetime.now(UTC), RETENTION)
        assert set(table.insert(made[start : start + 25], times)) == {Inserted()}


def test_shards_are_merged_in_order(engine: LocalEngine) -> None:
    table = EventTable(engine.client("dynamodb"), engine.outputs[names.OUTPUT_TABLE_NAME], shards=4)
    made = writes(SHARDED_DAY, COUNT)
    fill(table, made)
    found = {
        status: [event.sort_key for event in table.by_status(status, SHARDED_DAY, SHARDED_DAY + DAY)]
        for status in (PROCESSED, CONFLICT)
    }
    assert found[PROCESSED] == sorted(one.sort_key for one in made if not one.is_conflict)
    assert found[CONFLICT] == sorted(one.sort_key for one in made if one.is_conflict)
    plain = EventTable(engine.client("dynamodb"), engine.outputs[names.OUTPUT_TABLE_NAME])
    assert not list(plain.by_status(PROCESSED, SHARDED_DAY, SHARDED_DAY + DAY)), "they should be in shards"


def test_command_lists_the_conflicts_of_a_day(engine: LocalEngine, tmp_path: Path) -> None:
    table = EventTable(engine.client("dynamodb"), engine.outputs[names.OUTPUT_TABLE_NAME])
    made = sorted(writes(PLAIN_DAY, 30), key=lambda one: one.sort_key)
    fill(table, made)
    shipments = QuickCommands(tmp_path, exported(engine.endpoint))
    window = ("--from", PLAIN_DAY.isoformat(), "--to", (PLAIN_DAY + DAY).isoformat())

    listed = shipments("events", *window, "--json")
    lines = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [line["processing_status"] for line in lines] == [CONFLICT] * 5
    assert [line["event_timestamp"] for line in lines] == sorted(line["event_timestamp"] for line in lines)
    assert {line["shipment_id"] for line in lines} == {f"INDEX-{number}" for number in range(0, 30, 6)}

    latest = [one.shipment_id for one in made if not one.is_conflict]
    shown = shipments("events", *window, "--status", "processed", "--limit", "3")
    assert re.findall(r"INDEX-\d+", shown.stdout) == latest[-3:]
    assert "the latest 3 events" in shown.stderr

    nothing = shipments("events", "--from", "1998-01-01T00:00:00Z", "--to", "1998-01-02T00:00:00Z", status=1)
    assert "has no event with processing status CONFLICT" in nothing.stderr
