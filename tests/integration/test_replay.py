"""``shipments replay`` from the engine's real archive, and ``audit`` and ``trace`` around it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shipment_events.contract import names
from tests.integration.commands import QuickCommands, exported
from tests.integration.conftest import LocalEngine
from tests.integration.test_publish_and_run import wait_until_processed, wait_until_stored

pytestmark = pytest.mark.engine

COUNT = 40


@pytest.fixture
def shipments(engine: LocalEngine, tmp_path: Path) -> QuickCommands:
    environment = {**exported(engine.endpoint), "ENV": engine.environment, "COLUMNS": "200"}
    return QuickCommands(tmp_path, environment)


def lines() -> str:
    events = (
        {
            "shipment_id": "REPLAYED",
            "event_id": f"r{number:02}",
            "event_timestamp": f"2026-05-04T10:{number:02}:00+02:00",
            "event_type": "shipment.scanned",
        }
        for number in range(COUNT)
    )
    return "".join(json.dumps(event) + "\n" for event in events)


def delete_some(engine: LocalEngine) -> int:
    table = engine.outputs[names.OUTPUT_TABLE_NAME]
    client = engine.client("dynamodb")
    found = client.query(
        TableName=table,
        KeyConditionExpression="shipment_id = :shipment",
        ExpressionAttributeValues={":shipment": {"S": "REPLAYED"}},
    )["Items"]
    for item in found[::8]:
        key = {name: item[name] for name in (names.PARTITION_KEY, names.SORT_KEY)}
        client.delete_item(TableName=table, Key=key)
    return len(found[::8])


@pytest.mark.slow
def test_a_replay_brings_back_what_is_missing_and_doubles_nothing(
    engine: LocalEngine, shipments: QuickCommands
) -> None:
    # The engine is shared: other tests' events have nothing to do with this replay.
    begin = datetime.now(UTC).isoformat(timespec="seconds")
    shipments("publish", "-", "--journal", "journal.ndjson", stdin=lines())
    wait_until_stored(engine, "REPLAYED", COUNT)
    wait_until_processed(engine)
    gone = delete_some(engine)

    audit: dict[str, Any] = json.loads(shipments("audit", "journal.ndjson", "--json", status=1).stdout)
    assert len(audit["missing"]) == gone == 5
    assert {one["shipment_id"] for one in audit["missing"]} == {"REPLAYED"}

    planned = shipments("replay", "--from", "1h", "--dry-run")
    assert "events that are not in the archive yet" in planned.stderr
    shipments("replay", "--from", "1h", status=1, stdin="n\n")
    result = json.loads(shipments("replay", "--from", begin, "--yes", "--json").stdout)
    assert result["state"] == "COMPLETED"
    assert result["stored"] == gone
    assert result["duplicate"] >= COUNT - gone
    assert "Nothing is missing, doubled or different." in shipments("audit", "journal.ndjson").stdout

    first = json.loads((shipments.folder / "journal.ndjson").read_text(encoding="utf-8").splitlines()[0])
    steps = shipments("trace", first["envelope_id"], "--shipment", "REPLAYED", "--json").stdout
    assert {json.loads(step)["what"] for step in steps.splitlines()} >= {"stored", "settled"}
    timeline = shipments("trace", "REPLAYED").stdout
    assert timeline.count("(PROCESSED)") == COUNT
    assert "Nothing found for 'nobody'" in shipments("trace", "nobody", status=1).stderr


@pytest.mark.parametrize(
    ("window", "why"),
    [
        (("--from", "20d", "--to", "10d"), "the archive begins at"),
        (("--from", "1h", "--to", "2h"), "must end after it begins"),
        (("--from", "1h", "--to", "2999-01-01T00:00:00Z"), "in the future"),
    ],
)
def test_a_window_that_cannot_be_replayed_is_refused(
    shipments: QuickCommands, window: tuple[str, ...], why: str
) -> None:
    assert why in shipments("replay", *window, "--yes", status=2).stderr


def test_a_window_without_begin_or_offset_is_refused(shipments: QuickCommands) -> None:
    assert "--from" in shipments("replay", status=2).stderr
    assert "offset" in shipments("replay", "--from", "2026-05-04T10:00", status=2).stderr


def test_status_says_what_it_does_not_know(shipments: QuickCommands) -> None:
    found = json.loads(shipments("status", "--json", status=None).stdout)
    assert found["outcomes_source"] == "log"
    assert found["oldest_seconds"] is None
    assert found["health"] in ("healthy", "failing")
