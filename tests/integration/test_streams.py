"""The stream of a table and its function, on the engine as it is and with the adaptations of its start.

A test of the engine as it is shows a gap. It fails once a newer engine closes the gap: then leave the
adaptation out.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import ROOT, client_factory
from tests.integration.small_stack import ENVIRONMENT, FUNCTION, TABLE, write_assembly
from workbench.engine import engine as engines
from workbench.engine.deploy import deploy
from workbench.engine.health import free_port
from workbench.engine.settings import Settings

pytestmark = pytest.mark.engine

FAILURES = "small-failures"

# Notes in a file what it gets from the stream and from the queue. The id of a record says what happens to it.
CODE = """
import json, pathlib, time

LOG = pathlib.Path({log!r})

def note(what, value):
    with LOG.open("a") as log:
        log.write(json.dumps([what, value]) + "\\n")

def handler(event, context):
    failures = []
    for number in range(event.get("lines", 0)):
        print(json.dumps([event["number"], number]))
    for record in event.get("Records", []):
        if record["eventSource"] == "aws:sqs":
            note("message", record["body"])
    records = [r for r in event.get("Records", []) if r["eventSource"] == "aws:dynamodb"]
    seen = LOG.read_text() if LOG.exists() else ""
    if records:
        note("batch", [[r["eventName"], r["dynamodb"]["Keys"]["id"]["S"]] for r in records])
    for record in records:
        name = record["dynamodb"]["Keys"]["id"]["S"]
        if name == "slow":
            time.sleep(1)
            note("slept", name)
        if name == "fails-once" and name not in seen:
            failures.append({{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}})
        if name == "fails-always":
            raise ValueError(name)
    return {{"batchItemFailures": failures}}
"""


def stream_resources() -> dict[str, Any]:
    """A table with a stream, and a mapping of it to the function of the small stack."""
    return {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": TABLE,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            },
        },
        "Failures": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": FAILURES}},
        "Stream": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "FunctionName": {"Ref": "Function"},
                "EventSourceArn": {"Fn::GetAtt": ["Table", "StreamArn"]},
                "StartingPosition": "TRIM_HORIZON",
                "BatchSize": 10,
                "BisectBatchOnFunctionError": True,
                "MaximumRetryAttempts": 1,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Failures", "Arn"]}}},
            },
        },
    }


class Engine:
    """An engine with the stack, and what its function noted."""

    def __init__(self, home: Path, *, adapted: bool) -> None:
        self.settings = Settings(root=ROOT, home=home / ".local", port=free_port())
        self.log = home / "log"
        self.environment = {} if adapted else {"ADAPTATIONS": "off"}
        self.client: Callable[[str], Any] = self.start()
        assembly = write_assembly(
            home / "assembly", code=CODE.format(log=str(self.log)), extra=stream_resources()
        )
        self.queue_url = deploy(self.settings_endpoint, assembly, ENVIRONMENT).outputs["QueueUrl"]

    @property
    def settings_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    def start(self) -> Callable[[str], Any]:
        """Start it, and make clients of it."""
        running = engines.start(self.settings, extra_environment=self.environment)
        return client_factory(running.endpoint)

    def restart(self) -> None:
        """Stop it as `make down` does, and start it again."""
        engines.stop(self.settings)
        self.client = self.start()

    def put(self, *ids: str) -> None:
        for each in ids:
            self.client("dynamodb").put_item(TableName=TABLE, Item={"id": {"S": each}})

    def execute(self, *statements: tuple[str, str]) -> list[Any]:
        """Statements in one BatchExecuteStatement; ``?`` is the id. Returns each one's result."""
        answer = self.client("dynamodb").batch_execute_statement(
            Statements=[{"Statement": text, "Parameters": [{"S": each}]} for text, each in statements]
        )
        results: list[Any] = answer["Responses"]
        return results

    def noted(self, *kinds: str) -> list[Any]:
        """What the function noted of these kinds, oldest first."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [value for kind, value in map(json.loads, lines) if kind in kinds]

    def batches(self) -> list[list[str]]:
        """Ids of each batch that the function got from the stream."""
        return [[each for _, each in batch] for batch in self.noted("batch")]

    def wait_for(self, each: str) -> None:
        """Wait until the function got the record."""
        deadline = time.monotonic() + 20
        while not any(each in batch for batch in self.batches()):
            assert time.monotonic() < deadline, f"{each} never came; {self.batches()} did"
            time.sleep(0.02)

    def in_stream(self) -> list[str]:
        """Ids of the records that the stream holds."""
        streams = self.client("dynamodbstreams")
        arn = streams.list_streams(TableName=TABLE)["Streams"][0]["StreamArn"]
        shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        records = streams.get_records(ShardIterator=iterator)["Records"]
        return [record["dynamodb"]["Keys"]["id"]["S"] for record in records]

    def pause(self, *, paused: bool) -> None:
        """Disable or enable the mapping of the stream."""
        functions = self.client("lambda")
        [mapping] = [
            each
            for each in functions.list_event_source_mappings()["EventSourceMappings"]
            if ":dynamodb:" in each["EventSourceArn"]
        ]
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=not paused)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("adapted"), adapted=True)
    yield engine
    engines.stop(engine.settings)


@pytest.fixture(scope="module")
def as_it_is(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("as-it-is"), adapted=False)
    yield engine
    engines.stop(engine.settings)


INSERT = f"INSERT INTO \"{TABLE}\" VALUE {{'id': ?}}"
UPDATE = f'UPDATE "{TABLE}" SET n=1 WHERE id=?'  # noqa: S608
DELETE = f'DELETE FROM "{TABLE}" WHERE id=?'  # noqa: S608


class TestPartiQL:
    def test_what_changes_the_table_reaches_the_function(self, adapted: Engine) -> None:
        assert "Error" not in adapted.execute((INSERT, "new"), (INSERT, "old"))[0]
        [duplicate, *_] = adapted.execute((INSERT, "new"), (UPDATE, "new"), (UPDATE, "new"), (DELETE, "old"))
        assert duplicate["Error"]["Code"] == "DuplicateItem"
        adapted.execute((DELETE, "nobody"), (INSERT, "last"))
        adapted.wait_for("last")
        noted = [record for batch in adapted.noted("batch") for record in batch]
        assert noted[-5:] == [
            ["INSERT", "new"],
            ["INSERT", "old"],
            ["MODIFY", "new"],
            ["REMOVE", "old"],
            ["INSERT", "last"],
        ]

    def test_a_transaction_writes_records_if_it_succeeds(self, adapted: Engine) -> None:
        def transact(*ids: str) -> None:
            adapted.client("dynamodb").execute_transaction(
                TransactStatements=[{"Statement": INSERT, "Parameters": [{"S": each}]} for each in ids]
            )

        transact("both", "of-them")
        with pytest.raises(adapted.client("dynamodb").exceptions.TransactionCanceledException):
            transact("rolled-back", "both")
        adapted.execute((INSERT, "after-the-transactions"))
        adapted.wait_for("after-the-transactions")
        stream = adapted.in_stream()
        assert stream[-3:] == ["both", "of-them", "after-the-transactions"]

    def test_the_engine_as_it_is_writes_no_record(self, as_it_is: Engine) -> None:
        as_it_is.execute((INSERT, "by-partiql"))
        as_it_is.put("by-put-item")
        as_it_is.wait_for("by-put-item")
        assert "by-partiql" not in as_it_is.in_stream()


@pytest.mark.slow
class TestFailures:
    def test_a_failed_record_comes_again_with_all_after_it(self, adapted: Engine) -> None:
        adapted.execute((INSERT, "before"), (INSERT, "fails-once"), (INSERT, "behind"))
        adapted.execute((INSERT, "next"))
        adapted.wait_for("next")
        batches = adapted.batches()
        [first, second] = [index for index, batch in enumerate(batches) if "fails-once" in batch]
        assert second == first + 1
        assert batches[second][0] == "fails-once"

    def test_a_record_that_always_fails_is_given_up_alone_and_reported(self, adapted: Engine) -> None:
        adapted.execute((INSERT, "fine"), (INSERT, "fails-always"), (INSERT, "fine-too"))
        adapted.wait_for("fine-too")
        queues = adapted.client("sqs")
        url = queues.get_queue_url(QueueName=FAILURES)["QueueUrl"]
        [message] = queues.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
        report = json.loads(message["Body"])
        assert report["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert report["DDBStreamBatchInfo"]["batchSize"] == 1
        assert [batch for batch in adapted.batches() if "fails-always" in batch][-2:] == [
            ["fails-always"]
        ] * 2

    def test_the_engine_as_it_is_skips_a_failed_record(self, as_it_is: Engine) -> None:
        as_it_is.put("fails-once", "behind")
        as_it_is.wait_for("behind")
        assert sum("fails-once" in batch for batch in as_it_is.batches()) == 1


@pytest.mark.slow
class TestSlowFunction:
    def order(self, engine: Engine) -> list[str]:
        """What came first: the end of the slow record, or the message that was sent while it ran."""
        engine.put("slow")
        engine.wait_for("slow")
        engine.client("sqs").send_message(QueueUrl=engine.queue_url, MessageBody="message")
        deadline = time.monotonic() + 20
        while len(order := engine.noted("message", "slept")) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return order

    def test_the_queue_does_not_wait_for_it(self, adapted: Engine) -> None:
        assert self.order(adapted) == ["message", "slow"]

    def test_the_queue_of_the_engine_as_it_is_waits_for_it(self, as_it_is: Engine) -> None:
        assert self.order(as_it_is) == ["slow", "message"]


class TestLog:
    def test_each_invocation_has_all_its_lines(self, adapted: Engine) -> None:
        functions = adapted.client("lambda")
        for number in range(50):
            answer = functions.invoke(
                FunctionName=FUNCTION,
                LogType="Tail",
                Payload=json.dumps({"number": number, "lines": 5}),
            )
            lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
            expected = [json.dumps([number, line]) for line in range(5)]
            assert [line for line in lines if line.startswith("[")] == expected


class TestRestart:
    def test_pending_records_are_delivered_after_it(self, adapted: Engine) -> None:
        adapted.pause(paused=True)
        adapted.put("pending")
        adapted.restart()
        adapted.put("after")
        before = len(adapted.batches())
        adapted.pause(paused=False)
        adapted.wait_for("after")
        assert [each for batch in adapted.batches()[before:] for each in batch] == ["pending", "after"]

    def test_the_engine_as_it_is_forgets_them(self, as_it_is: Engine) -> None:
        as_it_is.pause(paused=True)
        as_it_is.put("pending")
        assert "pending" in as_it_is.in_stream()
        as_it_is.restart()
        as_it_is.put("after")
        assert as_it_is.in_stream() == ["after"]
