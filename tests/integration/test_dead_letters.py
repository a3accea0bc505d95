"""``shipments dead-letters`` on the real queues: whatever interrupts it, nothing is lost or doubled."""

import itertools
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shipment_events.contract import names
from shipment_events.contract.names import SOURCE
from shipment_events.dead_letters.letters import Selection
from shipment_events.publishing.journal import JournalRecord, JournalWriter
from shipment_events.queue.messages import send_bodies
from shipment_events.queue.queue import Queue
from shipment_events.queue.timing import EXACT_TIMING
from shipment_events.resources import find_resources
from shipment_events.table.store import EventTable
from tests.integration.commands import Commands, QuickCommands, exported
from tests.integration.conftest import LocalEngine
from tests.stand_ins.queues import dead_letters_on

pytestmark = pytest.mark.engine

_shipments = itertools.count(1)


@pytest.fixture
def shipments(engine: LocalEngine, tmp_path: Path) -> QuickCommands:
    environment = {**exported(engine.endpoint), "ENV": engine.environment, "COLUMNS": "200"}
    return QuickCommands(tmp_path, environment)


@pytest.fixture
def scene(engine: LocalEngine) -> "Iterator[Scene]":
    scene = Scene(engine, f"LETTER-{next(_shipments)}")
    scene.clear()
    yield scene
    scene.clear()


class Scene:
    """Dead letters of one shipment, and where its events are."""

    def __init__(self, engine: LocalEngine, shipment_id: str) -> None:
        self._engine = engine
        self.sqs = engine.client("sqs")
        self.shipment_id = shipment_id
        self._table = EventTable(engine.client("dynamodb"), engine.outputs[names.OUTPUT_TABLE_NAME])
        self._queue_url = engine.outputs[names.OUTPUT_QUEUE_URL]
        self._dead_letter_queue_url = engine.outputs[names.OUTPUT_DEAD_LETTER_QUEUE_URL]

    def clear(self) -> None:
        self.sqs.purge_queue(QueueUrl=self._dead_letter_queue_url)

    def body(self, number: int, **fields: Any) -> str:
        detail = {
            "shipment_id": self.shipment_id,
            "event_id": f"{number:05}",
            "event_timestamp": "2026-05-04T10:00:00Z",
            "event_type": "shipment.scanned",
            **fields,
        }
        envelope = {
            "id": f"{self.shipment_id}-{number:05}",
            "source": SOURCE,
            "detail-type": "shipment.scanned",
        }
        return json.dumps({**envelope, "detail": detail})

    def put(self, *bodies: str) -> None:
        assert send_bodies(self.sqs, self._dead_letter_queue_url, bodies) == {}

    @property
    def urls(self) -> tuple[str, str]:
        return self._dead_letter_queue_url, self._queue_url

    def stored(self) -> list[str]:
        return [event.event_id for event in self._table.timeline(self.shipment_id)]

    def delete(self, event_id: str) -> None:
        (found,) = [event for event in self._table.timeline(self.shipment_id) if event.event_id == event_id]
        key = {names.PARTITION_KEY: {"S": self.shipment_id}, names.SORT_KEY: {"S": found.sort_key}}
        self._engine.client("dynamodb").delete_item(
            TableName=self._engine.outputs[names.OUTPUT_TABLE_NAME], Key=key
        )

    def waiting(self) -> int:
        return Queue(self.sqs, self._queue_url).depth().total

    def dead(self) -> int:
        return Queue(self.sqs, self._dead_letter_queue_url).depth().total

    def visible_bodies(self) -> list[str]:
        read = dead_letters_on(self.sqs, *self.urls, EXACT_TIMING).read()
        return [letter.body for letter in read.letters]

    def until_fewer(self, dead: int) -> None:
        self.until(lambda: self.dead() < dead)

    def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.slow
def test_killing_redrive_at_any_moment_loses_and_doubles_nothing(
    shipments: QuickCommands, scene: Scene
) -> None:
    kills, count = 20, 3_000
    scene.put(*(scene.body(number) for number in range(count)))
    commands = Commands(shipments.folder, shipments.environment)
    chance = random.Random(4)
    at_work = 0
    for _ in range(kills):
        before = scene.dead()
        operator = commands.start("dead-letters", "redrive", "--rate", "1000")
        # Its work begins when the first are gone; the interpreter's own start would take most of the kills.
        scene.until_fewer(before)
        time.sleep(chance.uniform(0, 0.15))
        at_work += operator.poll() is None
        operator.kill()
        operator.wait()
    assert at_work == kills, "the kills should come in the middle of the work"
    assert 0 < scene.dead() < count
    # What the killed ones held becomes visible again.
    scene.until(lambda: shipments("dead-letters", "redrive", status=None).exit_code == 0, seconds=60)
    scene.until(lambda: scene.waiting() == 0)
    assert scene.stored() == [f"{number:05}" for number in range(count)]
    assert scene.dead() == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_redrive_says_how_far_it_came_and_hides_nothing(
    shipments: QuickCommands, scene: Scene, how: signal.Signals
) -> None:
    count = 300
    scene.put(*(scene.body(number) for number in range(count)))
    commands = Commands(shipments.folder, shipments.environment)
    operator = commands.start("dead-letters", "redrive", "--rate", "50", "--json", stdout=subprocess.PIPE)
    scene.until(lambda: scene.dead() < count)
    operator.send_signal(how)
    said = json.loads(operator.communicate(timeout=30)[0])
    assert operator.returncode == 130
    assert said["interrupted"]
    assert 0 < said["redriven"] < count
    assert len(scene.visible_bodies()) == count - said["redriven"]


@pytest.mark.slow
def test_two_operators_at_once_lose_and_double_nothing(shipments: QuickCommands, scene: Scene) -> None:
    count = 300
    scene.put(*(scene.body(number) for number in range(count)))
    commands = Commands(shipments.folder, shipments.environment)
    operators = [commands.start("dead-letters", "redrive") for _ in range(2)]
    assert [operator.wait(60) for operator in operators] == [0, 0]
    scene.until(lambda: scene.waiting() == 0)
    assert scene.stored() == [f"{number:05}" for number in range(count)]
    assert scene.dead() == 0


def test_a_slow_walk_finds_what_lies_behind_others(scene: Scene) -> None:
    scene.put(*(scene.body(number, shipment_id="ANOTHER") for number in range(60)), scene.body(60))
    # 0.4 s before each receive, and a hold of 1 s: the first are due again long before the last are reached.
    letters = dead_letters_on(scene.sqs, *scene.urls, EXACT_TIMING, hold_seconds=1)
    result = letters.redrive(Selection(shipment_id=scene.shipment_id), rate=25)
    assert (len(result.settled), result.passed_over, result.succeeded) == (1, 60, True)
    assert len(scene.visible_bodies()) == 60


def test_the_engine_says_that_its_queues_are_exact(engine: LocalEngine) -> None:
    assert find_resources(engine.client("cloudformation"), engine.environment).timing == EXACT_TIMING


def test_what_others_hide_is_not_passed_over_in_silence(shipments: QuickCommands, scene: Scene) -> None:
    scene.put(scene.body(1))
    scene.sqs.receive_message(QueueUrl=scene.urls[0], VisibilityTimeout=60)
    listed = shipments("dead-letters", "list", status=1)
    assert "About 1 more are hidden" in listed.stderr
    assert "None is visible; about 1 are hidden." in listed.stdout
    done = shipments("dead-letters", "redrive", "--json", status=1)
    assert json.loads(done.stdout)["unseen"] == 1


def test_an_export_never_replaces_a_file(shipments: QuickCommands, scene: Scene) -> None:
    scene.put(scene.body(1))
    shipments("dead-letters", "discard", "--export", "only-copy", "--yes")
    shipments("dead-letters", "export", "only-copy", status=2)
    assert (shipments.folder / "only-copy").read_text(encoding="utf-8").count("\n") == 1
    shipments("dead-letters", "redrive", "--reason", "retry_exhausted", status=2)


def test_only_what_is_chosen_is_redriven_and_the_rest_stays_visible(
    shipments: QuickCommands, scene: Scene
) -> None:
    scene.put(scene.body(1), scene.body(2), scene.body(3, shipment_id="ANOTHER"))
    done = json.loads(shipments("dead-letters", "redrive", "--shipment", scene.shipment_id, "--json").stdout)
    assert (done["redriven"], done["passed_over"]) == (2, 1)
    assert scene.visible_bodies() == [scene.body(3, shipment_id="ANOTHER")]
    scene.until(lambda: scene.stored() == ["00001", "00002"])


def test_an_event_is_corrected_on_its_way_back_and_the_original_kept(
    shipments: QuickCommands, scene: Scene
) -> None:
    broken = scene.body(1, carrier=7, weight=12.50)
    scene.put(broken)
    listed = json.loads(shipments("dead-letters", "list", "--json", status=1).stdout)
    explained = json.loads(shipments("dead-letters", "explain", listed[0]["message_id"][:8], "--json").stdout)
    assert explained["still_broken"] == "invalid_field: carrier: expected a text, got a number"
    assert "--set" in explained["next_steps"][0]["command"]

    shipments("dead-letters", "redrive", "--set", "carrier=Meridian", "--set", "location.code=ZRH",
              "--export", "originals.ndjson")  # fmt: skip

    scene.until(lambda: scene.stored() == ["00001"])
    original = json.loads((shipments.folder / "originals.ndjson").read_text(encoding="utf-8"))
    assert original["body"] == broken
    assert scene.dead() == 0
    timeline = json.loads(shipments("timeline", scene.shipment_id, "--json").stdout)
    assert timeline["detail"]["carrier"] == "Meridian"
    assert timeline["detail"]["location"] == {"code": "ZRH"}
    assert timeline["detail"]["weight"] == 12.5


def test_one_that_fails_again_is_left_and_named(shipments: QuickCommands, scene: Scene) -> None:
    scene.put(scene.body(1, carrier=7))
    done = shipments("dead-letters", "redrive", "--dry-run")
    assert "1 would be redriven; 1 of them would be quarantined again." in done.stdout
    assert "  1 times invalid_field: carrier: expected a text, got a number\n" in done.stdout
    mended = shipments("dead-letters", "redrive", "--dry-run", "--set", "carrier=Meridian")
    assert "1 would be redriven; 0 of them would be quarantined again." in mended.stdout
    assert scene.dead() == 1
    done = shipments("dead-letters", "redrive", status=1)
    assert "1 redriven" in done.stdout
    assert "1 of them still break the contract" in done.stdout
    assert "its event was redriven just now" in done.stdout
    scene.until(lambda: scene.waiting() == 0)
    assert scene.visible_bodies() == [scene.body(1, carrier=7)]


def test_discards_only_after_a_copy_is_on_disk(shipments: QuickCommands, scene: Scene) -> None:
    scene.put(scene.body(1), scene.body(2))
    shipments("dead-letters", "discard", status=2)
    shipments("dead-letters", "discard", "--export", "no/such/folder", "--yes", status=2)
    shipments("dead-letters", "discard", "--export", "copies.ndjson", status=1, stdin="n\n")
    assert len(scene.visible_bodies()) == 2
    shipments("dead-letters", "discard", "--export", "copies.ndjson", "--yes")
    copies = (shipments.folder / "copies.ndjson").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["body"] for line in copies} == {scene.body(1), scene.body(2)}
    assert scene.dead() == 0
    assert "No dead letters." in shipments("dead-letters", "list").stdout


def test_what_was_discarded_can_be_sent_from_its_copy(shipments: QuickCommands, scene: Scene) -> None:
    scene.put(scene.body(1), scene.body(2, carrier=7), scene.body(3, shipment_id="ANOTHER"))
    shipments("dead-letters", "discard", "--export", "copies.ndjson", "--yes")
    again = ("dead-letters", "redrive", "--from-export", "copies.ndjson", "--shipment", scene.shipment_id)
    planned = json.loads(shipments(*again, "--dry-run", "--json").stdout)
    assert (planned["selected"], planned["would_fail_again"]) == (2, 1)
    (why,) = planned["would_fail_again_by_reason"]
    assert "carrier: expected a text" in why
    done = json.loads(shipments(*again, "--set", "carrier=Meridian", "--json").stdout)
    assert done["redriven"] == 2
    scene.until(lambda: scene.stored() == ["00001", "00002"])
    assert scene.dead() == 0


def test_the_audit_takes_a_repair_for_one_and_a_discard_too(shipments: QuickCommands, scene: Scene) -> None:
    """What the producer's journal has is broken: only the exports say what became of it."""
    bodies = [scene.body(1, carrier=7, weight=12.50), scene.body(2, carrier=7), scene.body(3, carrier=7)]
    with JournalWriter(shipments.folder / "journal.ndjson") as journal:
        for body in bodies:
            envelope = json.loads(body)
            detail = json.dumps(envelope["detail"])
            now = datetime.now(UTC).isoformat()
            journal.write(JournalRecord(envelope["id"], now, SOURCE, envelope["detail-type"], detail))
    scene.put(*bodies)

    def audited(*exports: str, status: int) -> dict[str, Any]:
        options = [option for export in exports for option in ("--export", export)]
        shown = shipments("audit", "journal.ndjson", "--json", *options, status=status)
        found: dict[str, Any] = json.loads(shown.stdout)
        return found

    assert audited(status=0)["dead_letters"] == 3
    change = ("dead-letters", "redrive", "--export", "originals.ndjson", "--id")
    # Under another shipment too, where the audit would not look by itself.
    shipments(*change, f"{scene.shipment_id}-00001", "--set", "carrier=ACME", "--set", "weight=12.75",
              "--set", f"shipment_id={scene.shipment_id}-B")  # fmt: skip
    shipments(*change, f"{scene.shipment_id}-00002", "--set", "carrier=ACME")
    shipments("dead-letters", "discard", "--export", "discarded.ndjson", "--yes")
    scene.until(lambda: scene.stored() == ["00002"])
    scene.until(lambda: scene.waiting() == 0)

    without = audited(status=1)
    assert (len(without["missing"]), len(without["different"])) == (3, 1)
    hint = shipments("audit", "journal.ndjson", status=1).stdout
    assert "If dead letters were discarded, or changed by a redrive" in hint
    assert [one["event_id"] for one in audited("originals.ndjson", status=1)["missing"]] == ["00003"]
    whole = audited("originals.ndjson", "discarded.ndjson", status=0)
    assert (whole["stored"], whole["discarded"], whole["missing"]) == (2, 1, [])

    scene.delete("00002")
    lost = audited("originals.ndjson", "discarded.ndjson", status=1)
    assert [one["event_id"] for one in lost["missing"]] == ["00002"]
    shipments("audit", "journal.ndjson", "--export", "journal.ndjson", status=2)


def test_an_id_that_is_none_is_no_success(shipments: QuickCommands, scene: Scene) -> None:
    scene.put(scene.body(1))
    for command in (["redrive"], ["discard", "--export", "copies.ndjson", "--yes"]):
        assert "no dead letter 'zzzz'" in shipments("dead-letters", *command, "--id", "zzzz", status=2).stderr
    assert scene.dead() == 1


def test_an_export_with_a_foreign_line_is_refused_whole(shipments: QuickCommands, scene: Scene) -> None:
    scene.put(scene.body(1))
    exported = json.loads(shipments("dead-letters", "export", "copies.ndjson", "--json").stdout)
    assert exported == {"exported": 1, "exported_by_reason": {"unmatched": 1}, "file": "copies.ndjson"}
    with (shipments.folder / "copies.ndjson").open("a", encoding="utf-8") as copies:
        copies.write('{"body": 7}\n')
    refused = shipments("dead-letters", "redrive", "--from-export", "copies.ndjson", status=2)
    assert "copies.ndjson, line 2: not an exported dead letter" in refused.stderr
    assert scene.stored() == []
