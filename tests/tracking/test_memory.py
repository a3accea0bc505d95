"""The tracker's memory: a process of its own reads the worst shipments that the table can hold."""

import json
import subprocess
import sys
import tracemalloc
from typing import Any, Final

import pytest

from benchmarks.peak_memory import peak_resident_bytes
from shipment_events.table.store import EventTable
from shipment_events.tracking import history
from shipment_events.tracking.history import read_history
from shipment_events.tracking.news import UnfoldableError, news_of_item
from tests.tracking.histories import NOON, stored
from tests.tracking.services import item_of

# Of the function's 512 MB, beside a batch's own records.
MOST_BYTES: Final = 350_000_000
PAGE_BYTES: Final = 1_000_000
# Fields of an event, and its bytes as DynamoDB counts them.
SHAPES: Final[dict[str, tuple[dict[str, Any], int]]] = {
    "small events": ({}, 400),
    "copies of 2 KB": (dict.fromkeys(("carrier", "description", "reason_code"), "x" * 2048), 6_500),
    "locations of digits": ({"location": {"": [7] * 1_000}}, 3_500),
    "descriptions of 390 KB": ({"description": "x" * 390_000}, 390_000),
    "390 KB of digits": ({"digits": [7] * 130_000}, 390_000),
}


class EndlessTable:
    """DynamoDB with a shipment that has no last page. Each page is parsed."""

    def __init__(self, fields: dict[str, Any], size: int) -> None:
        self._fields, self._size = fields, size

    def query(self, **request: Any) -> dict[str, Any]:
        number = int(request.get("ExclusiveStartKey", {}).get("page", {}).get("N", 0))
        one = json.dumps(item_of(stored(NOON, "ID", "shipment.departed", **self._fields)))
        items = ",".join(one.replace("ID", f"{number}-{i}") for i in range(PAGE_BYTES // self._size))
        page: dict[str, Any] = json.loads(f'{{"Items":[{items}]}}')
        return page | {"LastEvaluatedKey": {"page": {"N": str(number + 1)}}}


def peak_of(shape: str) -> int:
    """Peak memory of reading the shipment, which ends at one of the bounds."""
    client: Any = EndlessTable(*SHAPES[shape])
    try:
        read_history(EventTable(client, "events"), "S-1", lambda: True)
    except UnfoldableError:
        return peak_resident_bytes()
    raise AssertionError("the shipment has no bound")


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_reading_of_the_worst_shipment_fits(shape: str) -> None:
    code = f"from tests.tracking.test_memory import peak_of; print(peak_of({shape!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= MOST_BYTES


@pytest.mark.parametrize("shape", ["small events", "copies of 2 KB", "locations of digits"])
def test_news_takes_no_more_memory_than_is_counted(shape: str) -> None:
    fields, _ = SHAPES[shape]
    items: list[Any] = [
        item_of(stored(NOON, f"{number}", "shipment.departed", **fields)) for number in range(200)
    ]
    tracemalloc.start()
    try:
        # As in a fold.
        news = {one.place: one for one in map(news_of_item, items) if one}
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken <= sum(map(history.bytes_of, news.values()))
