"""Every outcome of the contract end to end: through the bus, or past it where a bus would not let it pass."""

import io
import json
import subprocess
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.request import urlopen

import pytest

from shipment_events.contract import names
from shipment_events.contract.exact_json import loads
from shipment_events.dead_letters.letters import DeadLetterMessage
from shipment_events.queue.timing import EXACT_TIMING
from shipment_events.stages import settings_for
from shipment_events.table.item import StoredEvent
from shipment_events.table.store import EventTable
from tests.contract.json_values import typed
from tests.integration.conftest import ROOT, LocalEngine
from tests.stand_ins.queues import dead_letters_on

pytestmark = pytest.mark.engine

SECONDS: Final = 15.0
Found = TypeVar("Found")


def eventually(look: Callable[[], Found], enough: Callable[[Found], bool]) -> Found:
    """What is found once it is enough, or when the time is up."""
    deadline = time.monotonic() + SECONDS
    while not enough(found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@dataclass(frozen=True)
class Pipeline:
    """The deployed stack, and a shipment of this test's own."""

    engine: LocalEngine
    shipment_id: str

    def event(self, **fields: Any) -> dict[str, Any]:
        return {
            "shipment_id": self.shipment_id,
            "event_timestamp": "2026-05-04T10:00:00+02:00",
            "event_type": "shipment.scanned",
            **fields,
        }

    def put(
        self, *details: Mapping[str, Any], source: str = names.SOURCE, detail_type: str = "shipment.scanned"
    ) -> list[str]:
        """Put events on the bus in one request; returns the ids that it gave them."""
        answer = self.engine.client("events").put_events(
            Entries=[
                {
                    "Source": source,
                    "DetailType": detail_type,
                    "Detail": json.dumps(detail, ensure_ascii=False),
                    "EventBusName": self.engine.outputs[names.OUTPUT_EVENT_BUS_NAME],
                }
                for detail in details
            ]
        )
        assert answer["FailedEntryCount"] == 0
        return [entry["EventId"] for entry in answer["Entries"]]

    def send(self, *bodies: str) -> None:
        """Put messages into the queue in one request, past the bus."""
        answer = self.engine.client("sqs").send_message_batch(
            QueueUrl=self.engine.outputs[names.OUTPUT_QUEUE_URL],
            Entries=[{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)],
        )
        assert len(answer["Successful"]) == len(bodies)

    def envelope(self, detail: str) -> str:
        """Body of a message with the text as its event."""
        return (
            f'{{"id":"{uuid.uuid4()}","time":"2026-05-04T08:00:01Z","source":"{names.SOURCE}",'
            f'"detail-type":"shipment.scanned","detail":{detail}}}'
        )

    def stored(self, *, at_least: int) -> list[StoredEvent]:
        table = EventTable(self.engine.client("dynamodb"), self.engine.outputs[names.OUTPUT_TABLE_NAME])
        return eventually(
            lambda: list(table.timeline(self.shipment_id)), lambda found: len(found) >= at_least
        )

    def letters(self, *, at_least: int) -> list[DeadLetterMessage]:
        """Dead letters that name this test's shipment."""
        return eventually(self._letters, lambda found: len(found) >= at_least)

    def settle(self) -> None:
        """Wait until the bus and the processor have dealt with all that was sent before."""
        marker = self.shipment_id + "-marker"
        self.put(self.event(shipment_id=marker))
        self.put(self.event(shipment_id=marker), source="marker")
        assert len(Pipeline(self.engine, marker).stored(at_least=1)) == 1
        assert len(Pipeline(self.engine, marker).letters(at_least=1)) == 1

    def _letters(self) -> list[DeadLetterMessage]:
        url = self.engine.outputs[names.OUTPUT_DEAD_LETTER_QUEUE_URL]
        read = dead_letters_on(self.engine.client("sqs"), url, "none", EXACT_TIMING).read()
        return [letter for letter in read.letters if f'{self.shipment_id}"' in letter.body]


@pytest.fixture
def pipeline(engine: LocalEngine) -> Pipeline:
    return Pipeline(engine, f"outcome-{uuid.uuid4().hex}")


def notes(events: list[StoredEvent]) -> dict[str, str]:
    return {event.detail["note"]: event.status for event in events}


def test_new_event_is_stored_with_what_it_holds(pipeline: Pipeline) -> None:
    detail = pipeline.event(
        carrier="Überland Spedition",
        description='名古屋 → Łódź 🚚 e\u0301 \u2028 \\ "',
        location={"city": "Zürich", "terminal": None, "dock": {"doors": [1, 20, -3], "open": True}},
        processing_status="of the producer",
        expires_at=0,
    )
    (correlation_id,) = pipeline.put(detail)
    (stored,) = pipeline.stored(at_least=1)
    assert typed(stored.detail) == typed(loads(json.dumps(detail)))
    assert stored.status == "PROCESSED"
    assert stored.sort_key == f"2026-05-04T08:00:00.000000Z#{stored.event_id}"
    assert stored.correlation_id == correlation_id


def test_numbers_are_stored_to_the_last_digit(pipeline: Pipeline) -> None:
    """Past the bus, because the local engine's own one rounds numbers."""
    numbers = [
        "1.2345678901234567890123456789012345678",
        "-0.1",
        "9.9E+125",
        "1E-130",
        "12345678901234567890",
    ]
    detail = json.dumps(pipeline.event(numbers="HERE")).replace('"HERE"', f"[{', '.join(numbers)}]")
    pipeline.send(pipeline.envelope(detail))
    (stored,) = pipeline.stored(at_least=1)
    assert stored.detail["numbers"] == [Decimal(number) for number in numbers]


def test_repeat_is_stored_once(pipeline: Pipeline) -> None:
    detail = pipeline.event(note="one")
    respelled = dict(reversed(detail.items())) | {"event_timestamp": "2026-05-04T08:00:00.000Z"}
    pipeline.put(detail)
    assert len(pipeline.stored(at_least=1)) == 1
    pipeline.put(detail, respelled)
    pipeline.settle()
    assert notes(pipeline.stored(at_least=1)) == {"one": "PROCESSED"}
    assert len(pipeline.stored(at_least=1)) == 1
    assert pipeline.letters(at_least=0) == []


def test_other_content_under_the_same_identity_is_stored_beside(pipeline: Pipeline) -> None:
    pipeline.put(pipeline.event(event_id="E-1", note="first"))
    assert len(pipeline.stored(at_least=1)) == 1
    for _ in range(2):
        pipeline.put(pipeline.event(event_id="E-1", note="second"))
    pipeline.settle()
    stored = pipeline.stored(at_least=2)
    assert notes(stored) == {"first": "PROCESSED", "second": "CONFLICT"}
    assert len(stored) == 2
    assert {event.event_id for event in stored} == {"E-1"}


def test_two_events_in_one_second_are_both_stored(pipeline: Pipeline) -> None:
    pipeline.put(pipeline.event(note="weighed"), pipeline.event(note="photographed"))
    assert notes(pipeline.stored(at_least=2)) == {"weighed": "PROCESSED", "photographed": "PROCESSED"}


def test_timeline_is_in_order_of_time_whatever_the_order_of_arrival(pipeline: Pipeline) -> None:
    times = [
        "2026-05-04T23:00:00-05:00",
        "2026-05-05T01:00:00Z",
        "2026-05-05T10:00:00+09:30",
        "2026-05-04T12:00Z",
    ]
    pipeline.put(*(pipeline.event(event_timestamp=time, note=time) for time in times))
    in_order = [event.detail["note"] for event in pipeline.stored(at_least=4)]
    assert in_order == [times[3], times[2], times[1], times[0]]


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        (
            {"event_timestamp": "2026-05-04T10:00:00"},
            "invalid_timestamp",
            "event_timestamp: expected ISO 8601",
        ),
        ({"event_type": "shipment.lost"}, "event_type_mismatch", "event_type: expected the detail-type"),
        ({"location": "Zürich"}, "invalid_field", "location: expected an object, got 'Z\\xfcrich'"),
        ({"weight": 10**38 + 1}, "number_out_of_range", "weight: expected a number"),
    ],
)
def test_hopeless_event_of_the_bus_is_quarantined(
    pipeline: Pipeline, fields: dict[str, Any], reason: str, detail: str
) -> None:
    event = pipeline.event(**fields)
    (event_id,) = pipeline.put(event)
    (letter,) = pipeline.letters(at_least=1)
    envelope = json.loads(letter.body)
    assert (envelope["id"], envelope["detail"]) == (event_id, event)
    assert letter.attributes["reason"] == reason
    assert letter.attributes["detail"].startswith(detail)
    assert pipeline.stored(at_least=0) == []


def test_hopeless_message_is_quarantined_untouched(pipeline: Pipeline) -> None:
    shipment = json.dumps(pipeline.shipment_id)
    bodies = {
        f"no JSON at all, {shipment}": "invalid_json",
        f' {{ "detail" : {{ "shipment_id" : {shipment} }} }}\n': "invalid_envelope",
        pipeline.envelope(f'{{"shipment_id":{shipment},"a":1,"a":2}}'): "duplicate_key",
        pipeline.envelope(f'{{"shipment_id":{shipment},"event_timestamp":NaN}}'): "invalid_json",
        pipeline.envelope(f'{{ "carrier":"\\u00fc ü",   "shipment_id":{shipment}}}'): "missing_field",
        pipeline.envelope(json.dumps(pipeline.event(event_id="\udc80"))): "invalid_text",
        pipeline.envelope(json.dumps(pipeline.event(note="x" * 420_000))): "too_large",
    }
    pipeline.send(*bodies)
    letters = pipeline.letters(at_least=len(bodies))
    assert {letter.body: letter.attributes["reason"] for letter in letters} == bodies
    assert len(letters) == len(bodies)
    assert all(letter.attributes["detail"] for letter in letters)


def test_neighbours_of_broken_events_are_stored(pipeline: Pipeline) -> None:
    good = [pipeline.envelope(json.dumps(pipeline.event(note=f"good {number}"))) for number in range(6)]
    broken = [f'"{pipeline.shipment_id}" {number}' for number in range(4)]
    pipeline.send(*(body for pair in zip(good, broken, strict=False) for body in pair), *good[4:])
    assert notes(pipeline.stored(at_least=6)) == {f"good {number}": "PROCESSED" for number in range(6)}
    assert sorted(letter.body for letter in pipeline.letters(at_least=4)) == broken


@pytest.mark.parametrize(
    ("source", "detail_type"),
    [
        ("shipment.servise", "shipment.scanned"),
        (names.SOURCE, "shipmnet.scanned"),
        (names.SOURCE, "Shipment.scanned"),
        ("order.service", "order.placed"),
    ],
)
def test_unmatched_event_is_in_the_dead_letter_queue_exactly_once(
    pipeline: Pipeline, source: str, detail_type: str
) -> None:
    event = pipeline.event(event_type=detail_type)
    (event_id,) = pipeline.put(event, source=source, detail_type=detail_type)
    pipeline.settle()
    (letter,) = pipeline.letters(at_least=1)
    envelope = json.loads(letter.body)
    assert (envelope["id"], envelope["source"], envelope["detail-type"]) == (event_id, source, detail_type)
    assert envelope["detail"] == event
    assert letter.attributes == {}
    assert pipeline.stored(at_least=0) == []


def test_item_expires_a_retention_after_it_was_stored(pipeline: Pipeline) -> None:
    pipeline.put(pipeline.event())
    (stored,) = pipeline.stored(at_least=1)
    item = pipeline.engine.client("dynamodb").get_item(
        TableName=pipeline.engine.outputs[names.OUTPUT_TABLE_NAME],
        Key={"shipment_id": {"S": pipeline.shipment_id}, "event_timestamp": {"S": stored.sort_key}},
    )["Item"]
    stored_at = datetime.fromisoformat(stored.stored_at)
    retention = timedelta(days=settings_for("dev").event_retention_days)
    assert abs(datetime.now(UTC) - stored_at) < timedelta(minutes=1)
    assert int(item["expires_at"]["N"]) == int((stored_at + retention).timestamp())


def test_index_finds_events_by_status_in_order_of_time(pipeline: Pipeline) -> None:
    pipeline.put(pipeline.event(event_id="E-1", note="first"))
    pipeline.stored(at_least=1)
    later = "2026-05-04T11:00:00+02:00"
    pipeline.put(
        pipeline.event(event_id="E-1", note="second"), pipeline.event(event_timestamp=later, note="later")
    )
    pipeline.stored(at_least=3)

    def found(status: str) -> list[str]:
        answer = pipeline.engine.client("dynamodb").query(
            TableName=pipeline.engine.outputs[names.OUTPUT_TABLE_NAME],
            IndexName=names.STATUS_INDEX,
            KeyConditionExpression="processing_status = :status AND event_timestamp >= :start",
            FilterExpression="shipment_id = :shipment",
            ExpressionAttributeValues={
                ":status": {"S": status},
                ":start": {"S": "2026-05-04"},
                ":shipment": {"S": pipeline.shipment_id},
            },
        )
        return [item["detail"]["M"]["note"]["S"] for item in answer["Items"]]

    assert found("PROCESSED") == ["first", "later"]
    assert found("CONFLICT") == ["second"]


def test_bundle_starts_where_only_the_engine_is_installed(engine: LocalEngine, tmp_path: Path) -> None:
    """As on Lambda: what our own environment has cannot stand in for what the bundle forgot."""
    function = engine.client("lambda").get_function(FunctionName=names.processor_name(engine.environment))
    with urlopen(function["Code"]["Location"]) as answer:  # noqa: S310 - the engine's own address
        zipfile.ZipFile(io.BytesIO(answer.read())).extractall(tmp_path)
    handler = function["Configuration"]["Handler"].rpartition(".")[0]
    program = (
        "import importlib.util, sys\n"
        "foreign = [name for name in ('shipment_events', 'boto3', 'click', 'rich', 'aws_cdk')\n"
        "           if importlib.util.find_spec(name)]\n"
        "assert not foreign, foreign\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"import {handler} as module\n"
        "print(module.__file__, callable(module.handler))\n"
    )
    run = subprocess.run(
        [ROOT / ".venv-engine" / "bin" / "python", "-I", "-c", program],
        env=function["Configuration"]["Environment"]["Variables"] | {"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == f"{tmp_path / 'shipment_events/processor/handler.py'} True"
