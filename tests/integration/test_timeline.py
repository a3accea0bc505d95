"""The events of one shipment on the engine, in both directions."""

from datetime import UTC, datetime, timedelta
from itertools import islice

from shipment_events.contract import names
from shipment_events.contract.event import parse_event
from shipment_events.table.item import ItemTimes, Write
from shipment_events.table.results import Inserted
from shipment_events.table.store import EventTable
from tests.integration.conftest import LocalEngine
from tests.stand_ins.fakes import RETENTION

SHIPMENT = "TIMELINE-1"
# A page of a query has at most 1 MB, so these are on several.
LARGE = "x" * 300_000


def test_the_latest_events_are_read_first_across_pages(engine: LocalEngine) -> None:
    table = EventTable(engine.client("dynamodb"), engine.outputs[names.OUTPUT_TABLE_NAME])
    begin = datetime(1999, 7, 1, tzinfo=UTC)
    for hour in range(7):
        detail = {
            "shipment_id": SHIPMENT, "event_timestamp": (begin + timedelta(hours=hour)).isoformat(),
            "event_type": "shipment.departed", "event_id": f"E-{hour}", "note": LARGE,
        }  # fmt: skip
        times = ItemTimes.of(datetime.now(UTC), RETENTION)
        assert table.insert([Write.of(parse_event(detail), "correlation")], times) == [Inserted()]
    expected = [f"E-{hour}" for hour in range(7)]
    assert [one.event_id for one in table.timeline(SHIPMENT)] == expected
    backwards = islice(table.timeline(SHIPMENT, latest_first=True), 5)
    assert [one.event_id for one in backwards] == expected[:1:-1]
