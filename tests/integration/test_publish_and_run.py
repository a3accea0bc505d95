"""The commands on the deployed pipeline: publish a file, read a timeline, run a feed and account for it."""

import gzip
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from shipment_events.accounting.read_side import ReadSide, ReadSideAccount
from shipment_events.accounting.reconcile import QueuedEvent, Reconciliation, TableEvent, reconcile
from shipment_events.contract import names
from shipment_events.contract.outcome import Reason
from shipment_events.publishing.journal import read_journal
from shipment_events.publishing.publisher import Publisher
from shipment_events.queue.queue import Queue
from shipment_events.queue.timing import EXACT_TIMING
from shipment_events.table.item import CONFLICT
from shipment_events.table.store import EventTable
from tests.integration.commands import Commands, exported
from tests.integration.conftest import ROOT, LocalEngine
from tests.stand_ins.queues import dead_letters_on
from workbench.engine.subscriber import subscribe
from workbench.feed import Shares, generate

pytestmark = pytest.mark.engine

AIR_CARGO: Final = ROOT.parent / "shared" / "data" / "air_cargo_events.ndjson.gz"
EVENTS: Final = 800
SEED: Final = 20_250
# So that there are enough of every kind.
BROKEN_SHARE: Final = 0.05

Item = dict[str, Any]


@dataclass(frozen=True)
class Runs(Commands):
    """Commands, and runs with their reports."""

    engine: LocalEngine

    def report(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self("run", *arguments, "--json", status=status).stdout)
        on_disk = json.loads((self.folder / ".local" / "report.json").read_text(encoding="utf-8"))
        assert on_disk == report
        return report


@pytest.fixture
def shipments(engine: LocalEngine, tmp_path: Path) -> Runs:
    environment = exported(engine.endpoint)
    return Runs(tmp_path, {**environment, "ENV": engine.environment, "COLUMNS": "200"}, engine)


def wait_until_stored(engine: LocalEngine, shipment_id: str, count: int) -> None:
    table = EventTable(engine.client("dynamodb"), engine.outputs[names.OUTPUT_TABLE_NAME])
    deadline = time.monotonic() + 20
    while len(list(table.timeline(shipment_id))) < count:
        assert time.monotonic() < deadline, f"{shipment_id} has not {count} events in time"
        time.sleep(0.05)


def wait_until_processed(engine: LocalEngine) -> None:
    deadline = time.monotonic() + 20
    queue = Queue(engine.client("sqs"), engine.outputs[names.OUTPUT_QUEUE_URL])
    while queue.depth().total:
        assert time.monotonic() < deadline, "the queue is not empty in time"
        time.sleep(0.05)


def event(moment: str, event_type: str, **fields: Any) -> dict[str, Any]:
    return {
        "shipment_id": "PUB-1",
        "event_timestamp": moment,
        "event_type": f"shipment.{event_type}",
        **fields,
    }


def test_publishes_a_mixed_file_and_shows_its_timeline(shipments: Runs) -> None:
    lines = [
        event(
            "2025-03-02T09:00:00+09:00", "delivered", event_id="3", location={"city": "東京", "country": "JP"}
        ),
        event("2025-03-01T14:05:00+01:00", "departed", event_id="1", weight_kg=12.5),
        event("2025-03-01T13:05:00Z", "departed", event_id="1", weight_kg=12.50),
        event("2025-03-01T14:05:00+01:00", "departed", event_id="1", weight_kg=13),
        event("2025-03-01T18:00:00Z", "arrived", description="[bold]Łódź"),
        {"shipment_id": "PUB-1"},
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\nno json\n"
    (shipments.folder / "mixed.ndjson").write_text(text, encoding="utf-8")
    published = shipments("publish", "mixed.ndjson", "--json", status=1)
    assert [line.split(": ")[0] for line in published.stderr.splitlines()] == [
        "mixed.ndjson:6",
        "mixed.ndjson:7",
    ]
    assert json.loads(published.stdout)["accepted"] == 5
    wait_until_stored(shipments.engine, "PUB-1", 4)

    items = [json.loads(line) for line in shipments("timeline", "PUB-1", "--json").stdout.splitlines()]
    moments = [item["event_timestamp"] for item in items]
    assert moments == sorted(moments)
    assert [item["detail"]["event_type"].removeprefix("shipment.") for item in items] == [
        "departed", "departed", "arrived", "delivered",
    ]  # fmt: skip
    assert [item["processing_status"] for item in items] == [
        "PROCESSED",
        "CONFLICT",
        "PROCESSED",
        "PROCESSED",
    ]
    assert {item["detail"].get("weight_kg") for item in items[:2]} == {12.5, 13}

    rows = shipments("timeline", "PUB-1").stdout.splitlines()
    shown = [row for row in rows if "2025-03-0" in row]
    assert [next(word for word in ("departed", "arrived", "delivered") if word in row) for row in shown] == [
        "departed", "departed", "arrived", "delivered",
    ]  # fmt: skip
    assert ["CONFLICT" in row for row in shown] == [False, True, False, False]
    assert "[bold]Łódź" in shown[2]
    assert "東京" in shown[3]
    # The same file once more changes nothing.
    shipments("publish", "mixed.ndjson", status=1)
    wait_until_processed(shipments.engine)
    assert len(shipments("timeline", "PUB-1", "--json").stdout.splitlines()) == 4


def test_names_a_bus_that_is_not_there(shipments: Runs) -> None:
    (shipments.folder / "one.ndjson").write_text(
        json.dumps(event("2025-01-01T00:00:00Z", "x")), encoding="utf-8"
    )
    said = shipments("--env", "staging", "publish", "one.ndjson", status=2).stderr
    assert said.startswith("Error: no event bus shipmentevents-staging at ")
    assert "make up" in said


def feed_file(folder: Path) -> tuple[str, Counter[str]]:
    """A feed, and how many of its lines must be quarantined for each reason."""
    lines = list(generate(EVENTS, seed=SEED, shares=Shares(broken=BROKEN_SHARE)))
    path = folder / "feed.ndjson"
    path.write_text("".join(f"{line.text}\n" for line in lines), encoding="utf-8")
    return str(path), Counter(line.expected_reason for line in lines if line.expected_reason)


# What PutEvents does not take, or would change: what is no JSON object, has a key twice, or a number that it
# would round.
NEVER_ON_THE_BUS: Final = {Reason.INVALID_JSON, Reason.INVALID_ENVELOPE, Reason.DUPLICATE_KEY}


def test_a_run_accounts_for_every_event_and_a_second_one_changes_nothing(shipments: Runs) -> None:
    path, expected = feed_file(shipments.folder)
    queue = subscribe(shipments.engine.endpoint, shipments.engine.environment)
    first = shipments.report(path, "--subscriber", queue)
    states, changes = first["states"], first["changes"]
    assert (states["different"], changes["missing"], changes["impossible"]) == (0, 0, 0)
    assert states["shipments"] > 100
    assert changes["received"] > states["shipments"]
    assert states["caught_up_seconds"] > 0
    assert (
        first["lost"] == first["doubled"] == first["altered"] == first["unexpected"] == first["unsent"] == 0
    )
    assert first["published"] + first["refused"] == EVENTS
    assert first["published"] == sum(
        first[name] for name in ("stored", "duplicate", "conflict", "quarantined")
    )
    assert first["conflict"] > 0
    assert first["duplicate"] > 0
    assert first["quarantined"] > 0
    found = Counter(first["quarantined_by_reason"]) + Counter(first["refused_by_reason"])
    assert found == expected
    assert set(first["refused_by_reason"]) <= NEVER_ON_THE_BUS | {Reason.NUMBER_OUT_OF_RANGE}
    assert not NEVER_ON_THE_BUS & set(first["quarantined_by_reason"])
    assert first["latency_ms"]["p99"] >= first["latency_ms"]["p50"] > 0

    second = shipments.report(path, "--subscriber", queue)
    assert (second["states"]["different"], second["states"]["caught_up_seconds"]) == (0, None)
    changes = second["changes"]
    assert (changes["received"], changes["missing"]) == (0, 0)
    same = ("published", "stored", "duplicate", "conflict", "quarantined", "quarantined_by_reason", "refused")
    assert {name: second[name] for name in same} == {name: first[name] for name in same}
    assert second["lost"] == second["doubled"] == second["altered"] == 0


@pytest.mark.slow
def test_a_generated_feed_runs_and_shows_a_timeline(shipments: Runs) -> None:
    shown = shipments("run", "-", stdin="".join(f"{line.text}\n" for line in generate(300, seed=77))).stdout
    assert "published" in shown
    assert "Shipment " in shown


def test_a_file_that_breaks_off_is_accounted_for_to_its_end_and_fails(shipments: Runs) -> None:
    lines = [line.text for line in generate(250, seed=31, shares=Shares(broken=0))]
    text = "[\n" + ",\n".join(lines) + ",\n{"
    (shipments.folder / "cut.json").write_text(text, encoding="utf-8")
    report = shipments.report("cut.json", status=1)
    assert report["published"] == 250
    assert report["lost"] == report["doubled"] == 0
    assert report["input_error"].startswith("cut.json: element 251: the array is broken here")


def story(shipment_id: str) -> list[dict[str, Any]]:
    steps = enumerate(("picked_up", "departed", "delivered"))
    return [
        {**event(f"2025-04-01T0{number}:00:00Z", step), "shipment_id": shipment_id} for number, step in steps
    ]


def falsify_state(engine: LocalEngine, shipment_id: str) -> None:
    engine.client("dynamodb").update_item(
        TableName=engine.outputs[names.OUTPUT_SHIPMENTS_TABLE_NAME],
        Key={"shipment_id": {"S": shipment_id}},
        UpdateExpression="SET #status = :status REMOVE delivered_at",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": "exception"}},
    )


def test_a_wrong_state_and_a_change_that_did_not_arrive_are_found(shipments: Runs) -> None:
    engine, client = shipments.engine, shipments.engine.client("dynamodb")
    subscriber = Queue(engine.client("sqs"), subscribe(engine.endpoint, engine.environment), EXACT_TIMING)
    Publisher(engine.client("events"), engine.outputs[names.OUTPUT_EVENT_BUS_NAME]).publish(story("TOLD"))
    wait_until_stored(engine, "TOLD", 3)
    name = engine.outputs[names.OUTPUT_SHIPMENTS_TABLE_NAME]
    table = EventTable(client, engine.outputs[names.OUTPUT_TABLE_NAME])

    def account(subscriber: Queue | None, patience: float) -> ReadSideAccount:
        # An account has what its own queue gave, so each one is a new subscriber.
        return ReadSide(table, client, name, subscriber, patience=patience).account(["TOLD"], lambda _: True)

    assert account(subscriber, 20).succeeded
    # The queue is empty now, as if nothing had been announced.
    assert account(subscriber, 0).findings == {
        "missing": ["TOLD: shipment.status_changed to delivered, from None: not announced"]
    }
    falsify_state(engine, "TOLD")
    assert account(None, 0).findings == {"different": ["TOLD: delivered_at, status"]}
    client.delete_item(TableName=name, Key={"shipment_id": {"S": "TOLD"}})
    ((different,),) = account(None, 0).findings.values()
    assert "latest_event" in different


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_says_which_state_is_wrong_and_which_change_is_missing(shipments: Runs) -> None:
    engine, events = shipments.engine, shipments.engine.client("events")
    queue = subscribe(engine.endpoint, engine.environment)

    def run(shipment_id: str, status: int) -> tuple[str, dict[str, Any]]:
        text = "\n".join(map(json.dumps, story(shipment_id)))
        shown = shipments("run", "-", "--subscriber", queue, stdin=text, status=status).stdout
        report = json.loads((shipments.folder / ".local" / "report.json").read_text(encoding="utf-8"))
        return shown, report

    shown, report = run("SHOWN-1", 0)
    assert report["states"]["caught_up_seconds"] < 10
    assert "announced; 0 repeats" in shown
    falsify_state(engine, "SHOWN-1")
    shown, report = run("SHOWN-1", 1)
    assert "different: SHOWN-1: delivered_at, status" in shown
    assert (report["states"]["different"], report["states"]["caught_up_seconds"]) == (1, None)

    rule = f"shipmentstatus-subscriber-{engine.environment}"
    bus = names.status_bus_name(engine.environment)
    events.disable_rule(Name=rule, EventBusName=bus)
    try:
        shown, report = run("SHOWN-2", 1)
    finally:
        events.enable_rule(Name=rule, EventBusName=bus)
    assert "missing: SHOWN-2: shipment.status_changed to delivered, from None: not announced" in shown
    assert (report["states"]["different"], report["changes"]["missing"]) == (0, 1)


@pytest.fixture
def stored_run(shipments: Runs) -> Iterator[Callable[[], Reconciliation]]:
    """Fifty events of a run of its own; gives a way to look again at what became of them."""
    texts = [
        json.dumps(
            {**event("2025-04-01T00:00:00Z", "scanned"), "shipment_id": f"SAB-{number}", "event_id": "1"}
        )
        for number in range(50)
    ]
    (shipments.folder / "sabotage.ndjson").write_text("\n".join(texts), encoding="utf-8")
    shipments.report("sabotage.ndjson")
    engine = shipments.engine
    table = EventTable(engine.client("dynamodb"), engine.outputs[names.OUTPUT_TABLE_NAME])

    def look() -> Reconciliation:
        items = itertools.chain.from_iterable(table.timeline(f"SAB-{number}") for number in range(50))
        url = engine.outputs[names.OUTPUT_DEAD_LETTER_QUEUE_URL]
        letters = dead_letters_on(engine.client("sqs"), url, "none", EXACT_TIMING).read().letters
        with (shipments.folder / ".local" / "journal.ndjson").open(encoding="utf-8") as journal:
            return reconcile(
                read_journal(journal),
                (
                    TableEvent(i.correlation_id, i.status, datetime.fromisoformat(i.stored_at), i.detail)
                    for i in items
                ),
                (QueuedEvent(letter.envelope_id, letter.reason) for letter in letters),
            )

    yield look
    for number in range(50):
        for item in raw_items(engine, f"SAB-{number}"):
            delete(engine, item)


def raw_items(engine: LocalEngine, shipment_id: str) -> list[Item]:
    items: list[Item] = engine.client("dynamodb").query(
        TableName=engine.outputs[names.OUTPUT_TABLE_NAME],
        KeyConditionExpression="shipment_id = :id",
        ExpressionAttributeValues={":id": {"S": shipment_id}},
    )["Items"]
    return items


def delete(engine: LocalEngine, item: Item) -> None:
    key = {name: item[name] for name in (names.PARTITION_KEY, names.SORT_KEY)}
    engine.client("dynamodb").delete_item(TableName=engine.outputs[names.OUTPUT_TABLE_NAME], Key=key)


def put(engine: LocalEngine, item: Item) -> None:
    engine.client("dynamodb").put_item(TableName=engine.outputs[names.OUTPUT_TABLE_NAME], Item=item)


def test_sabotage_of_table_and_queue_is_found(
    shipments: Runs, stored_run: Callable[[], Reconciliation]
) -> None:
    engine = shipments.engine
    assert (stored_run().stored, stored_run().lost, stored_run().doubled) == (50, [], [])

    (item,) = raw_items(engine, "SAB-7")
    delete(engine, item)
    found = stored_run()
    assert [json.loads(record.detail)["shipment_id"] for record in found.lost] == ["SAB-7"]
    assert not found.doubled
    put(engine, item)

    changed = {**item, "detail": {"M": {**item["detail"]["M"], "weight": {"N": "1"}}}}
    put(engine, changed)
    found = stored_run()
    assert (len(found.lost), len(found.altered)) == (1, 1)
    put(engine, item)
    assert (stored_run().stored, stored_run().lost, stored_run().doubled) == (50, [], [])

    (item,) = raw_items(engine, "SAB-9")
    phantom = {
        **item,
        names.SORT_KEY: {"S": item[names.SORT_KEY]["S"] + "-phantom"},
        # Conflicts count for no state, so the run does not wait for it.
        names.STATUS_ATTRIBUTE: {"S": CONFLICT},
    }
    put(engine, phantom)
    report = shipments.report("sabotage.ndjson", status=1)
    assert (report["doubled"], report["lost"], report["states"]["different"]) == (1, 0, 0)
    assert report["doubled_events"][0].endswith("2 times in the table")


def test_runs_real_air_cargo_events(shipments: Runs) -> None:
    if not AIR_CARGO.exists():
        pytest.skip("needs the air cargo events in ../shared/data, which are no part of the repository")
    with gzip.open(AIR_CARGO, "rb") as whole, gzip.open(shipments.folder / "air.ndjson.gz", "wb") as part:
        part.writelines(itertools.islice(whole, 3_000))
    report = shipments.report("air.ndjson.gz")
    assert report["published"] == report["stored"] == 3_000
    assert report["lost"] == report["doubled"] == report["refused"] == 0
