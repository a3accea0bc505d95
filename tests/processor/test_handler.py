"""The function at its edge: what Lambda hands in and gets back, what it is started with, what it loads."""

import importlib
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any, Final

import pytest

from shipment_events.processor.retries import RetryPolicy
from shipment_events.processor.settings import ProcessorSettings
from tests.stand_ins.fakes import (
    DEAD_LETTER_QUEUE_URL,
    QUEUE_URL,
    TABLE,
    FakeQueues,
    FakeTable,
    Fault,
    client_error,
    processor_on,
)

MODULE: Final = "shipment_events.processor.handler"
ENVIRONMENT: Final = {
    "ENVIRONMENT": "test",
    "EVENTS_TABLE_NAME": TABLE,
    "QUEUE_URL": QUEUE_URL,
    "DEAD_LETTER_QUEUE_URL": DEAD_LETTER_QUEUE_URL,
    "VISIBILITY_TIMEOUT_SECONDS": "360",
    "EVENT_RETENTION_DAYS": "30",
}
AWS: Final = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
}


class Context:
    """Lambda's own, as far as it is used."""

    aws_request_id = "request-1"
    function_version = "7"

    def __init__(self, milliseconds: int = 60_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


def import_handler(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ModuleType:
    """Import as a new container does."""
    for name, value in (ENVIRONMENT | AWS | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    return importlib.import_module(MODULE)


def sqs_record(number: int, body: str, receive_count: str = "1") -> dict[str, Any]:
    """A record in the form of https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    return {
        "messageId": f"m-{number}",
        "receiptHandle": f"receipt-{number}",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": receive_count,
            "SentTimestamp": "1545082649183",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1545082649185",
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:queue",
        "awsRegion": "eu-central-1",
    }


def body(shipment_id: str) -> str:
    detail = {
        "shipment_id": shipment_id,
        "event_timestamp": "2026-03-01T12:00:00Z",
        "event_type": "shipment.departed",
    }
    envelope = {
        "id": shipment_id,
        "time": datetime.now(UTC).isoformat(),
        "source": "shipment.service",
        "detail-type": "shipment.departed",
        "detail": detail,
    }
    return json.dumps(envelope)


def on_fakes(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, table: FakeTable, queues: FakeQueues
) -> None:
    monkeypatch.setattr(module, "_PROCESSOR", processor_on(table, queues, RetryPolicy(360, budget=0)))


def test_answer_names_the_records_to_retry_and_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = import_handler(monkeypatch)
    table = FakeTable(faults=[Fault(codes={1: "ThrottlingError"})])
    queues = FakeQueues()
    on_fakes(module, monkeypatch, table, queues)
    records = [sqs_record(1, body("S-1")), sqs_record(2, body("S-2"), "2"), sqs_record(3, "broken")]
    answer = module.handler({"Records": records}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-2"}]}
    assert queues.visibility == {"receipt-2": 360}
    assert [text for text, _ in queues.letters] == ["broken"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (lines[-1]["stored"], lines[-1]["quarantined"], lines[-1]["retried"]) == (1, 1, 1)
    assert [line.get("environment") for line in lines] == ["test"] * 3
    assert {line["request_id"] for line in lines} == {"request-1"}


def test_answer_of_a_good_batch_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_handler(monkeypatch)
    table = FakeTable()
    on_fakes(module, monkeypatch, table, FakeQueues())
    records = [sqs_record(number, body(f"S-{number}")) for number in range(10)]
    assert module.handler({"Records": records}, Context()) == {"batchItemFailures": []}
    assert len(table.items) == 10


def test_deadline_of_the_context_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too little time left for a second attempt there is only the first."""
    module = import_handler(monkeypatch)
    table = FakeTable(faults=[Fault(error=client_error("ThrottlingException"))] * 9)
    monkeypatch.setattr(module, "_PROCESSOR", processor_on(table, FakeQueues(), RetryPolicy(360)))
    answer = module.handler({"Records": [sqs_record(1, body("S-1"))]}, Context(24_000))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    assert len(table.statements) == 1


@pytest.mark.parametrize("missing", ENVIRONMENT)
def test_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        ProcessorSettings.from_environment(
            {name: ENVIRONMENT[name] for name in ENVIRONMENT if name != missing}
        )
    for name, value in (ENVIRONMENT | AWS).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    with pytest.raises(KeyError, match=missing):
        importlib.import_module(MODULE)


def test_settings_reach_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_handler(monkeypatch, VISIBILITY_TIMEOUT_SECONDS="720", EVENT_RETENTION_DAYS="7")
    processor = module._PROCESSOR
    assert processor.policy.visibility_timeout == 720
    assert processor.policy.wait_in_queue(2) == 720
    assert (processor.queue_url, processor.dead_letter_queue_url) == (QUEUE_URL, DEAD_LETTER_QUEUE_URL)
    assert processor.retention == timedelta(days=7)


def test_what_the_import_loads(tmp_path: Any) -> None:
    """Each of these would cost a cold start a tenth of a second or more."""
    program = f"import sys, {MODULE}; print(*sys.modules, sep='\\n')"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=ENVIRONMENT | AWS,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(run.stdout.split())
    assert {MODULE, "botocore"} <= loaded
    heavy = {"boto3", "s3transfer", "aws_cdk", "constructs", "jsii", "click", "rich", "jsonschema"}
    assert not {name.partition(".")[0] for name in loaded} & heavy
    ours = {name for name in loaded if name.startswith("shipment_events.")}
    assert not ours & {
        "shipment_events.cli",
        "shipment_events.publishing.publisher",
        "shipment_events.contract.schema",
    }


class FailingService:
    """An endpoint that answers every request with an error, and counts them by operation."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                requests[self.headers["X-Amz-Target"].rpartition(".")[2]] += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                answer = b'{"__type":"InternalServerError","message":"down"}'
                self.send_response(500)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def failing_service() -> Iterator[FailingService]:
    service = FailingService()
    yield service
    service.server.shutdown()
    service.server.server_close()


def test_real_clients_leave_the_retrying_of_writes_to_the_processor(
    monkeypatch: pytest.MonkeyPatch, failing_service: FailingService
) -> None:
    module = import_handler(monkeypatch, AWS_ENDPOINT_URL=failing_service.url)
    records = [sqs_record(1, body("S-1")), sqs_record(2, "broken")]
    answer = module.handler({"Records": records}, Context(24_000))
    assert {failure["itemIdentifier"] for failure in answer["batchItemFailures"]} == {"m-1", "m-2"}
    assert failing_service.requests == {
        "BatchExecuteStatement": 1,
        "SendMessageBatch": 2,
        "ChangeMessageVisibilityBatch": 2,
    }


def test_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, failing_service: FailingService
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    module = import_handler(
        monkeypatch, AWS_ENDPOINT_URL="http://aws.invalid", HTTP_PROXY=failing_service.url
    )
    answer = module.handler({"Records": [sqs_record(1, body("S-1"))]}, Context(24_000))
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["m-1"]
    assert failing_service.requests["BatchExecuteStatement"] == 1


def test_reserve_is_enough_for_all_that_may_follow_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request at its longest: the attempt with its two reads, the quarantine and the putting off."""
    processor = import_handler(monkeypatch)._PROCESSOR

    def longest(client: Any, connects: int) -> float:
        config = client.meta.config
        attempts: int = config.retries["total_max_attempts"]
        pauses = attempts - 1  # of a second at most, as botocore backs off
        return attempts * float(connects * config.connect_timeout + config.read_timeout) + pauses

    # botocore grants the greeting of TLS as much time again as the connection.
    needed = 3 * longest(processor.table._client, connects=1) + 2 * longest(processor.sqs, connects=2)
    assert needed < processor.policy.reserve
