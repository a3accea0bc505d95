"""A view of a large table costs little more than the query that it needs."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.testclient import TestClient

from shipment_events.console.access import Access
from shipment_events.console.app import create_app
from shipment_events.contract.names import SHIPMENT_STATUS_INDEX, table_name
from shipment_events.pipeline import Pipeline
from shipment_events.table.item import ATTRIBUTES, ItemTimes, parameters_json, prepare_write
from tests.dead_letters.test_walks import body
from tests.integration.conftest import LocalEngine
from workbench.engine.clients import engine_pipeline

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

SHIPMENTS: Final = 5_000
EVENTS_OF_EACH: Final = 20
MOST_TIMES: Final = 3
PORT: Final = 8765
BEGIN: Final = datetime(2026, 5, 4, tzinfo=UTC)


def copy_of_table(client: Any, name: str) -> str:
    """An empty table with the keys and indexes of another, without its stream."""
    like = client.describe_table(TableName=name)["Table"]
    copy = f"{name}-large"
    indexes = [
        {key: index[key] for key in ("IndexName", "KeySchema", "Projection")}
        for index in like["GlobalSecondaryIndexes"]
    ]
    client.create_table(
        TableName=copy, BillingMode="PAY_PER_REQUEST", KeySchema=like["KeySchema"],
        AttributeDefinitions=like["AttributeDefinitions"], GlobalSecondaryIndexes=indexes,
    )  # fmt: skip
    return copy


def put_all(client: Any, table: str, items: Iterator[dict[str, Any]]) -> None:
    while some := list(islice(items, 25)):
        requests = [{"PutRequest": {"Item": item}} for item in some]
        assert not client.batch_write_item(RequestItems={table: requests})["UnprocessedItems"]


def events() -> Iterator[dict[str, Any]]:
    """The items of all events."""
    _, write = prepare_write(body(1, carrier="Meridian", description="in the air", event_id="E"))
    values = json.loads(parameters_json(write, ItemTimes.of(BEGIN, timedelta(days=90))))
    item = dict(zip(ATTRIBUTES, values, strict=True))
    for shipment in range(SHIPMENTS):
        for number in range(EVENTS_OF_EACH):
            moment = (BEGIN + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            yield item | {
                "shipment_id": {"S": f"S-{shipment:05}"},
                "event_timestamp": {"S": f"{moment}#E-{number:02}"},
            }


def states() -> Iterator[dict[str, Any]]:
    latest = {"event_type": "shipment.departed", "event_id": "E", "location": "ZRH"}
    for shipment in range(SHIPMENTS):
        yield {
            "shipment_id": {"S": f"S-{shipment:05}"},
            "status": {"S": "in_transit"},
            "latest_at": {"S": f"2026-05-04T10:00:00.{shipment:06}Z"},
            "carrier": {"S": "Meridian"},
            "latest_event": {"M": {name: {"S": value} for name, value in latest.items()}},
        }


@pytest.fixture(scope="module")
def large(engine: LocalEngine) -> Iterator[Pipeline]:
    """The pipeline, with 100,000 events in a table of their own and the states of their shipments."""
    client = engine.client("dynamodb")
    pipeline = engine_pipeline(engine.endpoint, engine.environment)
    names = [table_name(engine.environment), engine.outputs["ShipmentsTableName"]]
    own = [copy_of_table(client, name) for name in names]
    for table, items in zip(own, (events(), states()), strict=True):
        put_all(client, table, items)
    pipeline.resources = replace(pipeline.resources, table_name=own[0], shipments_table_name=own[1])
    yield pipeline
    for table in own:
        client.delete_table(TableName=table)


def seconds(act: Callable[[], Any]) -> float:
    """The median time of an act."""
    times = []
    for _ in range(15):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def test_a_view_takes_at_most_three_times_its_query(
    large: Pipeline, engine: LocalEngine, tmp_path: Path
) -> None:
    access = Access(PORT)
    app = create_app(large, access, copies=tmp_path, allow_changes=False)
    client = engine.client("dynamodb")
    shipment = f"S-{SHIPMENTS - 1:05}"
    value = {":value": {"S": shipment}}
    of_shipment = {
        "TableName": large.table.name, "KeyConditionExpression": "shipment_id = :value",
        "ExpressionAttributeValues": value, "ConsistentRead": True,
    }  # fmt: skip
    of_status = {
        "TableName": large.shipments.name, "IndexName": SHIPMENT_STATUS_INDEX, "Limit": 101,
        "KeyConditionExpression": "#status = :value", "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":value": {"S": "in_transit"}}, "ScanIndexForward": False,
    }  # fmt: skip
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}") as browser:
        browser.get(access.address)
        for path, query, rows in (
            (f"/panels/timeline?id={shipment}", of_shipment, EVENTS_OF_EACH),
            ("/panels/list?status=in_transit", of_status, 101),
        ):
            assert len(client.query(**query)["Items"]) == rows
            shown = browser.get(path).text
            assert shown.count("<details") + shown.count('<th scope="row">') == min(rows, 100)
            queried = seconds(partial(client.query, **query))
            viewed = seconds(partial(browser.get, path))
            assert viewed <= MOST_TIMES * queried, (path, viewed, queried)
