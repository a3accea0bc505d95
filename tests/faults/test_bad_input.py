"""Malformed and extreme input: stored exactly or quarantined for its reason, and its neighbours stored."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from shipment_events.contract.outcome import Outcome
from shipment_events.processor.batch import BatchProcessor
from shipment_events.processor.records import Quarantined, Record, Settled
from shipment_events.processor.retries import RetryPolicy
from shipment_events.processor.telemetry import report_batch
from shipment_events.table.store import EventTable
from tests.contract.json_values import typed
from tests.faults.bad_input import BAD_INPUT, MAX_ITEM_BYTES, STORED, Row, event, filled
from tests.stand_ins.fakes import RETENTION, FakeQueues, FakeTable, processor_on
from workbench.engine import engine as engines
from workbench.engine.clients import LOCAL_CONFIG, local_session
from workbench.engine.health import free_port
from workbench.engine.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

ROOT: Final = Path(__file__).resolve().parents[2]
BATCH_SIZE: Final = 10


@dataclass(frozen=True)
class Services:
    """Clients of a running engine, made as the function makes its own."""

    dynamodb: "DynamoDBClient"
    sqs: "SQSClient"


@dataclass(frozen=True)
class Pipeline:
    """The processor between a table and queues of its own."""

    services: Services
    table_name: str
    queue_url: str
    dead_letter_queue_url: str

    def process(self, bodies: Sequence[str]) -> list[Settled]:
        """Settle the bodies as one batch; results in their order."""
        processor = BatchProcessor(
            EventTable(self.services.dynamodb, self.table_name),
            RETENTION,
            self.services.sqs,
            self.queue_url,
            self.dead_letter_queue_url,
            RetryPolicy(visibility_timeout=360),
        )
        records = [Record(str(number), "receipt", 1, body) for number, body in enumerate(bodies)]
        settled = processor.process(records, lambda: 60)
        report_batch(settled, "test", "request", "7")
        assert len(settled) == len(bodies)
        return sorted(settled, key=lambda result: int(result.record.message_id))

    def details(self) -> list[Any]:
        """The events in the table, as the service returns them."""
        pages = self.services.dynamodb.get_paginator("scan").paginate(TableName=self.table_name)
        return [plain(item["detail"]) for page in pages for item in page["Items"]]

    def letters(self) -> list[tuple[str, str]]:
        """Body and reason of each dead letter."""
        found: dict[str, tuple[str, str]] = {}
        while messages := self.services.sqs.receive_message(
            QueueUrl=self.dead_letter_queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                attributes = message["MessageAttributes"]
                assert attributes["detail"]["StringValue"]
                found[message["MessageId"]] = message["Body"], attributes["reason"]["StringValue"]
        return list(found.values())


def plain(attribute: Mapping[str, Any]) -> Any:
    """JSON value of an attribute, by a reader that the pipeline does not use."""
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return Decimal(value)
        case "NULL":
            return None
        case "L":
            return [plain(element) for element in value]
        case "M":
            return {name: plain(element) for name, element in value.items()}
    return value


def sent(body: str) -> Any:
    """The event of a body, by a reader that the pipeline does not use."""
    return json.loads(body, parse_float=Decimal, parse_int=Decimal)["detail"]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    settings = Settings(root=ROOT, home=tmp_path_factory.mktemp("engine"), port=free_port())
    config = LOCAL_CONFIG.merge(Config(parameter_validation=False))
    session = local_session()
    try:
        endpoint = engines.start(settings).endpoint
        yield Services(
            session.client("dynamodb", endpoint_url=endpoint, config=config),
            session.client("sqs", endpoint_url=endpoint, config=config),
        )
    finally:
        engines.stop(settings)


@pytest.fixture
def pipeline(services: Services) -> Pipeline:
    name = f"bad-input-{uuid.uuid4().hex}"
    services.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "shipment_id", "AttributeType": "S"},
            {"AttributeName": "event_timestamp", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "shipment_id", "KeyType": "HASH"},
            {"AttributeName": "event_timestamp", "KeyType": "RANGE"},
        ],
    )
    urls = [services.sqs.create_queue(QueueName=f"{name}-{kind}")["QueueUrl"] for kind in ("q", "dlq")]
    return Pipeline(services, name, *urls)


def test_table_of_bad_input_is_sound() -> None:
    names = [row.name for row in BAD_INPUT]
    assert len(names) >= 80
    assert len(set(names)) == len(names)


@pytest.mark.engine
@pytest.mark.parametrize("row", BAD_INPUT, ids=lambda row: row.name)
def test_bad_input_ends_in_its_one_place(
    pipeline: Pipeline, row: Row, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = event(shipment_id="good before"), event(shipment_id="good after")
    results = pipeline.process([before, row.body, after])

    expected = [Outcome.STORED if row.expected == STORED else Outcome.QUARANTINED]
    assert [result.outcome for result in results] == [Outcome.STORED, *expected, Outcome.STORED]
    stored = [before, after, *([row.body] if row.expected == STORED else [])]
    found = {detail["shipment_id"]: typed(detail) for detail in pipeline.details()}
    assert found == {detail["shipment_id"]: typed(detail) for detail in map(sent, stored)}
    assert pipeline.letters() == ([] if row.expected == STORED else [(row.body, row.expected)])
    assert all(json.loads(line) for line in capsys.readouterr().out.splitlines())


@pytest.mark.engine
@pytest.mark.parametrize("seed", [1, 2])
def test_bad_input_bears_bad_company(pipeline: Pipeline, seed: int) -> None:
    """All of it in batches as Lambda makes them: no event changes the outcome of another."""
    shuffled = Random(seed).sample(BAD_INPUT, len(BAD_INPUT))
    for start in range(0, len(shuffled), BATCH_SIZE):
        batch = shuffled[start : start + BATCH_SIZE]
        results = pipeline.process([row.body for row in batch])
        outcomes = [
            result.reason if isinstance(result, Quarantined) else result.outcome for result in results
        ]
        assert outcomes == [row.expected for row in batch]
    stored = [row for row in BAD_INPUT if row.expected == STORED]
    broken = [row for row in BAD_INPUT if row.expected != STORED]
    assert len(pipeline.details()) == len(stored)
    assert sorted(pipeline.letters()) == sorted((row.body, row.expected) for row in broken)


@pytest.mark.engine
def test_400_kb_are_400_kb(pipeline: Pipeline) -> None:
    """The rows about sizes mean the service's own limit: it takes the largest item, and no byte more."""
    pipeline.process([filled(MAX_ITEM_BYTES)])
    dynamodb = pipeline.services.dynamodb
    (item,) = dynamodb.scan(TableName=pipeline.table_name)["Items"]
    dynamodb.put_item(TableName=pipeline.table_name, Item=item)
    item["detail"]["M"]["filler"]["S"] += "x"
    with pytest.raises(ClientError, match="exceeded the maximum allowed size"):
        dynamodb.put_item(TableName=pipeline.table_name, Item=item)


def test_message_without_room_for_a_reason_is_left_to_the_queue() -> None:
    """A message of 1 MiB cannot be sent on with attributes; after three receives SQS moves it as it is.

    With fakes, because the local engine does not count attributes.
    """
    queues = FakeQueues()
    processor = processor_on(FakeTable(), queues, RetryPolicy(360))
    bodies = [event(), "x" * 1024 * 1024, "hopeless too"]
    records = [Record(str(number), f"receipt {number}", 1, body) for number, body in enumerate(bodies)]
    settled = {result.record.message_id: result.outcome for result in processor.process(records, lambda: 60)}
    assert settled == {"0": Outcome.STORED, "1": Outcome.RETRIED, "2": Outcome.QUARANTINED}
    assert [(body, attributes["reason"]) for body, attributes in queues.letters] == [
        ("hopeless too", "invalid_json")
    ]
    assert set(queues.visibility) == {"receipt 1"}
