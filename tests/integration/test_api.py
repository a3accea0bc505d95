"""The API's function over real tables of the engine: pages, cursors, tags, and ids of any text."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from shipment_events.table.item import ItemTimes, attribute_json, prepare_write
from shipment_events.table.results import Inserted
from shipment_events.table.store import EventTable, slices
from shipment_events.tracking.item import tracked_item
from shipment_events.tracking.news import News, news_of
from shipment_events.tracking.state import fold
from shipment_events.tracking.step import Tracked
from tests.integration.conftest import LocalEngine
from tests.integration.tables import make_events_table, make_shipments_table
from tests.processor.test_handler import Context
from tests.stand_ins.fakes import RETENTION
from workbench.engine.clients import environment_variables

pytestmark = pytest.mark.engine

EVENTS: Final = "api-events"
SHIPMENTS: Final = "api-shipments"
MODULE: Final = "shipment_events.api.handler"
NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
ODD_IDS: Final = (
    "a", "a/b", "a%2Fb", "50%", "a?b=c", "grüße aus łódź", " ", "..", "a+b", "a&b#c", "\x01", "日" * 600,
)  # fmt: skip

Call = Callable[..., dict[str, Any]]


def event(shipment_id: str, minute: int, kind: str = "departed", **fields: Any) -> dict[str, Any]:
    moment = (NOON + timedelta(minutes=minute)).isoformat()
    return {"shipment_id": shipment_id, "event_timestamp": moment, "event_type": f"shipment.{kind}"} | fields


def history() -> Iterator[dict[str, Any]]:
    for number in range(25):
        yield event(f"S-{number:02}", number, "picked_up", event_id="p", tracking_number=f"T-{number % 2}")
    for minute in range(25):
        yield event("long", minute, event_id=f"e{minute:02}", weight=1.50)
    for minute in range(4):
        yield event("large", minute, event_id=f"{minute}", description="\x01" * 300_000)
    deep: Any = "x"
    for _ in range(27):
        deep = {"a": deep}
    yield event("deep", 1, "delivered", location=deep)
    for number, odd in enumerate(ODD_IDS):
        yield event(odd, number, "returned", event_id="r", note=odd)


def fill(client: Any) -> None:
    """Store events and states as processor and tracker do."""
    bodies = [
        json.dumps({"id": "c", "source": "shipment.service", "detail-type": one["event_type"], "detail": one})
        for one in history()
    ]
    table = EventTable(client, EVENTS)
    writes = [prepare_write(body)[1] for body in bodies]
    for part in slices(writes):
        times = ItemTimes.of(datetime.now(UTC), RETENTION)
        assert table.insert(part, times) == [Inserted()] * len(part)
    for shipment_id in {write.shipment_id for write in writes}:
        news: list[News] = [one for stored in table.timeline(shipment_id) if (one := news_of(stored))]
        item = tracked_item(Tracked(fold(shipment_id, news)), RETENTION)
        attributes = {name: json.loads(attribute_json(value)) for name, value in item.items()}
        client.put_item(TableName=SHIPMENTS, Item=attributes)


@pytest.fixture(scope="module")
def tables(engine: LocalEngine) -> LocalEngine:
    client = engine.client("dynamodb")
    make_events_table(client, EVENTS)
    make_shipments_table(client, SHIPMENTS)
    fill(client)
    return engine


@pytest.fixture(scope="module")
def call(tables: LocalEngine) -> Call:
    """Invoke the function as API Gateway does."""
    settings = {"ENVIRONMENT": "dev", "EVENTS_TABLE_NAME": EVENTS, "SHIPMENTS_TABLE_NAME": SHIPMENTS}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in (settings | environment_variables(tables.endpoint)).items():
            patched.setenv(name, value)
        patched.delitem(sys.modules, MODULE, raising=False)
        module = importlib.import_module(MODULE)

    def invoke(
        path: str, in_path: str | None = None, *, tag: str | None = None, **query: Any
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "version": "2.0",
            "routeKey": f"GET {path}",
            "rawQueryString": urlencode(query),
            "headers": {"accept": "*/*", **({"if-none-match": tag} if tag else {})},
        }
        if in_path is not None:
            request["pathParameters"] = {"id": in_path}
        answer: dict[str, Any] = module.handler(request, Context())
        return answer

    return invoke


def body(answer: dict[str, Any], status: int = 200) -> Any:
    assert answer["statusCode"] == status, answer["body"][:500]
    return json.loads(answer["body"])


def pages(call: Call, name: str, path: str, *args: str, **query: Any) -> Iterator[list[Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = body(call(path, *args, **query, **cursor))
        yield page[name]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def test_a_state_has_every_attribute_of_the_contract(call: Call) -> None:
    assert body(call("/shipments/{id}", "S-03")) == {
        "shipment_id": "S-03",
        "status": "picked_up",
        "status_at": "2026-03-01T12:03:00.000000Z",
        "latest_at": "2026-03-01T12:03:00.000000Z",
        "latest_event": {
            "event_id": "p",
            "event_type": "shipment.picked_up",
            "location": None,
            "description": None,
            "reason_code": None,
        },
        "first_at": "2026-03-01T12:03:00.000000Z",
        "carrier": None,
        "tracking_number": "T-1",
        "estimated_delivery": None,
        "delivered_at": None,
    }


@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_id_of_any_text_reaches_its_shipment_by_query(call: Call, odd: str) -> None:
    (shipment,) = body(call("/shipments", shipment_id=odd))["shipments"]
    assert shipment["shipment_id"] == odd
    (stored,) = body(call("/events", shipment_id=odd))["events"]
    assert stored["detail"]["note"] == odd


def test_a_shipment_that_is_not_there(call: Call) -> None:
    for path in ("/shipments/{id}", "/shipments/{id}/events"):
        assert body(call(path, "none"), 404)["code"] == "not_found"
    assert body(call("/shipments", shipment_id="none")) == {"shipments": [], "next_cursor": None}
    assert body(call("/events", shipment_id="none")) == {"events": [], "next_cursor": None}


@pytest.mark.parametrize("limit", [1, 7, 25, 100])
def test_pages_have_each_shipment_once_the_latest_first(call: Call, limit: int) -> None:
    found = [
        one
        for page in pages(call, "shipments", "/shipments", status="picked_up", limit=limit)
        for one in page
    ]
    assert [one["shipment_id"] for one in found] == [f"S-{number:02}" for number in reversed(range(25))]
    numbered = pages(call, "shipments", "/shipments", tracking_number="T-1", limit=limit)
    assert [one["shipment_id"] for page in numbered for one in page] == [
        f"S-{number:02}" for number in range(23, 0, -2)
    ]


def test_before_excludes_its_own_moment(call: Call) -> None:
    query = {"status": "picked_up", "before": "2026-03-01T12:05:00+00:00"}
    found = [one for page in pages(call, "shipments", "/shipments", **query, limit=2) for one in page]
    assert [one["shipment_id"] for one in found] == [f"S-{number:02}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("limit", [1, 7, 25, 100])
def test_pages_have_each_event_once_in_order(call: Call, limit: int) -> None:
    found = [
        one for page in pages(call, "events", "/shipments/{id}/events", "long", limit=limit) for one in page
    ]
    assert [one["event_id"] for one in found] == [f"e{minute:02}" for minute in range(25)]
    assert found[3] == {
        "event_id": "e03",
        "at": "2026-03-01T12:03:00.000000Z",
        "stored_at": found[3]["stored_at"],
        "conflict": False,
        "detail": event("long", 3, event_id="e03", weight=1.5),
    }


def test_large_events_come_in_several_pages(call: Call) -> None:
    """A function's response has at most 6 MB, and JSON escapes make an event six times as long."""
    path, sizes = "/shipments/{id}/events", []
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = call(path, "large", **cursor)
        sizes.append(len(json.dumps(answer)))
        page = body(answer)
        found += [one["event_id"] for one in page["events"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == ["0", "1", "2", "3"]
    assert max(sizes) < 6 * 1024 * 1024


def test_the_deepest_event_is_shown(call: Call) -> None:
    state = body(call("/shipments/{id}", "deep"))
    (stored,) = body(call("/events", shipment_id="deep"))["events"]
    assert state["latest_event"]["location"] == stored["detail"]["location"]


def test_an_unchanged_state_is_told_by_reading_one_item(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    first = call("/shipments/{id}", "S-01")
    again = call("/shipments/{id}", "S-01", tag=first["headers"]["ETag"])
    assert (again["statusCode"], again["body"]) == (304, "")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["status"], line["not_modified"]) for line in lines] == [(200, 0), (304, 1)]


def test_a_changed_state_has_another_tag(call: Call, tables: LocalEngine) -> None:
    tag = call("/shipments/{id}", "S-24")["headers"]["ETag"]
    client = tables.client("dynamodb")
    key = {"shipment_id": {"S": "S-24"}}
    item = client.get_item(TableName=SHIPMENTS, Key=key)["Item"]
    client.put_item(TableName=SHIPMENTS, Item={**item, "carrier": {"S": "DHL"}})
    try:
        assert body(call("/shipments/{id}", "S-24", tag=tag))["carrier"] == "DHL"
    finally:
        client.put_item(TableName=SHIPMENTS, Item=item)
    assert call("/shipments/{id}", "S-24", tag=tag)["statusCode"] == 304


def test_a_cursor_serves_its_own_query_only(call: Call) -> None:
    cursor = body(call("/shipments", status="picked_up", limit=2))["next_cursor"]
    own = body(call("/shipments", status="picked_up", limit=5, cursor=cursor))
    assert len(own["shipments"]) == 5
    for path, query in (
        ("/shipments", {"status": "delivered"}),
        ("/shipments", {"tracking_number": "T-1"}),
        ("/shipments", {"status": "picked_up", "before": "2026-03-01T12:05:00Z"}),
        ("/events", {"shipment_id": "long"}),
    ):
        assert body(call(path, **query, cursor=cursor), 400)["code"] == "invalid_cursor"


@pytest.mark.parametrize("query", [{}, {"status": "delivered", "shipment_id": "a"}, {"limit": 3}])
def test_exactly_one_property_is_needed(call: Call, query: dict[str, Any]) -> None:
    assert body(call("/shipments", **query), 400)["parameter"] == "query"


@pytest.mark.parametrize("name", ["before", "cursor"])
def test_one_shipment_has_no_pages(call: Call, name: str) -> None:
    query = {"shipment_id": "a", name: "2026-01-01T00:00:00Z"}
    assert body(call("/shipments", **query), 400)["parameter"] == name


def test_lines_have_no_text_of_the_client(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    call("/shipments/{id}", "S-01")
    call("/shipments", shipment_id="secret")
    call("/shipments", secret="x")
    lines = capsys.readouterr().out
    assert "S-01" not in lines
    assert "secret" not in lines
    assert [json.loads(line)["refused"] for line in lines.splitlines()] == [0, 0, 1]
