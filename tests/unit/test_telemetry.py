"""What the function says: one JSON object a line, and metrics that CloudWatch can read."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from shipment_events.cost.designs import OURS
from shipment_events.event import open_envelope, parse_event
from shipment_events.outcome import Outcome, Reason
from shipment_events.processor.records import Record, Settled
from shipment_events.processor.telemetry import report_batch

ACCEPTED: Final = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ENVELOPE: Final = {
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "time": "2026-03-01T12:00:00Z",
    "detail-type": "shipment.departed",
    "detail": {
        "shipment_id": "S-1 Zürich",
        "event_timestamp": "2026-03-01T12:59:59+01:00",
        "event_type": "shipment.departed",
        "event_id": "E-1",
    },
}
# The schema of the specification, without the parts that only describe:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
EMF_SCHEMA: Final = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "array",
                                    "minItems": 1,
                                    "maxItems": 30,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                },
                            },
                            "Metrics": {
                                "type": "array",
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                        "Unit": {"enum": ["Count", "Milliseconds"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


def settled(outcome: Outcome, *, stored_after_ms: int | None = None, **envelope: Any) -> Settled:
    opened = open_envelope(json.dumps(ENVELOPE | envelope))
    return Settled(
        Record("m-1", "receipt-1", 2, "body"),
        outcome,
        opened.id,
        envelope=opened,
        event=parse_event(opened.detail),
        stored_at=None if stored_after_ms is None else ACCEPTED + timedelta(milliseconds=stored_after_ms),
    )


def reported(capsys: pytest.CaptureFixture[str], *results: Settled) -> list[dict[str, Any]]:
    """The lines as objects; a line that is none fails here."""
    report_batch(results, "test", "request-1", "7")
    captured = capsys.readouterr()
    assert captured.out.endswith("\n")
    assert not captured.err
    return [json.loads(line) for line in captured.out.splitlines()]


def metrics(capsys: pytest.CaptureFixture[str], *results: Settled) -> dict[str, Any]:
    """Values of the metrics by name, read by the rules of the specification."""
    (document,) = [line for line in reported(capsys, *results) if "_aws" in line]
    Draft202012Validator(EMF_SCHEMA).validate(document)
    now = datetime.now(UTC).timestamp() * 1000
    assert now - 60_000 < document["_aws"]["Timestamp"] <= now
    assert (document["Environment"], document["FunctionVersion"]) == ("test", "7")
    values = {}
    defined = 0
    for directive, definition in _definitions(document):
        assert directive["Namespace"] == "ShipmentEvents"
        of_version = ["FunctionVersion"] if definition["Name"] == "Failed" else []
        assert directive["Dimensions"] == [["Environment", *of_version]]
        defined += 1
        value = document[definition["Name"]]
        numbers = value if isinstance(value, list) else [value]
        assert 1 <= len(numbers) <= 100
        assert all(type(number) in {int, float} for number in numbers)
        unit = "Milliseconds" if definition["Name"] == "EventToStored" else "Count"
        assert definition["Unit"] == unit
        values[definition["Name"]] = value
    assert len(values) == defined
    return values


def _definitions(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for definition in directive["Metrics"]:
            yield directive, definition


ZEROS: Final = {"Quarantined": 0, "Retried": 0}


def test_every_outcome_that_occurs_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    counted = metrics(capsys, *map(settled, Outcome), settled(Outcome.RETRIED))
    del counted["Failed"]
    assert counted == {"Stored": 1, "Duplicate": 1, "Conflict": 1, "Quarantined": 1, "Retried": 2}


def test_zero_is_a_count_where_an_alarm_waits_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert metrics(capsys) == ZEROS
    assert metrics(capsys, settled(Outcome.DUPLICATE)) == ZEROS | {"Duplicate": 1, "Failed": [0]}


def test_a_batch_names_its_stage_once(capsys: pytest.CaptureFixture[str]) -> None:
    """It is the dimension of the metrics; the line of an event has it under its own name."""
    event, batch = reported(capsys, settled(Outcome.CONFLICT))
    assert batch["Environment"] == event["environment"] == "test"
    assert "environment" not in batch


def test_average_of_failed_is_the_share_of_events_that_the_version_could_not_store(
    capsys: pytest.CaptureFixture[str],
) -> None:
    by_outcome = {outcome: metrics(capsys, settled(outcome))["Failed"] for outcome in Outcome}
    assert by_outcome == {
        Outcome.STORED: [0],
        Outcome.DUPLICATE: [0],
        Outcome.CONFLICT: [0],
        Outcome.QUARANTINED: [1],
        Outcome.RETRIED: [1],
    }


def test_latency_is_from_the_bus_to_the_write(capsys: pytest.CaptureFixture[str]) -> None:
    stored = settled(Outcome.STORED, stored_after_ms=742)
    conflict = settled(Outcome.CONFLICT, stored_after_ms=90_000)
    duplicate = settled(Outcome.DUPLICATE)
    assert metrics(capsys, stored, duplicate, conflict)["EventToStored"] == [742, 90_000]


def test_clock_that_lags_behind_the_bus_gives_no_negative_latency(capsys: pytest.CaptureFixture[str]) -> None:
    assert metrics(capsys, settled(Outcome.STORED, stored_after_ms=-30))["EventToStored"] == [0]


@pytest.mark.parametrize(
    "envelope",
    [
        {"replay-name": "after-outage"},
        {"time": "yesterday"},
        {"time": "2026-03-01T12:00:00"},
        {"time": None},
        {"time": 7},
    ],
)
def test_event_whose_wait_says_nothing_has_no_latency(
    capsys: pytest.CaptureFixture[str], envelope: dict[str, Any]
) -> None:
    odd = settled(Outcome.STORED, stored_after_ms=5_000_000, **envelope)
    assert metrics(capsys, odd) == ZEROS | {"Stored": 1, "Failed": [0]}
    assert metrics(capsys, odd, settled(Outcome.STORED, stored_after_ms=1))["EventToStored"] == [1]


def test_bill_counts_the_bytes_that_are_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ids of full length; ``python -m benchmarks.processor.log_bytes`` measures the whole function."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")

    def written(*results: Settled) -> int:
        report_batch(results, "prod", "00000000-0000-4000-8000-000000000000", "12")
        return len(capsys.readouterr().out.encode())

    detail = {
        "shipment_id": "MAC-134364267",
        "event_timestamp": "2026-03-01T12:59:59+01:00",
        "event_type": "shipment.departed",
    }
    stored = settled(Outcome.STORED, stored_after_ms=742, detail=detail)
    duplicate = settled(Outcome.DUPLICATE, detail=detail)
    duplicate = replace(duplicate, record=replace(duplicate.record, message_id=duplicate.correlation_id))
    one, ten = written(stored), written(*[stored] * 10)
    assert one == pytest.approx(OURS.batch_log_bytes + OURS.event_log_bytes, rel=0.02)
    assert ten == pytest.approx(OURS.batch_log_bytes + 10 * OURS.event_log_bytes, rel=0.02)
    more = written(*[stored] * 9, duplicate) - ten
    assert more == pytest.approx(OURS.duplicate_log_bytes, rel=0.02)


def test_event_that_needs_attention_has_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    quarantined = Settled(
        Record("m-9", "receipt-9", 1, "nonsense\n{}"),
        Outcome.QUARANTINED,
        "",
        reason=Reason.INVALID_JSON,
        detail="expected JSON",
    )
    retried = replace(settled(Outcome.RETRIED), detail="Traceback:\n  line\n")
    lines = reported(capsys, settled(Outcome.STORED), quarantined, retried)
    assert [line["message"] for line in lines] == [
        "event can never be stored; sent to the dead-letter queue",
        "event could not be stored now; returned to the queue",
        "batch settled",
    ]
    first, second, last = lines
    assert first == {
        "level": "ERROR",
        "message": "event can never be stored; sent to the dead-letter queue",
        "outcome": "quarantined",
        "correlation_id": "",
        "message_id": "m-9",
        "receive_count": 1,
        "reason": "invalid_json",
        "detail": "expected JSON",
        "environment": "test",
        "request_id": "request-1",
        "trace_id": None,
    }
    assert second["level"] == "WARNING"
    assert second["shipment_id"] == "S-1 Zürich"
    assert second["event_timestamp"] == "2026-03-01T11:59:59.000000Z#E-1"
    assert second["detail"] == "Traceback:\n  line\n"
    assert last["correlation_ids"] == {
        "stored": [ENVELOPE["id"]],
        "quarantined": [""],
        "retried": [ENVELOPE["id"]],
    }


@pytest.mark.parametrize(
    ("outcome", "level"),
    [(Outcome.DUPLICATE, "INFO"), (Outcome.CONFLICT, "WARNING"), (Outcome.QUARANTINED, "ERROR")],
)
def test_level_says_how_bad_it_is(capsys: pytest.CaptureFixture[str], outcome: Outcome, level: str) -> None:
    assert reported(capsys, settled(outcome))[0]["level"] == level


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", "1-5759e988-bd862e3fe1be46a994272793"),
        ("Sampled=0", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_lines_carry_the_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, header: str, trace_id: str | None
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    lines = reported(capsys, settled(Outcome.CONFLICT))
    assert [line["trace_id"] for line in lines] == [trace_id] * 2
