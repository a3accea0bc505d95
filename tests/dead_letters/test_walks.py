"""Reading a queue and waiting for it, on queues that are as inexact as on AWS."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from shipment_events import pipeline as pipeline_module
from shipment_events.accounting.feed_run import FeedRun
from shipment_events.accounting.run import FeedRunner
from shipment_events.cli import main
from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome
from shipment_events.dead_letters.edits import Edit
from shipment_events.dead_letters.letters import NotOneLetterError, Selection
from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.dead_letters.settlement import Settlement
from shipment_events.publishing.event_files import EventText
from shipment_events.queue.queue import Drain, Queue
from shipment_events.queue.timing import AWS_TIMING, EXACT_TIMING, QueueTiming
from shipment_events.resources import Resources, find_resources
from shipment_events.stages import STAGES, StageSettings, settings_for
from shipment_events.watching import archive as archive_module
from shipment_events.watching import status as status_module
from shipment_events.watching.archive import Archive, ReplayPlan, ReplayResult
from shipment_events.watching.flow import Flow
from shipment_events.watching.replays import ArchiveContent, Replay, ReplayState
from shipment_events.watching.status import StatusReader
from tests.accounting.test_run import RememberingBus, StoredFromBus
from tests.stand_ins.bus import publisher_on
from tests.stand_ins.queues import dead_letters_on
from tests.stand_ins.sqs import BEGIN, AwsSqs, MovableClock

QUEUE = "https://sqs/queue"
LETTERS = "https://sqs/dead-letters"
COUNT = 30


def body(number: int, **fields: Any) -> str:
    detail = {
        "shipment_id": f"S-{number}",
        "event_timestamp": "2026-05-04T10:00:00Z",
        "event_type": "shipment.scanned",
        **fields,
    }
    envelope = {"id": f"e-{number:03}", "source": names.SOURCE, "detail-type": "shipment.scanned"}
    return json.dumps({**envelope, "detail": detail})


def queue_of(sqs: AwsSqs) -> Queue:
    return Queue(sqs.client, QUEUE, sqs.clock.timing)


def letters_of(sqs: AwsSqs) -> DeadLetterQueue:
    return dead_letters_on(sqs.client, LETTERS, QUEUE, sqs.clock.timing)


BODIES = [body(number) for number in range(COUNT)]


@pytest.fixture(
    params=[
        {},
        {"count_lag": 30.0},
        {"count_lag": 60.0, "false_empties": 2, "most": 3},
        {"count_lag": 60.0, "repeats": 2},
    ],
    ids=["exact", "lagging", "short answers", "repeats"],
)
def sqs(request: pytest.FixtureRequest) -> AwsSqs:
    """Thirty dead letters that have been in the queue for an hour."""
    found = AwsSqs(**request.param)
    found.put(LETTERS, *BODIES)
    found.clock.sleep(3600)
    return found


def test_redrive_that_moved_all_has_succeeded(sqs: AwsSqs) -> None:
    result = letters_of(sqs).redrive(Selection())
    assert sorted(sqs.sent) == BODIES, "each once"
    assert sqs.bodies(LETTERS) == []
    assert (len(result.settled), result.failed, result.unseen) == (COUNT, [], 0)
    assert result.succeeded


def test_redrive_of_some_leaves_the_others_visible(sqs: AwsSqs) -> None:
    result = letters_of(sqs).redrive(Selection(shipment_id="S-7"))
    assert (len(result.settled), result.passed_over, result.succeeded) == (1, COUNT - 1, True)
    assert len(letters_of(sqs).read().letters) == COUNT - 1


def test_discard_deletes_what_it_wrote_and_nothing_else(sqs: AwsSqs, tmp_path: Path) -> None:
    with (tmp_path / "copies").open("w") as copies:
        result = letters_of(sqs).discard(Selection(), copies)
    lines = (tmp_path / "copies").read_text().splitlines()
    assert sorted(json.loads(line)["body"] for line in lines) == BODIES
    assert sqs.bodies(LETTERS) == []
    assert result.succeeded


def test_reading_finds_every_dead_letter_and_leaves_it(sqs: AwsSqs) -> None:
    for _ in range(2):
        found = letters_of(sqs).read()
        assert sorted(letter.body for letter in found.letters) == BODIES
        assert found.hidden == 0


def test_what_others_hold_for_long_is_no_success() -> None:
    sqs = AwsSqs(count_lag=30)
    sqs.put(LETTERS, *BODIES)
    sqs.hide(LETTERS, 100_000)
    sqs.put(LETTERS, body(99))
    sqs.clock.sleep(3600)
    result = letters_of(sqs).redrive(Selection())
    assert (len(result.settled), result.unseen, result.succeeded) == (1, COUNT, False)
    assert sqs.clock.seconds < 3600 + 150, "the wait for others is bounded"


def test_what_a_killed_command_held_is_redriven_when_it_comes_back() -> None:
    sqs = AwsSqs(count_lag=30)
    sqs.put(LETTERS, *BODIES)
    sqs.clock.sleep(3600)
    sqs.hide(LETTERS, 20)
    result = letters_of(sqs).redrive(Selection())
    assert (len(result.settled), result.succeeded) == (COUNT, True)


def test_a_walk_ends_while_new_dead_letters_keep_coming() -> None:
    sqs = AwsSqs()
    sqs.put(LETTERS, *BODIES)
    for number in range(1_000):
        sqs.clock.at(5 * number, partial(sqs.put, LETTERS, body(100 + number)))
    found = letters_of(sqs).read()
    assert set(BODIES) <= {letter.body for letter in found.letters}
    assert sqs.clock.seconds < 60


def test_a_walk_ends_though_the_queue_hides_nothing() -> None:
    sqs = AwsSqs(repeats=1_000_000)
    sqs.put(LETTERS, *BODIES)
    found = letters_of(sqs).read()
    assert sorted(letter.body for letter in found.letters) == BODIES


def test_held_letters_stay_hidden_from_others_for_a_walk_of_any_length() -> None:
    sqs = AwsSqs()
    sqs.put(LETTERS, *BODIES)
    sqs.before_receive = lambda: sqs.clock.sleep(10)
    result = letters_of(sqs).redrive(Selection(shipment_id="none"))
    assert {one.receives for one in sqs.messages[LETTERS]} == {1}
    assert result.passed_over == COUNT


@pytest.mark.parametrize("change", ["set", "discard"])
def test_a_change_by_an_id_of_several_changes_nothing(change: str, tmp_path: Path) -> None:
    sqs = AwsSqs()
    sqs.put(LETTERS, *BODIES)
    with pytest.raises(NotOneLetterError, match=r"'e-00' matches 10 dead letters: m0000\d\d, .* and 5 more"):
        _change(sqs, change, "e-00", tmp_path)
    assert (sqs.sent, sqs.bodies(LETTERS)) == ([], BODIES)
    assert len(letters_of(sqs).read().letters) == COUNT
    assert _change(sqs, change, "e-007", tmp_path).succeeded
    assert sqs.bodies(LETTERS) == [text for text in BODIES if '"e-007"' not in text]


def _change(sqs: AwsSqs, change: str, identifier: str, folder: Path) -> Settlement:
    selection = Selection(identifier=identifier)
    with (folder / "out").open("a") as out:
        if change == "discard":
            return letters_of(sqs).discard(selection, out)
        return letters_of(sqs).redrive(selection, edits=[Edit("carrier", "ACME")], originals=out)


def test_an_empty_queue_is_believed_after_a_minute_of_zeros() -> None:
    """The first counts of 0 are older than the sent message."""
    sqs = AwsSqs(count_lag=60)
    sqs.put(QUEUE, "a")
    sqs.clock.at(100, lambda: sqs.take(QUEUE, "a"))
    drain = queue_of(sqs).wait_until_empty()
    assert (drain.is_empty, drain.waiting) == (True, 0)
    assert sqs.clock.seconds >= 100 + 90


def test_the_wait_for_an_empty_queue_is_bounded_and_says_what_is_left() -> None:
    sqs = AwsSqs(count_lag=60)
    sqs.put(QUEUE, "a", "b")
    shown: list[int] = []
    drain = queue_of(sqs).wait_until_empty(patience=30, on_progress=shown.append)
    assert drain == Drain(waiting=2)
    assert sqs.clock.seconds < 300
    assert set(shown) == {0, 2}


def test_the_wait_is_bounded_beside_live_events() -> None:
    sqs = AwsSqs()
    for number in range(1_000):
        sqs.clock.at(2 * number, partial(sqs.put, QUEUE, f"{number}"))
        sqs.clock.at(2 * number + 1, partial(sqs.take, QUEUE, f"{number}"))
    assert not queue_of(sqs).wait_until_empty().is_empty
    assert sqs.clock.seconds < 300


def test_a_replay_counts_what_came_a_minute_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of the replay are in the queue before the count includes them."""
    sqs = AwsSqs(count_lag=60)
    logged: list[str] = []

    def process(text: str) -> None:
        sqs.take(QUEUE, text)
        logged.append(text)

    def start(*_: object, **__: object) -> None:
        sqs.put(QUEUE, *BODIES)
        for number, text in enumerate(BODIES):
            sqs.clock.at(2 * number, partial(process, text))

    result = replay(sqs, start, logged, monkeypatch)
    assert result.flow.total == COUNT
    assert result.drain.is_empty


def test_a_replay_waits_for_a_failed_event_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    sqs = AwsSqs()
    stage = replace(settings_for("dev"), processor_timeout_seconds=120)

    def start(*_: object, **__: object) -> None:
        sqs.put(QUEUE, BODIES[0])
        sqs.clock.at(stage.visibility_timeout_seconds, partial(sqs.take, QUEUE, BODIES[0]))

    assert replay(sqs, start, [], monkeypatch, stage).drain.is_empty


def replay(
    sqs: AwsSqs,
    start: Callable[..., None],
    logged: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    stage: StageSettings = STAGES["dev"],
) -> ReplayResult:
    """Replay what ``start`` puts into the queue."""
    content = ArchiveContent("arn:archive", "arn:bus", 7, COUNT, 1, BEGIN)
    over = Replay(ReplayState.COMPLETED, "", BEGIN)
    monkeypatch.setattr(archive_module, "start_replay", start)
    monkeypatch.setattr(archive_module, "describe_replay", lambda *_: over)
    monkeypatch.setattr(
        archive_module, "logged_flow", lambda *_: Flow({Outcome.STORED: len(logged)}, None, "log")
    )
    now = datetime.now(UTC)
    plan = ReplayPlan("r", content, now, now, None, COUNT, COUNT, is_early=False)
    none: Any = None
    return Archive(none, stage, "archive", queue_of(sqs), none).replay(plan)


class SlowTable(StoredFromBus):
    """Has an event only after the processor stored it. Until then the event is in the queue."""

    def __init__(self, bus: RememberingBus, sqs: AwsSqs, seconds: float) -> None:
        super().__init__(bus, frozenset())
        self._sqs = sqs
        self._seconds = seconds

    def timeline(self, shipment_id: str) -> Iterator[Any]:
        return super().timeline(shipment_id) if self._sqs.clock.seconds >= self._seconds else iter(())


def run_slowly(folder: Path, sqs: AwsSqs, seconds: float) -> FeedRun:
    """A run whose event is stored after a number of seconds."""
    bus = RememberingBus()
    sqs.put(QUEUE, "in flight")
    sqs.clock.at(seconds, lambda: sqs.take(QUEUE, "in flight"))
    table: Any = SlowTable(bus, sqs, seconds)
    runner = FeedRunner(table, queue_of(sqs), letters_of(sqs), publisher_on(bus))
    feed = [EventText(1, json.dumps(json.loads(body(1))["detail"]))]
    return runner.run(feed, folder / "journal.ndjson")


@pytest.mark.parametrize("lag", [0, 30, 60])
def test_a_run_does_not_call_an_event_in_flight_lost(tmp_path: Path, lag: float) -> None:
    found = run_slowly(tmp_path, AwsSqs(count_lag=lag), 45)
    assert (found.as_json()["lost"], found.as_json()["stored"], found.succeeded) == (0, 1, True)


def test_a_run_whose_queue_does_not_empty_is_undecided(tmp_path: Path) -> None:
    found = run_slowly(tmp_path, AwsSqs(count_lag=30), 100_000)
    report = found.as_json()
    assert (report["lost"], report["undecided"], report["waiting"]) == (0, 1, 1)
    assert report["undecided_events"]
    assert not found.succeeded


def test_a_run_is_undecided_while_others_hide_dead_letters(tmp_path: Path) -> None:
    sqs = AwsSqs()
    sqs.put(LETTERS, "held by somebody")
    sqs.hide(LETTERS, 100_000)
    bus = RememberingBus()
    table: Any = StoredFromBus(bus, frozenset(["S-1"]))
    runner = FeedRunner(table, queue_of(sqs), letters_of(sqs), publisher_on(bus))
    feed = [EventText(1, json.dumps(json.loads(body(1))["detail"]))]
    found = runner.run(feed, tmp_path / "journal.ndjson")
    report = found.as_json()
    assert (report["lost"], report["undecided"], report["hidden_dead_letters"]) == (0, 1, 1)
    assert not found.succeeded


def _resources(clock: MovableClock) -> Resources:
    return Resources("bus", "archive", QUEUE, LETTERS, "table", datetime.now(UTC), timing=clock.timing)


Shipments = Callable[..., Result]


@pytest.fixture
def shipments(sqs: AwsSqs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shipments:
    """Runs a command on stand-ins of its services: the queues, an empty log and an empty table."""
    pages = SimpleNamespace(paginate=lambda **_: iter(()))
    logs = SimpleNamespace(get_paginator=lambda _: pages)
    table = SimpleNamespace(query=lambda **_: {"Items": []}, get_paginator=logs.get_paginator)
    services = {"sqs": sqs, "logs": logs, "dynamodb": table}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(boto3.Session, "client", lambda _, name, **__: services.get(name))
    monkeypatch.setattr(pipeline_module, "find_resources", lambda *_: _resources(sqs.clock))
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_every_command_that_walks_sees_every_dead_letter(shipments: Shipments, sqs: AwsSqs) -> None:
    listed = json.loads(shipments("dead-letters", "list", "--json").stdout)
    assert sorted(letter["body"] for letter in listed) == BODIES
    for number in (0, COUNT - 1):
        (line,) = shipments("trace", f"e-{number:03}", "--json").stdout.splitlines()
        assert json.loads(line)["what"] == "dead letter"
        shown = shipments("dead-letters", "show", f"e-{number:03}", "--json").stdout
        assert json.loads(shown)["body"] == BODIES[number]
        assert shipments("dead-letters", "explain", f"e-{number:03}").exit_code == 0
    exported = json.loads(shipments("dead-letters", "export", "copies", "--json").stdout)
    assert exported["exported"] == COUNT
    Path("journal").write_text("".join(map(journal_line, BODIES)), encoding="utf-8")
    audit = json.loads(shipments("audit", "journal", "--json").stdout)
    assert (audit["dead_letters"], audit["missing"], audit["hidden_dead_letters"]) == (COUNT, [], 0)
    planned = json.loads(shipments("dead-letters", "redrive", "--dry-run", "--json").stdout)
    assert planned["selected"] == COUNT
    assert sqs.bodies(LETTERS) == BODIES, "reading changes nothing"

    done = shipments("dead-letters", "discard", "--id", "e-007", "--export", "out", "--yes", "--json")
    assert (done.exit_code, json.loads(done.stdout)["discarded"]) == (0, 1)
    done = shipments("dead-letters", "redrive", "--json")
    assert (done.exit_code, json.loads(done.stdout)["redriven"]) == (0, COUNT - 1)
    assert sqs.bodies(LETTERS) == []


def test_status_samples_the_dead_letters(sqs: AwsSqs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "measured_flow", lambda *_: Flow(Counter(), None, "log"))
    metrics: Any = SimpleNamespace(oldest_message_seconds=lambda *_: None, alarms=list)
    none: Any = None
    reader = StatusReader(queue_of(sqs), letters_of(sqs), metrics, none, datetime.now(UTC), environment="dev")
    seen = reader.read(15)
    assert (seen.dead_letters.total, seen.dead_letters_by_reason) == (COUNT, {"unmatched": COUNT})


def journal_line(text: str) -> str:
    envelope = json.loads(text)
    record = {
        "envelope_id": envelope["id"],
        "sent_at": "2026-05-04T10:00:00+00:00",
        "source": envelope["source"],
        "detail_type": envelope["detail-type"],
        "detail": json.dumps(envelope["detail"]),
    }
    return json.dumps(record) + "\n"


def test_all_hidden_is_not_none(shipments: Shipments, sqs: AwsSqs) -> None:
    sqs.hide(LETTERS, 100_000)
    sqs.clock.sleep(120)
    listed = shipments("dead-letters", "list")
    assert "No dead letters." not in listed.stdout
    assert f"None is visible; about {COUNT} are hidden." in listed.stdout
    assert listed.exit_code == 1
    refused = shipments("dead-letters", "redrive", "--id", "e-001")
    assert (refused.exit_code, "no dead letter 'e-001'" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("redrive", "--id", "e-00", "--set", "carrier=ACME", "--export", "out"),
        ("redrive", "--id", "e-00", "--set", "carrier=ACME", "--dry-run"),
        ("discard", "--id", "e-00", "--export", "out", "--yes"),
        ("discard", "--id", "e-00", "--export", "out"),
    ],
)
def test_a_change_by_an_ambiguous_id_is_refused(
    shipments: Shipments, sqs: AwsSqs, arguments: tuple[str, ...]
) -> None:
    refused = shipments("dead-letters", *arguments)
    assert refused.exit_code == 2
    assert "'e-00' matches 10 dead letters: m0" in refused.stderr
    assert (sqs.sent, sqs.bodies(LETTERS)) == ([], BODIES)


def test_a_change_of_an_export_by_an_ambiguous_id_is_refused(shipments: Shipments, sqs: AwsSqs) -> None:
    for _ in range(2):
        shipments("dead-letters", "export", "copies")
    again = ("dead-letters", "redrive", "--from-export", "copies", "--set", "carrier=ACME", "--id")
    assert "matches 10 dead letters" in shipments(*again, "e-00").stderr
    assert sqs.sent == []
    assert shipments(*again, "e-007").exit_code == 0
    assert len(sqs.sent) == 1


@pytest.mark.parametrize("option", ["--id", "--shipment", "--reason", "--older-than", "--newer-than"])
@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("export", "copies"),
        ("redrive",),
        ("redrive", "--dry-run"),
        ("redrive", "--set", "carrier=X", "--export", "out"),
        ("discard", "--export", "out", "--yes"),
    ],
    ids=" ".join,
)
def test_an_empty_text_selects_nothing(command: tuple[str, ...], option: str) -> None:
    refused = CliRunner().invoke(main, ["dead-letters", *command, option, ""])
    assert (refused.exit_code, option in refused.stderr) == (2, True)


@pytest.mark.parametrize("command", ["show", "explain"])
def test_an_empty_id_shows_nothing(command: str) -> None:
    assert CliRunner().invoke(main, ["dead-letters", command, ""]).exit_code == 2


@pytest.mark.parametrize(
    ("output", "timing"),
    [({}, AWS_TIMING), ({"LocalEngineCountsAreExact": "true"}, EXACT_TIMING)],
    ids=["AWS", "local engine"],
)
def test_commands_wait_as_on_aws_unless_the_stack_is_exact(
    output: dict[str, str], timing: QueueTiming
) -> None:
    outputs = [
        "SQSQueueURL", "DeadLetterQueueURL", "ProcessorLambdaARN", "EventsTableName", "EventBusName",
        "ArchiveName",
    ]  # fmt: skip
    values = {**dict.fromkeys(outputs, "x"), **output}
    stack = {
        "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in values.items()],
        "CreationTime": BEGIN,
    }
    client: Any = SimpleNamespace(describe_stacks=lambda **_: {"Stacks": [stack]})
    assert find_resources(client, "dev").timing == timing


def test_the_careful_times_are_those_of_aws() -> None:
    assert AWS_TIMING.settling_seconds > 60, "counts take about a minute"
    assert AWS_TIMING.poll_seconds * AWS_TIMING.empty_polls <= 10, "a person waits for a list"
    assert 0 < EXACT_TIMING.poll_seconds <= 1, "a receive that does not wait asks a part of the servers"
