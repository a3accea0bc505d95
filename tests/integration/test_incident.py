"""A night on call, with the commands that a person types: a bad deployment, its dead letters, the repair."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.integration.commands import Commands, QuickCommands, exported
from tests.integration.conftest import ROOT
from workbench.engine.health import free_port

pytestmark = pytest.mark.engine

SOURCES = (
    "src", "infrastructure", "workbench", "pyproject.toml", "requirements-dev.lock", "cdk.json",
    "package.json", "package-lock.json",
)  # fmt: skip
# The contract, tightened by mistake: from now on every event has to name its customer.
GOOD = "    moment, finer_digits = _parse_timestamp("
BAD = """
    if "customer" not in detail:
        raise InvalidEventError(Reason.MISSING_FIELD, "customer: expected a text, it is missing")
"""
EVENTS = 60


@pytest.fixture
def clone(tmp_path: Path, real_assembly: Path) -> Path:
    """A copy of this repository, to be broken; with its synthesized stack, which takes long to make."""
    shutil.copytree(real_assembly, tmp_path / ".local" / "assemblies" / real_assembly.name)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        elif source.exists():
            shutil.copy(source, tmp_path / name)
    (tmp_path / ".venv-engine").symlink_to(ROOT / ".venv-engine")
    return tmp_path


@pytest.fixture
def deploy(clone: Path) -> Iterator[Commands]:
    """Runs the clone's own commands, on an engine of its own."""
    port = free_port()
    environment = exported(f"http://127.0.0.1:{port}") | {
        # The workbench lies beside ``src``, and it deploys the clone that it was imported from.
        "PYTHONPATH": os.pathsep.join([str(clone / "src"), str(clone)]),
        "SHIPMENTS_PORT": str(port),
        "ENV": "dev",
        "COLUMNS": "200",
    }
    commands = Commands(clone, environment)
    yield commands
    commands("local", "down")


@pytest.fixture
def producer(deploy: Commands, tmp_path: Path) -> QuickCommands:
    """A producer has its own copy of the publisher, and nobody breaks that one."""
    environment = {name: value for name, value in deploy.environment.items() if name != "PYTHONPATH"}
    return QuickCommands(tmp_path, environment)


def feed(start: int) -> str:
    lines = (
        {
            "shipment_id": f"NIGHT-{number % 10}",
            "event_id": str(number),
            "event_timestamp": f"2026-05-04T10:{number % 60:02}:00+02:00",
            "event_type": "shipment.scanned",
        }
        for number in range(start, start + EVENTS)
    )
    return "".join(json.dumps(line) + "\n" for line in lines)


def until(read: Callable[[], dict[str, Any]], holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 40
    while not holds(found := read()):
        assert time.monotonic() < deadline, found
    return found


def logged_as_quarantined(environment: Mapping[str, str]) -> int:
    """Events that the lines of batches in the processor's log name as quarantined."""
    logs = boto3.client(
        "logs",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/aws/lambda/shipment-event-processor-dev", filterPattern='"batch settled"'
    )
    messages = (event["message"] for page in pages for event in page["events"])
    return sum(int(json.loads(message)["quarantined"]) for message in messages)


@pytest.mark.slow
def test_a_bad_deployment_is_seen_explained_repaired_and_proved_repaired(
    clone: Path, deploy: Commands, producer: QuickCommands
) -> None:
    deploy("local", "up")
    producer("publish", "-", "--journal", "journal.ndjson", stdin=feed(0))

    def look() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(producer("status", "--json", status=None).stdout)
        return found

    def account() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(producer("audit", "journal.ndjson", "--json", status=None).stdout)
        return found

    # What is in work during a deployment comes back only after the visibility timeout. Table and queue are
    # asked rather than the log, as a busy engine may miss the last line of a function.
    until(account, lambda found: found["stored"] == EVENTS)
    assert "dev: healthy" in producer("status").stdout

    module = clone / "src" / "shipment_events" / "contract" / "event.py"
    good = module.read_text(encoding="utf-8")
    assert good.count(GOOD) == 1
    module.write_text(good.replace(GOOD, BAD + GOOD), encoding="utf-8")
    deploy("local", "up")
    producer("publish", "-", "--journal", "journal.ndjson", stdin=feed(EVENTS))
    # The queue's visible count is what the alarm on dead letters watches; its threshold is 1. The processor
    # logs what it has quarantined after that.
    failing = until(
        look,
        lambda found: (
            found["dead_letters"] == EVENTS
            and found["outcomes"]["quarantined"] == logged_as_quarantined(deploy.environment) > EVENTS / 2
        ),
    )
    assert failing["dead_letters_by_reason"] == {"missing_field": EVENTS}
    assert failing["troubles"][0]["next_step"] == "shipments --env dev dead-letters list"
    screen = producer("status", status=1).stdout
    assert "dev: failing" in screen
    assert f"missing_field {EVENTS}" in screen

    letters = json.loads(producer("dead-letters", "list", "--json", status=1).stdout)
    explanation = deploy("dead-letters", "explain", letters[0]["message_id"][:8]).stdout
    assert "customer: expected a text, it is missing" in explanation
    assert "a deployment made the contract stricter" in explanation
    traced = producer("trace", letters[0]["envelope_id"], "--journal", "journal.ndjson").stdout
    assert all(what in traced for what in ("published", "quarantined", "dead letter"))
    assert json.loads(producer("audit", "journal.ndjson", "--json").stdout)["dead_letters"] == EVENTS

    module.write_text(good, encoding="utf-8")
    deploy("local", "up")
    redriven = producer("dead-letters", "redrive", "--reason", "missing_field").stdout
    assert f"{EVENTS} redriven (missing_field {EVENTS})" in redriven
    until(look, lambda found: found["waiting"] + found["in_flight"] == 0)
    audited = json.loads(producer("audit", "journal.ndjson", "--json").stdout)
    assert (audited["published"], audited["stored"], audited["dead_letters"]) == (2 * EVENTS, 2 * EVENTS, 0)
    assert "dev: healthy" in producer("status").stdout
