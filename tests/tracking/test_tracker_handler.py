"""The tracker's function at its edge: its input, its answer, its settings and its lines."""

import importlib
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from shipment_events.contract import names
from shipment_events.tracking.settings import TrackerSettings
from tests.processor.test_handler import AWS, Context
from tests.tracking.histories import NOON, stored
from tests.tracking.services import BUS, EVENTS, FAILURES_URL, SHIPMENTS, World, item_of

MODULE: Final = "shipment_events.tracking.handler"
ENVIRONMENT: Final = {
    "ENVIRONMENT": "test",
    "EVENTS_TABLE_NAME": EVENTS,
    "SHIPMENTS_TABLE_NAME": SHIPMENTS,
    "STATUS_BUS_NAME": BUS,
    "FAILURES_QUEUE_URL": FAILURES_URL,
    "EVENT_RETENTION_DAYS": "7",
}
PICKED_UP: Final = stored(NOON, "p", "shipment.picked_up")


def import_handler(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import as a new container does."""
    for name, value in (ENVIRONMENT | AWS).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    return importlib.import_module(MODULE)


def handle(
    monkeypatch: pytest.MonkeyPatch, world: World, records: list[dict[str, Any]], budget: float = 0
) -> Any:
    module = import_handler(monkeypatch)
    monkeypatch.setattr(module, "_TRACKER", world.tracker(budget=budget))
    return module.handler({"Records": records}, Context())


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_answer_names_the_lowest_failed_record_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda takes the lowest of those that are named, and sends all from it on, so one name says it all."""
    world = World()
    world.tables.statement_codes = [{1: "ThrottlingError", 3: "ThrottlingError"}]
    records = [world.store(PICKED_UP, f"S-{number}") for number in range(5)]
    answer = handle(monkeypatch, world, records)
    number = records[1]["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": number}]}


def test_failed_shipment_comes_again_from_its_first_record(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    delivered = stored(NOON + timedelta(hours=2), "d", "shipment.delivered")
    records = [
        world.store(PICKED_UP, "S-0"),
        world.store(PICKED_UP, "S-1"),
        world.store(delivered, "S-0"),
        world.store(delivered, "S-1"),
    ]
    world.tables.statement_codes = [{1: "ThrottlingError"}]
    answer = handle(monkeypatch, world, records)
    number = records[1]["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": number}]}


def test_answer_of_a_good_batch_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    assert handle(monkeypatch, world, [world.store(PICKED_UP)]) == {"batchItemFailures": []}


def test_line_of_a_batch_counts_all_that_became_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(clock=lambda: NOON + timedelta(seconds=3))
    odd = stored(NOON, "o", "shipment.delivered", word="picked_up", estimated_delivery="soon", retracts=7)
    future = stored(NOON + timedelta(hours=25), "f", "shipment.delivered", stored_at=NOON)
    broken = item_of(PICKED_UP, "S-3") | {"detail": {"S": "text"}}
    world.tables.statement_codes = [{2: "ThrottlingError"}]
    records = [
        world.store(odd, "S-1"),
        world.store(future, "S-2"),
        world.record(broken),
        world.store(PICKED_UP, "S-4"),
        world.record(item_of(PICKED_UP), "REMOVE"),
    ]
    handle(monkeypatch, world, records)
    failure, unsettled, batch = lines(capsys)
    assert (failure["level"], failure["shipment_id"]) == ("ERROR", "S-3")
    assert failure["event_timestamp"] == PICKED_UP.sort_key
    assert (unsettled["level"], unsettled["detail"], unsettled["events"]) == ("WARNING", "ThrottlingError", 1)
    assert batch == {
        "level": "INFO",
        "message": names.TRACKED_MESSAGE,
        "environment": "test",
        "version": "7",
        "request_id": "request-1",
        "folded": 2,
        "announced": 2,
        "unfoldable": 1,
        "unsettled": 1,
        "lost_races": 0,
        "skipped": 1,
        "readings": 3,
        "unreadable_events": 0,
        "slowest_ms": 3000,
        "future": 1,
        "contradiction": 1,
        "invalid_estimate": 1,
        "invalid_retraction": 1,
        "examples": {
            "future": {"shipment_id": "S-2", "event_timestamp": future.sort_key},
            **{
                kind: {"shipment_id": "S-1", "event_timestamp": odd.sort_key}
                for kind in ("contradiction", "invalid_estimate", "invalid_retraction")
            },
        },
    }


@pytest.mark.parametrize("missing", ENVIRONMENT)
def test_missing_variable_is_named(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        TrackerSettings.from_environment({name: ENVIRONMENT[name] for name in ENVIRONMENT if name != missing})


def test_settings_reach_the_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = import_handler(monkeypatch)._TRACKER
    assert tracker.failures_queue_url == FAILURES_URL
    assert tracker.shipments.retention == timedelta(days=7)


def test_reserve_is_enough_for_a_request_and_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each at its longest; botocore grants the greeting of TLS as much time again as the connection."""
    module = import_handler(monkeypatch)
    request = 2 * module.CONNECT_TIMEOUT + module.READ_TIMEOUT
    pause = 1
    assert request + 2 * request + pause < module._TRACKER.patience.reserve


def test_what_the_import_loads(tmp_path: Path) -> None:
    """Functions see botocore alone."""
    program = f"import sys, {MODULE}; print(*sys.modules, sep='\\n')"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=ENVIRONMENT | AWS,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(run.stdout.split())
    assert {MODULE, "botocore"} <= loaded
    heavy = {"boto3", "s3transfer", "aws_cdk", "click", "rich", "jsonschema"}
    assert not {name.partition(".")[0] for name in loaded} & heavy
