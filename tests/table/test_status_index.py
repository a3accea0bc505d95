"""The index by status, in one partition or spread over several: what is written, and how it is read."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.contract.event import parse_event
from shipment_events.processor.settings import ProcessorSettings
from shipment_events.resources import find_resources
from shipment_events.table.item import CONFLICT, PROCESSED, ItemTimes, StoredEvent, Write
from shipment_events.table.store import EventTable
from tests.processor.test_handler import ENVIRONMENT, import_handler
from tests.stand_ins.fakes import RETENTION, TABLE, FakeTable

NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)
TIMES: Final = ItemTimes.of(NOW, RETENTION)
BEGIN: Final = datetime(2026, 2, 1, tzinfo=UTC)


def write(number: int, moment: datetime = BEGIN, *, conflict: bool = False) -> Write:
    event = parse_event(
        {
            "shipment_id": f"S-{number}",
            "event_timestamp": moment.isoformat(),
            "event_type": "shipment.departed",
            "event_id": f"E-{number}",
        }
    )
    one = Write.of(event, "correlation")
    return one.beside() if conflict else one


@dataclass
class IndexOf:
    """A client that queries the index, two items a page, as the service would."""

    table: FakeTable
    asked: list[str] = field(default_factory=list)

    def get_paginator(self, operation: str) -> "IndexOf":
        assert operation == "query"
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        assert request["IndexName"] == "status-timestamp-index"
        assert "ConsistentRead" not in request, "an index cannot be read consistently"
        values = {name: value["S"] for name, value in request["ExpressionAttributeValues"].items()}
        self.asked.append(values[":status"])
        found = sorted(
            (
                item
                for item in self.table.items.values()
                if item["processing_status"]["S"] == values[":status"]
                and values[":begin"] <= item["event_timestamp"]["S"] <= values[":end"]
            ),
            key=lambda item: item["event_timestamp"]["S"],
            reverse=not request["ScanIndexForward"],
        )
        for start in range(0, len(found) + 1, 2):
            yield {"Items": found[start : start + 2]}


def read(
    table: FakeTable,
    shards: int | None,
    status: str = PROCESSED,
    since: datetime = BEGIN,
    until: datetime = NOW,
    **order: bool,
) -> list[StoredEvent]:
    client: Any = IndexOf(table)
    return list(EventTable(client, TABLE, shards=shards).by_status(status, since, until, **order))


def index_values(table: FakeTable) -> Counter[str]:
    return Counter(item["processing_status"]["S"] for item in table.items.values())


def insert(table: FakeTable, shards: int | None, *writes: Write) -> None:
    for start in range(0, len(writes), 25):
        EventTable(table.client, TABLE, shards=shards).insert(writes[start : start + 25], TIMES)


def test_without_shards_the_status_is_the_index_key() -> None:
    table = FakeTable()
    insert(table, None, write(1), write(2, conflict=True))
    assert index_values(table) == {"PROCESSED": 1, "CONFLICT": 1}


def test_shards_are_even_enough_for_one_to_be_no_hot_partition() -> None:
    table = FakeTable()
    insert(table, 16, *(write(number) for number in range(4_000)))
    counts = index_values(table)
    assert counts.keys() == {f"PROCESSED#{shard}" for shard in range(16)}
    assert max(counts.values()) < 1.25 * 4_000 / 16


def test_conflicts_are_spread_too() -> None:
    table = FakeTable()
    insert(table, 4, *(write(number, conflict=True) for number in range(100)))
    assert index_values(table).keys() == {f"CONFLICT#{shard}" for shard in range(4)}


def test_a_redelivery_has_the_shard_of_the_first_delivery() -> None:
    first, second = FakeTable(), FakeTable()
    one = write(1)
    insert(first, 100, one)
    insert(second, 100, replace(one, correlation_id="another delivery"))
    assert index_values(first) == index_values(second)


def test_readers_see_no_shards() -> None:
    table = FakeTable()
    insert(table, 8, write(1))
    (found,) = read(table, 8)
    assert found.status == PROCESSED


@given(
    hours=st.lists(st.integers(0, 200), max_size=30),
    shards=st.sampled_from([None, 2, 7]),
    since=st.integers(0, 200),
    length=st.integers(-10, 200),
)
def test_a_window_is_read_whole_and_in_order(
    hours: list[int], shards: int | None, since: int, length: int
) -> None:
    table = FakeTable()
    writes = [write(n, BEGIN + timedelta(hours=hour), conflict=n % 5 == 0) for n, hour in enumerate(hours)]
    insert(table, shards, *writes)
    begin, end = BEGIN + timedelta(hours=since), BEGIN + timedelta(hours=since + length)
    for status in (PROCESSED, CONFLICT):
        expected = sorted(
            one.sort_key
            for one, hour in zip(writes, hours, strict=True)
            if one.is_conflict == (status == CONFLICT) and since <= hour < since + length
        )
        assert [event.sort_key for event in read(table, shards, status, begin, end)] == expected
        backwards = read(table, shards, status, begin, end, latest_first=True)
        assert [event.sort_key for event in backwards] == expected[::-1]


def test_window_is_in_utc_whatever_its_offset() -> None:
    table = FakeTable()
    insert(table, None, write(1, datetime.fromisoformat("2026-02-01T12:00:00+00:00")))

    def found(since: str, until: str) -> int:
        return len(read(table, None, PROCESSED, datetime.fromisoformat(since), datetime.fromisoformat(until)))

    assert found("2026-02-01T14:00:00+02:00", "2026-02-01T14:00:01+02:00") == 1
    assert found("2026-02-01T12:00:00+02:00", "2026-02-01T14:00:00+02:00") == 0


def test_events_from_before_the_shards_are_found_with_more_shards_too() -> None:
    table = FakeTable()
    for number, shards in enumerate([None, 4, 32]):
        insert(table, shards, *(write(10 * number + n, BEGIN + timedelta(minutes=n)) for n in range(5)))
    assert len(read(table, 32)) == 15


def test_function_is_told_of_the_shards_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ProcessorSettings.from_environment(ENVIRONMENT).status_index_shards is None
    sharded = ProcessorSettings.from_environment(ENVIRONMENT | {"STATUS_INDEX_SHARDS": "16"})
    assert sharded.status_index_shards == 16
    module = import_handler(monkeypatch, STATUS_INDEX_SHARDS="16")
    table = FakeTable()
    monkeypatch.setattr(
        module._PROCESSOR.table,
        "_send",
        lambda request: table.client.batch_execute_statement(**json.loads(request)),
    )
    module._PROCESSOR.table.insert([write(1)], TIMES)
    (value,) = index_values(table)
    assert value.startswith("PROCESSED#")


@pytest.mark.parametrize(("output", "shards"), [({}, None), ({"StatusIndexShards": "16"}, 16)])
def test_readers_are_told_of_the_shards_by_the_stack(output: dict[str, str], shards: int | None) -> None:
    names = (
        "SQSQueueURL", "DeadLetterQueueURL", "ProcessorLambdaARN", "EventsTableName", "EventBusName",
        "ArchiveName",
    )  # fmt: skip
    outputs = [{"OutputKey": k, "OutputValue": v} for k, v in {**dict.fromkeys(names, "x"), **output}.items()]

    class Client:
        describe_stacks: Callable[..., Any] = staticmethod(
            lambda **_: {"Stacks": [{"Outputs": outputs, "CreationTime": NOW}]}
        )

    client: Any = Client()
    assert find_resources(client, "dev").status_index_shards == shards
