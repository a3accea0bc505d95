"""The HTTP API of the deployed stack, over HTTP: who may call it, and which ids reach their shipment how."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from shipment_events.api_client import ApiClient
from shipment_events.cli import main
from shipment_events.contract import names
from shipment_events.table.item import ItemTimes, attribute_json, prepare_write
from shipment_events.table.results import Inserted
from shipment_events.table.store import EventTable, slices
from shipment_events.tracking.item import tracked_item
from shipment_events.tracking.news import news_of
from shipment_events.tracking.state import fold
from shipment_events.tracking.step import Tracked
from tests.integration.conftest import LocalEngine
from tests.stand_ins.fakes import RETENTION
from workbench.engine.clients import environment_variables, local_session

pytestmark = pytest.mark.engine

BY_PATH: Final = ("api-1", "grüße aus łódź", "a b", "a+b", "a&b=c#d", "a'b\"c", "日本")
BY_QUERY: Final = (*BY_PATH, "a/b", "a%2Fb", "50%", "a?b", "../x")


def put_shipments(engine: LocalEngine) -> None:
    """Store an event and the state of each shipment, as processor and tracker do."""
    client = engine.client("dynamodb")
    events = EventTable(client, engine.outputs[names.OUTPUT_TABLE_NAME])
    writes = []
    for shipment_id in BY_QUERY:
        event = {
            "shipment_id": shipment_id,
            "event_timestamp": "2026-03-01T12:00:00Z",
            "event_type": "shipment.returned",
            "tracking_number": "api-number",
        }
        body = {"id": "c", "source": names.SOURCE, "detail-type": "shipment.returned", "detail": event}
        writes.append(prepare_write(json.dumps(body))[1])
    for part in slices(writes):
        times = ItemTimes.of(datetime.now(UTC), RETENTION)
        assert events.insert(part, times) == [Inserted()] * len(part)
    for shipment_id in BY_QUERY:
        news = [one for stored in events.timeline(shipment_id) if (one := news_of(stored))]
        item = tracked_item(Tracked(fold(shipment_id, news)), RETENTION)
        attributes = {name: json.loads(attribute_json(value)) for name, value in item.items()}
        client.put_item(TableName=engine.outputs[names.OUTPUT_SHIPMENTS_TABLE_NAME], Item=attributes)


@pytest.fixture(scope="module")
def api(engine: LocalEngine) -> Iterator[ApiClient]:
    put_shipments(engine)
    yield ApiClient(local_session(), engine.outputs[names.OUTPUT_API_URL])
    client = engine.client("dynamodb")
    for shipment_id in BY_QUERY:
        key = {"shipment_id": {"S": shipment_id}}
        client.delete_item(TableName=engine.outputs[names.OUTPUT_SHIPMENTS_TABLE_NAME], Key=key)


def found(api: ApiClient, target: str) -> Any:
    answer = api.get(target)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def test_without_a_signature_it_is_forbidden(api: ApiClient) -> None:
    with pytest.raises(HTTPError) as refusal:
        urlopen(f"{api.url}/shipments/api-1")  # noqa: S310 - of the engine
    assert refusal.value.code == 403


@pytest.mark.parametrize("shipment_id", BY_PATH)
def test_an_id_reaches_its_shipment_by_path(api: ApiClient, shipment_id: str) -> None:
    assert found(api, f"/shipments/{quote(shipment_id, safe='')}")["shipment_id"] == shipment_id


@pytest.mark.parametrize("shipment_id", BY_QUERY)
def test_any_id_reaches_its_shipment_by_query(api: ApiClient, shipment_id: str) -> None:
    (shipment,) = found(api, f"/shipments?{urlencode({'shipment_id': shipment_id})}")["shipments"]
    (event,) = found(api, f"/events?{urlencode({'shipment_id': shipment_id})}")["events"]
    assert shipment["shipment_id"] == event["detail"]["shipment_id"] == shipment_id


def test_what_the_gateway_decodes_never_shows_another_shipment(api: ApiClient) -> None:
    """A slash gives another route; a percent sign has two meanings, so the API refuses it in a path."""
    for shipment_id in set(BY_QUERY) - set(BY_PATH):
        for path in (quote(shipment_id, safe=""), quote(quote(shipment_id, safe=""), safe="")):
            answer = api.get(f"/shipments/{path}")
            shown = json.loads(answer.body).get("shipment_id", shipment_id)
            assert answer.status in (200, 400, 404)
            assert shown == shipment_id


def test_an_unchanged_state_is_304_without_a_body(api: ApiClient) -> None:
    first = api.get("/shipments/api-1")
    again = api.get("/shipments/api-1", etag=first.headers["etag"])
    assert (again.status, again.body) == (304, "")
    assert again.headers["etag"] == first.headers["etag"]


def test_a_changed_cursor_is_a_problem(api: ApiClient) -> None:
    query = "/shipments?tracking_number=api-number&limit=3"
    cursor = found(api, query)["next_cursor"]
    assert len(found(api, f"{query}&cursor={cursor}")["shipments"]) == 3
    for place in range(0, len(cursor), 5):
        other = "A" if cursor[place] != "A" else "B"
        answer = api.get(f"{query}&cursor={cursor[:place]}{other}{cursor[place + 1 :]}")
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "invalid_cursor")


def command(engine: LocalEngine, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["api", "get", *arguments], env=environment_variables(engine.endpoint))


@pytest.mark.usefixtures("api")
def test_the_command_prints_the_answer_and_tells_what_is_missing(engine: LocalEngine) -> None:
    answer = command(engine, "/shipments?shipment_id=a%2Fb")
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["shipments"][0]["shipment_id"] == "a/b"
    whole = json.loads(command(engine, "/shipments/api-1", "--json").stdout)
    assert (whole["status"], whole["body"]["shipment_id"]) == (200, "api-1")
    again = command(engine, "/shipments/api-1", "--etag", whole["headers"]["etag"])
    assert (again.exit_code, again.stdout) == (0, "")
    assert "Nothing has changed" in again.stderr
    missing = command(engine, "/shipments/none")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "There is no such shipment" in missing.stderr
    for wrong, said in (
        ("shipments", "begins with a slash"),
        ("/shipments/a b", "percent-encoded"),
        ("/shipment", "answered 404: Not Found"),
        ("/shipments?limit=1000&status=returned", "expected a number from 1 to 100"),
    ):
        refused = command(engine, wrong)
        assert refused.exit_code == 2
        assert said in refused.stderr
