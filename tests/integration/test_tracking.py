"""The tracker as a function of the local engine: fed by a table's stream, with real tables, bus and queues.

The test makes all of it through the API, so that it stands by itself.
"""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from shipment_events.table.item import ItemTimes, StoredEvent, prepare_write, value_of_attribute
from shipment_events.table.results import Inserted
from shipment_events.table.store import EventTable, slices
from tests.integration.conftest import ROOT, LocalEngine
from tests.stand_ins.fakes import RETENTION
from tests.tracking import oracle
from tests.tracking.announced import check

pytestmark = pytest.mark.engine

EVENTS: Final = "tracked-events"
SHIPMENTS: Final = "tracked-shipments"
BUS: Final = "tracked-bus"
FAILURES: Final = "tracked-failures"
SUBSCRIBER: Final = "tracked-subscriber"
FUNCTION: Final = "tracked-tracker"
NOW: Final = datetime.now(UTC)

Client = Callable[[str], Any]


def bundle() -> bytes:
    """The package as it lies in the source tree; functions see botocore besides."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted((ROOT / "src").rglob("*.py")):
            archive.write(path, str(path.relative_to(ROOT / "src")))
    return buffer.getvalue()


def make_table(client: Client, name: str, *keys: str, stream: bool = False) -> str:
    """Returns the ARN of its stream, or an empty text."""
    kinds = ("HASH", "RANGE")
    answer = client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, kinds, strict=False)],
        **({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}} if stream else {}),
    )
    return str(answer["TableDescription"].get("LatestStreamArn", ""))


def make_queue(client: Client, name: str) -> tuple[str, str]:
    """URL and ARN."""
    url = client("sqs").create_queue(QueueName=name)["QueueUrl"]
    attributes = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return url, attributes["QueueArn"]


@pytest.fixture(scope="module")
def client(engine: LocalEngine) -> Iterator[Client]:
    client = engine.client
    stream = make_table(client, EVENTS, "shipment_id", "event_timestamp", stream=True)
    make_table(client, SHIPMENTS, "shipment_id")
    failures, failures_arn = make_queue(client, FAILURES)
    _, subscriber_arn = make_queue(client, SUBSCRIBER)
    client("events").create_event_bus(Name=BUS)
    pattern = json.dumps({"source": ["shipment.tracker"]})
    client("events").put_rule(Name="all", EventBusName=BUS, EventPattern=pattern)
    client("events").put_targets(
        Rule="all", EventBusName=BUS, Targets=[{"Id": "queue", "Arn": subscriber_arn}]
    )
    client("lambda").create_function(
        FunctionName=FUNCTION,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/tracker",
        Handler="shipment_events.tracking.handler.handler",
        Timeout=60,
        Code={"ZipFile": bundle()},
        Environment={
            "Variables": {
                "ENVIRONMENT": "test",
                "EVENTS_TABLE_NAME": EVENTS,
                "SHIPMENTS_TABLE_NAME": SHIPMENTS,
                "STATUS_BUS_NAME": BUS,
                "FAILURES_QUEUE_URL": failures,
                "EVENT_RETENTION_DAYS": str(RETENTION.days),
            }
        },
    )
    mapping = client("lambda").create_event_source_mapping(
        FunctionName=FUNCTION,
        EventSourceArn=stream,
        StartingPosition="TRIM_HORIZON",
        BatchSize=100,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=5,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        FilterCriteria={"Filters": [{"Pattern": json.dumps({"eventName": ["INSERT"]})}]},
        DestinationConfig={"OnFailure": {"Destination": failures_arn}},
    )
    yield client
    client("lambda").delete_event_source_mapping(UUID=mapping["UUID"])


def write(client: Client, *events: dict[str, Any]) -> None:
    """Store events as the processor does."""
    bodies = [
        json.dumps({"id": "c", "source": "shipment.service", "detail-type": one["event_type"], "detail": one})
        for one in events
    ]
    writes = [prepare_write(body)[1] for body in bodies]
    table = EventTable(client("dynamodb"), EVENTS)
    for part in slices(writes):
        assert table.insert(part, ItemTimes.of(datetime.now(UTC), RETENTION)) == [Inserted()] * len(part)


def event(shipment_id: str, minute: int, kind: str, **fields: Any) -> dict[str, Any]:
    moment = (NOW - timedelta(days=1) + timedelta(minutes=minute)).isoformat()
    return {"shipment_id": shipment_id, "event_timestamp": moment, "event_type": f"shipment.{kind}"} | fields


def stories() -> Iterator[dict[str, Any]]:
    for number in range(60):
        yield event(f"S-{number}", 1, "picked_up", event_id=f"p{number}", carrier="DHL")
        yield event(f"S-{number}", 3, "delivered", event_id="d", tracking_number=f"T-{number % 7}")
        yield event(f"S-{number}", 2, "departed", location={"city": "Łódź", "detail": [1.5, None]})
        if number % 3 == 0:
            yield event(f"S-{number}", 4, "update", retracts="d")
    yield event("large", 1, "picked_up", description="x" * 390_000)
    yield event("large", 2, "departed", location={"x": "y" * 390_000})
    yield event("numbers", 1, "picked_up", tracking_number="1" * 3000)
    yield event("numbers", 2, "departed", tracking_number="")
    yield event("times", 1, "departed", event_id="é" * 400)
    yield event("times", 2, "delivered", event_timestamp="2099-01-01T00:00:00Z")
    yield event("times", 3, "picked_up", event_timestamp="0001-01-01T00:00:00Z")
    yield event("\x01\x1f" + "s" * 2046, 1, "out_for_delivery", estimated_delivery="2026-01-01T00:00+01:00")


def states(client: Client) -> dict[str, dict[str, Any]]:
    own = {"shipment_id", "version", "memory", "expires_at"}
    items = client("dynamodb").scan(TableName=SHIPMENTS)["Items"]
    return {
        item["shipment_id"]["S"]: {
            name: value_of_attribute(value) for name, value in item.items() if name not in own
        }
        for item in items
    }


def received(client: Client, queue: str) -> list[Any]:
    url = client("sqs").get_queue_url(QueueName=queue)["QueueUrl"]
    bodies = []
    while (
        messages := client("sqs")
        .receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        .get("Messages", [])
    ):
        bodies += [json.loads(message["Body"]) for message in messages]
    return bodies


def test_states_and_changes_follow_what_is_stored(client: Client) -> None:
    events = list(stories())
    table = EventTable(client("dynamodb"), EVENTS)
    write(client, *events)
    ids = {one["shipment_id"] for one in events}
    wanted = {one: oracle.attributes(list[StoredEvent](table.timeline(one))) for one in ids}
    deadline = time.monotonic() + 20
    while (found := states(client)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == wanted
    assert received(client, FAILURES) == []
    announced = received(client, SUBSCRIBER)
    for one in announced:
        check(one["detail-type"], one["detail"])
    assert {one["detail-type"] for one in announced} == {
        "shipment.status_changed",
        "shipment.estimate_changed",
    }
    changes = [one for one in announced if one["detail-type"] == "shipment.status_changed"]
    last = {
        one["detail"]["shipment_id"]: one["detail"]
        for one in sorted(changes, key=lambda one: one["detail"]["at"])
    }
    assert {one: last[one]["status"] for one in last} == {one: wanted[one].get("status") for one in ids}


def test_what_cannot_be_folded_is_reported_and_stops_nothing(client: Client) -> None:
    foreign = {"shipment_id": {"S": "foreign"}, "event_timestamp": {"S": "today"}}
    client("dynamodb").put_item(TableName=EVENTS, Item=foreign)
    write(client, event("behind", 1, "picked_up"))
    deadline = time.monotonic() + 20
    while "behind" not in states(client) and time.monotonic() < deadline:
        time.sleep(0.1)
    (failure,) = received(client, FAILURES)
    assert (failure["shipment_id"], failure["event_timestamp"]) == ("foreign", "today")
