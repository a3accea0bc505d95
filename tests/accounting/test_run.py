"""The account of a run: it rests on what the bus answered, and a run that lost anything has not succeeded."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from shipment_events.accounting.audit import shipment_id_of
from shipment_events.accounting.feed_run import FeedRun
from shipment_events.accounting.read_side import ReadSideAccount
from shipment_events.accounting.run import FeedRunner
from shipment_events.contract.exact_json import loads
from shipment_events.publishing.event_files import EventText
from shipment_events.queue.queue import Queue
from shipment_events.table.item import StoredEvent
from shipment_events.table.store import EventTable
from tests.stand_ins.bus import Entry, FakeBus, publisher_on
from tests.stand_ins.queues import dead_letters_on
from tests.stand_ins.sqs import AwsSqs

REFUSAL = "NotAuthorizedForSourceException"


class RememberingBus(FakeBus):
    """A bus that knows which entry got which id, and takes no event of the refused shipments."""

    def __init__(self, refused: frozenset[str] = frozenset()) -> None:
        super().__init__(
            lambda entries: [REFUSAL if shipment_of(entry) in refused else None for entry in entries]
        )
        self.delivered: dict[str, Entry] = {}

    def _result(self, entry: Entry, code: str | None) -> dict[str, str]:
        result = super()._result(entry, code)
        if "EventId" in result:
            self.delivered[result["EventId"]] = entry
        return result


class StoredFromBus:
    """A table that holds what the bus delivered, but for the lost shipments."""

    def __init__(self, bus: RememberingBus, lost: frozenset[str]) -> None:
        self._bus = bus
        self._lost = lost

    def timeline(self, shipment_id: str) -> Iterator[StoredEvent]:
        for envelope_id, entry in self._bus.delivered.items():
            if shipment_of(entry) == shipment_id and shipment_id not in self._lost:
                now = datetime.now(UTC).isoformat()
                detail = loads(entry["Detail"])
                yield StoredEvent("key", "PROCESSED", detail["event_id"], now, envelope_id, detail)


def shipment_of(entry: Entry) -> str:
    shipment_id: str = json.loads(entry["Detail"])["shipment_id"]
    return shipment_id


def run(
    folder: Path, shipments: Sequence[str], *, refused: str | None = None, lost: str | None = None
) -> FeedRun:
    return run_feed(folder, texts(shipments), refused=refused, lost=lost)


def run_feed(
    folder: Path,
    feed: Iterator[EventText | None],
    *,
    refused: str | None = None,
    lost: str | None = None,
    rate: float | None = None,
    delivery_seconds: float = 0.0,
    read_side: Any = None,
) -> FeedRun:
    bus = RememberingBus(frozenset([refused] if refused else []))
    table = StoredFromBus(bus, frozenset([lost] if lost else []))
    sqs = AwsSqs()
    timing = replace(sqs.clock.timing, delivery_seconds=delivery_seconds)
    runner = FeedRunner(
        cast("EventTable", table),
        Queue(sqs.client, "queue", timing),
        dead_letters_on(sqs.client, "dead-letter-queue", "queue", timing),
        publisher_on(bus),
        read_side=read_side,
    )
    return runner.run(feed, folder / "journal.ndjson", rate=rate)


def texts(shipments: Sequence[str]) -> Iterator[EventText]:
    for position, shipment in enumerate(shipments, start=1):
        event = {
            "shipment_id": shipment,
            "event_timestamp": "2025-03-01T14:05:00Z",
            "event_type": "shipment.departed",
        }
        yield EventText(position, json.dumps(event))


def test_run_that_finds_every_event_has_succeeded(tmp_path: Path) -> None:
    found = run(tmp_path, ["S-1", "S-2"])
    assert (found.reconciliation.published, found.reconciliation.stored) == (2, 2)
    assert found.succeeded


def test_read_side_looks_at_the_shipments_of_the_last_events_first(tmp_path: Path) -> None:
    class AskedFor:
        ids: Sequence[str] = ()

        def account(self, ids: Sequence[str], *_: object, **__: object) -> ReadSideAccount:
            self.ids = ids
            return ReadSideAccount()

    asked = AskedFor()
    run_feed(tmp_path, texts(["S-1", "S-2", "S-3", "S-1"]), read_side=asked)
    assert asked.ids == ["S-1", "S-3", "S-2"]


def test_lost_event_is_named_and_the_run_has_failed(tmp_path: Path) -> None:
    found = run(tmp_path, ["S-1", "S-2", "S-3"], lost="S-2")
    report = found.as_json()
    assert (report["published"], report["stored"], report["lost"]) == (3, 2, 1)
    assert report["lost_events"] == [record.envelope_id for record in found.reconciliation.lost]
    assert not found.succeeded


def test_journal_holds_what_the_bus_took_and_nothing_else(tmp_path: Path) -> None:
    """An event that the bus refused is unsent: it cannot be lost, and the producer still has it."""
    found = run(tmp_path, ["S-1", "S-2", "S-3"], refused="S-2")
    journal = [json.loads(line) for line in (tmp_path / "journal.ndjson").read_text().splitlines()]
    assert [json.loads(record["detail"])["shipment_id"] for record in journal] == ["S-1", "S-3"]
    assert (found.reconciliation.published, found.reconciliation.lost) == (2, [])
    assert found.unsent_by_error == {REFUSAL: 1}
    assert not found.succeeded


@pytest.mark.parametrize("rate", [None, 100.0])
def test_a_pause_and_an_interrupt_of_the_feed_leave_no_receipt_out_of_the_journal(
    tmp_path: Path, rate: float | None
) -> None:
    journal = tmp_path / "journal.ndjson"

    def feed() -> Iterator[EventText | None]:
        yield from texts(["S-1", "S-2", "S-3"])
        deadline = time.monotonic() + 10
        while len(journal.read_text().splitlines()) < 3:
            assert time.monotonic() < deadline, "a pause holds receipts back"
            time.sleep(0.01)
            yield None
        yield from texts(["S-4"])
        yield None
        time.sleep(0.1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_feed(tmp_path, feed(), rate=rate)
    assert len(journal.read_text().splitlines()) == 4


def test_a_line_that_no_bus_accepts_is_counted_and_no_failure(tmp_path: Path) -> None:
    """A producer's broken line reaches no pipeline, so there is nothing to account for; the help says so."""
    found = run_feed(tmp_path, iter([*texts(["S-1"]), EventText(2, "broken")]))
    assert (found.as_json()["refused_by_reason"], found.succeeded) == ({"invalid_json": 1}, True)


def test_an_event_that_the_bus_may_still_deliver_is_undecided(tmp_path: Path) -> None:
    """EventBridge tries again for hours, and the archive and the queue say nothing of it meanwhile."""
    feed = texts(["S-1", "S-2"])
    report = (found := run_feed(tmp_path, feed, lost="S-2", delivery_seconds=7200)).as_json()
    assert (report["lost"], report["undecided"], len(report["undecided_events"])) == (0, 1, 1)
    sent_at = found.reconciliation.lost[0].sent_at
    ends_at = datetime.fromisoformat(report["delivery_ends_at"])
    whole_second = datetime.fromisoformat(sent_at).replace(microsecond=0)
    assert ends_at == whole_second + timedelta(hours=2)
    assert not found.succeeded


def test_what_the_bus_has_given_up_is_lost(tmp_path: Path) -> None:
    report = run_feed(tmp_path, texts(["S-1"]), lost="S-1", delivery_seconds=0.001).as_json()
    assert (report["lost"], report["undecided"], report["delivery_ends_at"]) == (1, 0, None)


@pytest.mark.parametrize(
    ("value", "found"),
    [("é" * 1024, "é" * 1024), ("é" * 1024 + "x", ""), ("\ud800", ""), ("", ""), (7, ""), (None, "")],
)
def test_only_what_can_be_a_key_is_searched_for(value: object, found: str) -> None:
    assert shipment_id_of(json.dumps({"shipment_id": value})) == found
