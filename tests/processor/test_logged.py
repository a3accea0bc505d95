"""What the log says of a broken event: its ids, paths and what was expected, and no other text of it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from shipment_events.contract.event import FIELDS
from shipment_events.contract.outcome import Outcome, Reason
from shipment_events.processor.records import Quarantined, Record, Settled
from shipment_events.processor.retries import RetryPolicy
from shipment_events.processor.telemetry import report_batch
from tests.processor.pipelines import body
from tests.stand_ins.fakes import FakeQueues, FakeTable, processor_on

# In no line, whatever its case; digits make numbers of it.
SECRET: Final = "Hedwig"
NUMBER: Final = "8675309"
MARKS: Final = re.compile(f"{SECRET}|{NUMBER}", re.IGNORECASE)


def raw(member: str) -> str:
    """A valid event with this member, in JSON."""
    return f"{body()[:-2]}, {member}}}}}"


def of_each_field(value: Any) -> Iterator[tuple[str, str]]:
    for name in FIELDS:
        yield f"{name}: {json.dumps(value)[:20]}", body(**{name: value})


def broken() -> Iterator[tuple[str, str]]:
    """What each is, and a body that holds the secrets in its values, in its names, or in both."""
    yield "no JSON", f'{{"detail": {{"customer": "{SECRET}" {NUMBER}'
    yield "text", SECRET
    yield "array", f'["{SECRET}", {NUMBER}]'
    yield "escape that is none", raw(f'"note": "{SECRET}\\x{SECRET}"')
    yield "control character", raw(f'"note": "{SECRET}\n{SECRET}"')
    yield "NaN", raw(f'"{SECRET}": NaN')
    yield "key twice", raw(f'"{SECRET}": 1, "{SECRET}": 2')
    yield "field twice", raw(f'"carrier": "{SECRET}", "carrier": "{SECRET}"')
    yield "no detail-type", json.dumps({"source": "shipment.service", "detail": {SECRET: SECRET}})
    yield "foreign source", body({"source": f"{SECRET}.service"})
    yield "source no text", body({"source": {SECRET: NUMBER}})
    yield "foreign type", body({"detail-type": f"shipment.{SECRET}"})
    yield "foreign detail", body({"detail": SECRET})
    yield "no fields", body({"detail": {SECRET: {SECRET: int(NUMBER)}}})
    yield "type", body(event_type=f"{SECRET}.departed")
    yield "time", body(event_timestamp=f"2025-03-01 {SECRET}")
    yield "month", body(event_timestamp="2025-13-01T00:00:00Z", note=SECRET)
    yield from of_each_field({SECRET: NUMBER})
    yield from of_each_field([SECRET])
    yield from of_each_field(int(NUMBER))
    yield from of_each_field(f"{SECRET}\ud800{NUMBER}")
    yield "long id", body(shipment_id=SECRET * 1000)
    yield "surrogate", raw(f'"{SECRET}": {{"{SECRET}": ["{SECRET}", "{SECRET}\\ud800 {SECRET}"]}}')
    yield "surrogate in a name", raw(f'"location": {{"{SECRET}\\ud800": 1}}')
    yield "number too long", raw(f'"{SECRET}": [{{"{SECRET}": {NUMBER * 6}}}]')
    yield "number too large", raw(f'"{SECRET}": {NUMBER}e200')
    yield "exponent", raw(f'"{SECRET}": 1e{NUMBER * 4}')
    yield "too deep", raw(f'"{SECRET}": ' + f'{{"{SECRET}":' * 40 + "1" + "}" * 40)
    yield "far too deep", raw(f'"{SECRET}": ' + "[" * 100_000)
    yield "too large", body(description=SECRET * 80_000)
    yield "refused by the table", body(None, note="refused", **{SECRET: SECRET})
    yield "conflict", body(event_id="E", note=SECRET)
    yield "conflict beside", body(event_id="E", note=SECRET * 2)
    yield "duplicate", body(event_id="E", note=SECRET)


def refuse(item: Mapping[str, Any]) -> str | None:
    """As the service does: its message may name attributes and their values."""
    is_refused = item["detail"]["M"].get("note") == {"S": "refused"}
    return f"cannot be converted to a numeric value: {SECRET}" if is_refused else None


def settle(records: list[Record]) -> list[Settled]:
    processor = processor_on(FakeTable(refuses=refuse), FakeQueues(), RetryPolicy(360))
    return processor.process(records, lambda: 60)


def test_no_value_and_no_foreign_name_of_any_broken_event_is_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = dict(broken())
    settled = settle([Record(what, "receipt", 1, text) for what, text in rows.items()])
    report_batch(settled, "test", "request", "7")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = {line["message_id"]: line for line in lines[:-1]}
    assert {result.reason for result in settled if isinstance(result, Quarantined)} == set(Reason)
    assert {line["outcome"] for line in told.values()} >= {"quarantined", "conflict", "duplicate"}
    for line in lines:
        assert not MARKS.search(json.dumps({**line, "message_id": ""})), line
    assert told["number too long"]["detail"].startswith("*[0].*: expected a number of at most 38")
    assert told["surrogate in a name"]["detail"] == (
        "location.*: expected Unicode text, got a lone surrogate at character 7"
    )
    assert told["key twice"]["detail"] == "*: expected once in an object, got it twice"
    assert told["time"]["detail"] == "event_timestamp: expected ISO 8601 with an offset or Z"


def test_dead_letter_tells_what_was_found() -> None:
    """Beside the event itself, which is its body."""
    (result,) = settle([Record("m", "receipt", 1, body(event_timestamp="yesterday"))])
    assert isinstance(result, Quarantined)
    assert result.letter_detail == "event_timestamp: expected ISO 8601 with an offset or Z, got 'yesterday'"


def test_defect_of_ours_is_logged_without_its_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def defective(text: str) -> Any:
        raise KeyError(text)

    monkeypatch.setattr("shipment_events.processor.batch.prepare_write", defective)
    settled = settle([Record("m", "receipt", 1, body(note=SECRET))])
    report_batch(settled, "test", "request", "7")
    assert [result.outcome for result in settled] == [Outcome.RETRIED]
    log = capsys.readouterr().out
    assert "in defective" in log
    assert "KeyError" in log
    assert SECRET not in log
