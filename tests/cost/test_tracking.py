"""What tracking costs, worked out by hand, and the means of the feed that the bill assumes."""

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from shipment_events.contract.event import parse_event
from shipment_events.contract.exact_json import canonical_json, loads
from shipment_events.cost import tracking
from shipment_events.cost.bill import Bill, compared, monthly_bill
from shipment_events.cost.designs import OURS
from shipment_events.cost.limits import exceeded
from shipment_events.cost.workload import DAYS_A_MONTH, ENVELOPE_BYTES, SECONDS_A_MONTH, Workload
from shipment_events.publishing.entries import prepare_text
from shipment_events.stages import settings_for
from shipment_events.table.item import Write
from shipment_events.tracking.batch import Tracking
from shipment_events.tracking.changes import Change
from shipment_events.tracking.item import tracked_item
from shipment_events.tracking.news import news_of_item
from shipment_events.tracking.state import Reading, must_be_read
from shipment_events.tracking.step import Tracked, fold_records
from shipment_events.tracking.telemetry import report_batch
from tests.stand_ins.fakes import FakeTable
from tests.table.test_store import insert, wire_bytes
from workbench.feed import Shares, generate

PROD = settings_for("prod")
RETENTION = timedelta(days=PROD.event_retention_days)


def lines(bill: Bill) -> dict[str, float]:
    return {line.usage.item: line.usd for line in bill.lines if line.usage.service == "Tracking"}


def test_a_million_events_by_hand() -> None:
    """A month of a million events in all, none twice, at 0.38 a second on four shards."""
    workload = Workload(events_per_day=1e6 / DAYS_A_MONTH, duplicate_share=0)
    found = lines(monthly_bill(workload, PROD, OURS))
    # 16 polls a second find hardly ever two records.
    assert found["function, requests"] == pytest.approx(0.20 * 0.988, rel=0.001)
    seconds = (0.988e6 * tracking.BATCH_MS + 1e6 * tracking.RECORD_MS) / 1000
    assert found["function, duration at 512 MB"] == pytest.approx(seconds / 2 * 0.0000133334, rel=0.001)
    assert found["reads of states"] == pytest.approx(0.125)
    assert found["writes of states"] == pytest.approx(0.625)
    # A shipment of 4.2 events: 3 entries, then 6 writes an event, and 1 less for the last one.
    assert found["writes of their indexes"] == pytest.approx((3 + 3.2 * 6 - 1) / 4.2 * 0.625)
    kept = 1e6 / 4.2 * 780 / 1e9 * 90 / DAYS_A_MONTH
    assert found["storage of states and indexes"] == pytest.approx(3 * kept * 0.25)
    assert found["point-in-time recovery of states"] == pytest.approx(kept * 0.20)
    assert found["changes"] == pytest.approx(0.9)
    assert found["archive of changes, ingestion"] == pytest.approx(0.9 * 0.62 * 0.10)


def test_a_stage_without_tracking_pays_nothing_for_it() -> None:
    workload = Workload(events_per_day=1e6)
    without = replace(PROD, tracking=False)
    assert not lines(monthly_bill(workload, without, OURS))
    assert monthly_bill(workload, without, OURS).usd < monthly_bill(workload, PROD, OURS).usd


def test_every_design_has_the_same_tracking() -> None:
    ours, *others = map(lines, compared(Workload(events_per_day=1e6), PROD))
    assert all(other == pytest.approx(ours) for other in others)


@pytest.mark.parametrize(("a_second", "batches"), [(0.001, 0.001), (16, 10.1), (400, 16.0), (40_000, 400.0)])
def test_batches_fill_with_the_rate(a_second: float, batches: float) -> None:
    """Each shard is polled four times a second; an empty poll is no batch, and a full one is not enough."""
    workload = Workload(events_per_day=a_second * 86_400, duplicate_share=0)
    assert tracking.batches_per_second(workload, PROD) == pytest.approx(batches, rel=0.01)


def test_says_that_the_states_fall_behind() -> None:
    def sentences(a_second: float) -> list[str]:
        workload = Workload(events_per_day=a_second * 86_400, duplicate_share=0)
        settings = replace(PROD, status_index_shards=100)
        return [each for each in exceeded(workload, settings, OURS) if "Tracking" in each]

    assert not sentences(499)
    assert len(sentences(501)) == 1


def stored_events() -> Iterator[dict[str, Any]]:
    table = FakeTable()
    for line in generate(3_000, shares=Shares(broken=0, repeat=0)):
        insert(table, Write.of(parse_event(loads(prepare_text(line.text).detail)), "0" * 36))
    yield from table.items.values()


def folded() -> tuple[int, list[Tracked], list[Change]]:
    """The number of events of the feed, and the states and changes that they make one by one."""
    events, states, changes = 0, [], []
    items = sorted(stored_events(), key=lambda item: item["shipment_id"]["S"])
    for shipment_id, group in groupby(items, key=lambda item: item["shipment_id"]["S"]):
        tracked, known = None, []
        for item in group:
            events += 1
            if news := news_of_item(item):
                known.append(news)
                reading = None
                if must_be_read(tracked.state if tracked else None, [news]):
                    reading = Reading.taken(known, datetime.now(UTC), RETENTION)
                step = fold_records(shipment_id, tracked, [news], reading)
                changes += step.changes
                tracked = replace(step.tracked, version=step.tracked.version + 1)
        if tracked:
            states.append(tracked)
    return events, states, changes


def test_means_are_those_of_the_feed() -> None:
    events, states, changes = folded()
    assert events / len(states) == pytest.approx(tracking.SHIPMENT_EVENTS, rel=0.15)
    assert len(changes) / events == pytest.approx(tracking.CHANGES_AN_EVENT, rel=0.1)
    sizes = [
        sum(len(name) + wire_bytes(TypeSerializer().serialize(value)) for name, value in item.items())
        for item in (tracked_item(each, RETENTION) for each in states)
    ]
    assert sum(sizes) / len(sizes) == pytest.approx(tracking.STATE_BYTES, rel=0.1)
    details = [len(canonical_json(each.detail)) + ENVELOPE_BYTES for each in changes]
    assert sum(details) / len(details) == pytest.approx(tracking.CHANGE_BYTES, rel=0.1)


def test_line_of_a_batch_is_as_long_as_the_bill_says() -> None:
    printed = io.StringIO()
    with redirect_stdout(printed):
        report_batch(
            Tracking(settled_at=datetime.now(UTC)), "prod", "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "12"
        )
    # The age of the slowest record is missing here.
    assert len(printed.getvalue()) == pytest.approx(tracking.BATCH_LOG_BYTES, rel=0.15)


def test_rates_are_of_stored_events() -> None:
    workload = Workload(events_per_day=86_400, duplicate_share=0.5)
    assert tracking.records_per_second(workload) == pytest.approx(0.5)
    assert pytest.approx(DAYS_A_MONTH * 86_400) == SECONDS_A_MONTH
