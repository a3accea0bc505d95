"""What the function says: one JSON object a line, with the numbers that become metrics."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from shipment_events.contract.outcome import Outcome, Reason
from shipment_events.cost.designs import OURS
from shipment_events.processor.records import Quarantined, Record, Retried, Settled
from shipment_events.processor.telemetry import report_batch
from tests.processor.outcomes import settled_as

ACCEPTED: Final = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ENVELOPE: Final = {
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "time": "2026-03-01T12:00:00Z",
    "source": "shipment.service",
    "detail-type": "shipment.departed",
    "detail": {
        "shipment_id": "S-1 Zürich",
        "event_timestamp": "2026-03-01T12:59:59+01:00",
        "event_type": "shipment.departed",
        "event_id": "E-1",
    },
}


def settled(outcome: Outcome, *, stored_after_ms: int = 0, **envelope: Any) -> Settled:
    stored_at = ACCEPTED + timedelta(milliseconds=stored_after_ms)
    return settled_as(outcome, json.dumps(ENVELOPE | envelope), stored_at)


def reported(capsys: pytest.CaptureFixture[str], *results: Settled) -> list[dict[str, Any]]:
    """The lines as objects; a line that is none fails here."""
    report_batch(results, "test", "request-1", "7")
    captured = capsys.readouterr()
    assert captured.out.endswith("\n")
    assert not captured.err
    return [json.loads(line) for line in captured.out.splitlines()]


def measures(capsys: pytest.CaptureFixture[str], *results: Settled) -> dict[str, Any]:
    """The numbers in the line of the batch."""
    *_, batch = reported(capsys, *results)
    return {name: value for name, value in batch.items() if isinstance(value, int)}


ZEROS: Final = {"quarantined": 0, "retried": 0, "failed": 0}


def test_every_outcome_that_occurs_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    counted = measures(capsys, *map(settled, Outcome), settled(Outcome.RETRIED))
    assert counted == {
        "stored": 1, "duplicate": 1, "conflict": 1, "quarantined": 1, "retried": 2, "settled": 6, "failed": 3,
        "slowest_ms": 0,
    }  # fmt: skip


def test_zero_is_a_count_where_an_alarm_waits_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert measures(capsys) == ZEROS | {"settled": 0}
    assert measures(capsys, settled(Outcome.DUPLICATE)) == ZEROS | {"duplicate": 1, "settled": 1}


def test_every_line_names_its_stage_and_that_of_the_batch_the_version(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event, batch = reported(capsys, settled(Outcome.CONFLICT))
    assert batch["environment"] == event["environment"] == "test"
    assert batch["version"] == "7"


@pytest.mark.parametrize(
    ("outcomes", "failed"),
    [
        ([Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT], 0),
        ([Outcome.QUARANTINED], 1),
        ([Outcome.RETRIED], 1),
        ([Outcome.STORED, Outcome.STORED, Outcome.RETRIED], 1),
    ],
)
def test_events_that_the_version_could_not_store_are_counted(
    capsys: pytest.CaptureFixture[str], outcomes: list[Outcome], failed: int
) -> None:
    found = measures(capsys, *map(settled, outcomes))
    assert (found["settled"], found["failed"]) == (len(outcomes), failed)


def test_latency_is_from_the_bus_to_the_write_of_the_slowest(capsys: pytest.CaptureFixture[str]) -> None:
    stored = settled(Outcome.STORED, stored_after_ms=742)
    conflict = settled(Outcome.CONFLICT, stored_after_ms=90_000)
    duplicate = settled(Outcome.DUPLICATE)
    assert measures(capsys, stored, duplicate)["slowest_ms"] == 742
    assert measures(capsys, stored, conflict, duplicate, stored)["slowest_ms"] == 90_000


def test_clock_that_lags_behind_the_bus_gives_no_negative_latency(capsys: pytest.CaptureFixture[str]) -> None:
    assert measures(capsys, settled(Outcome.STORED, stored_after_ms=-30))["slowest_ms"] == 0


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
    assert measures(capsys, odd) == ZEROS | {"stored": 1, "settled": 1}
    assert measures(capsys, odd, settled(Outcome.STORED, stored_after_ms=1))["slowest_ms"] == 1


def test_bill_counts_the_bytes_that_are_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ids of full length; ``python -m benchmarks.processor.log_bytes`` measures the whole function."""

    def written(*results: Settled, sampled: bool = False) -> int:
        monkeypatch.setenv(
            "_X_AMZN_TRACE_ID", f"Root=1-5759e988-bd862e3fe1be46a994272793;Sampled={sampled:d}"
        )
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
    assert written(stored, duplicate, sampled=True) - written(stored, duplicate) == 2 * OURS.trace_log_bytes


def test_event_that_needs_attention_has_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    quarantined = Quarantined(
        Record("m-9", "receipt-9", 1, "nonsense\n{}"),
        "",
        Reason.INVALID_JSON,
        "expected JSON",
        "expected JSON, got nonsense",
    )
    retried = settled(Outcome.RETRIED)
    assert isinstance(retried, Retried)
    retried = replace(retried, detail="Traceback:\n  line\n")
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
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0", None),
        ("Root=1-5759e988-bd862e3fe1be46a994272793", None),
        ("Sampled=1", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_lines_carry_the_trace_where_there_is_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, header: str, trace_id: str | None
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    lines = reported(capsys, settled(Outcome.CONFLICT))
    assert [line.get("trace_id") for line in lines] == [trace_id] * 2
    assert all(("trace_id" in line) == (trace_id is not None) for line in lines)
