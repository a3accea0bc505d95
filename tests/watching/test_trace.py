"""A trace shows only the named event or shipment, even if a search finds others."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from shipment_events.publishing.journal import JournalRecord
from shipment_events.table.item import StoredEvent
from shipment_events.watching import effects
from shipment_events.watching import trace as trace_module
from shipment_events.watching.log import ProcessorLog
from shipment_events.watching.trace import Sources, Trace, trace
from tests.stand_ins.queues import dead_letters_on

NOW = datetime.now(UTC)
NEIGHBOURS = ("MAC-10", "AMAC-1", "mac-1", "MAC-1 ")


class Logs:
    """CloudWatch Logs: a pattern in quotes matches every line that contains its text, even inside a word.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
    """

    def __init__(self, *lines: dict[str, Any]) -> None:
        self._messages = [json.dumps(line) for line in lines]

    def get_paginator(self, _: str) -> "Logs":
        return self

    def paginate(self, *, filterPattern: str, **request: Any) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's
        text = json.loads(filterPattern)
        found = [message for message in self._messages if text.lower() in message.lower()]
        timestamp = int(NOW.timestamp() * 1000)
        most = request["PaginationConfig"]["MaxItems"]
        yield {"events": [{"message": message, "timestamp": timestamp} for message in found[:most]]}


class Queue:
    """A dead-letter queue that returns each letter once."""

    def __init__(self, *bodies: str) -> None:
        self._bodies = list(bodies)

    def receive_message(self, **_: Any) -> dict[str, Any]:
        bodies, self._bodies = self._bodies, []
        return {
            "Messages": [
                {"MessageId": f"m-{number}", "ReceiptHandle": "r", "Body": body}
                for number, body in enumerate(bodies)
            ]
        }

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": {}}

    def change_message_visibility_batch(self, **_: Any) -> dict[str, Any]:
        return {}


class Table:
    """One event of each shipment, stored by the delivery ``e-SHIPMENT``."""

    def timeline(self, shipment_id: str) -> Iterator[StoredEvent]:
        yield StoredEvent("key", "PROCESSED", f"event-{shipment_id}", NOW.isoformat(), f"e-{shipment_id}", {})


def outcome(**fields: Any) -> dict[str, Any]:
    return {"message": "event was stored before", "outcome": "duplicate", "receive_count": 1, **fields}


def traced(
    identifier: str,
    *lines: dict[str, Any],
    bodies: tuple[str, ...] = (),
    journal: Sequence[JournalRecord] = (),
) -> Trace:
    letters = dead_letters_on(Queue(*bodies), "dlq", "queue")
    log = ProcessorLog(cast("Any", Logs(*lines)), "dev")
    return trace(
        identifier, Sources(cast("Any", Table()), letters, log, journal), since=NOW - timedelta(hours=1)
    )


def body(shipment_id: str) -> str:
    return json.dumps({"id": f"e-{shipment_id}", "detail": {"shipment_id": shipment_id}})


def record(shipment_id: str) -> JournalRecord:
    detail = json.dumps({"shipment_id": shipment_id})
    return JournalRecord(f"e-{shipment_id}", NOW.isoformat(), "s", "t", detail)


def test_effect_on_the_state_says_that_it_is_computed_and_an_unfoldable_event_is_named() -> None:
    line = {"message": "event could not be folded", "shipment_id": "MAC-1", "event_timestamp": "key"}
    other = {**line, "shipment_id": "MAC-10"}
    letters = dead_letters_on(Queue(), "dlq", "queue")
    log, tracker_log = (ProcessorLog(cast("Any", Logs(*lines)), "dev") for lines in ([], [line, other]))
    sources = Sources(cast("Any", Table()), letters, log, (), tracker_log)
    steps = {step.what: step for step in trace("MAC-1", sources, since=NOW - timedelta(hours=1)).steps}
    assert steps.keys() == {"stored", "state", "unfoldable"}
    assert "the tracker cannot fold it" in steps["state"].detail
    assert steps["state"].detail.endswith("(computed from the stored events)")
    assert (steps["unfoldable"].shipment_id, steps["unfoldable"].correlation_id) == ("MAC-1", "e-MAC-1")


def test_effects_that_are_not_computed_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "MOST_EVENTS", 0)
    letters, log = dead_letters_on(Queue(), "dlq", "queue"), ProcessorLog(cast("Any", Logs()), "dev")
    sources = Sources(cast("Any", Table()), letters, log, (), log)
    steps = {step.what: step for step in trace("MAC-1", sources, since=NOW - timedelta(hours=1)).steps}
    assert steps["state"].detail == "not computed: the shipment has more than 5,000 events"
    assert steps["state"].correlation_id == "e-MAC-1"


def test_a_shipment_is_not_mistaken_for_one_whose_id_contains_its_id() -> None:
    names = ("MAC-1", *NEIGHBOURS)
    found = traced(
        "MAC-1",
        *(outcome(shipment_id=name, correlation_id=f"e-{name}") for name in names),
        bodies=tuple(map(body, names)),
        journal=list(map(record, names)),
    )
    assert {step.shipment_id for step in found.steps} == {"MAC-1"}
    assert {step.what for step in found.steps} == {"published", "stored", "dead letter", "duplicate"}


@pytest.mark.parametrize("field", ["correlation_id", "message_id", "shipment_id", "event_timestamp"])
def test_each_name_of_a_log_line_is_compared_whole(field: str) -> None:
    before = "2025-03-01T13:05:00.000000Z#" if field == "event_timestamp" else ""
    lines = [outcome(**{field: f"{before}{name}"}) for name in ("MAC-1", *NEIGHBOURS)]
    found = [step.fields[field] for step in traced("MAC-1", *lines).steps if step.what == "duplicate"]
    assert found == [f"{before}MAC-1"]


def test_a_batch_counts_for_the_delivery_that_it_names_and_no_other() -> None:
    batch = {"message": "batch settled", "correlation_ids": {"stored": ["MAC-1", "MAC-10"]}}
    other = {"message": "batch settled", "correlation_ids": {"stored": ["MAC-10"]}}
    settled = [step for step in traced("MAC-1", batch, other).steps if step.what == "settled"]
    assert [step.correlation_id for step in settled] == ["MAC-1"]


def test_lines_of_others_do_not_use_up_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "_MOST_LINES", 2)
    lines = [outcome(shipment_id=f"MAC-1{number}", n=number) for number in range(5)]
    found = traced("MAC-1", *lines, outcome(shipment_id="MAC-1"))
    assert "duplicate" in {step.what for step in found.steps}
    assert found.is_whole


def test_says_where_the_log_has_more_than_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "_MOST_READ", 3)
    lines = [outcome(shipment_id="MAC-1", n=number) for number in range(4)]
    assert not traced("MAC-1", *lines).is_whole
    assert traced("MAC-1", *lines[:2]).is_whole


def test_says_where_more_deliveries_are_known_than_are_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "_MOST_SEARCHES", 2)
    bodies = [json.dumps({"id": f"e-{n}", "detail": {"shipment_id": "MAC-1"}}) for n in range(2)]
    # The item in the table is one more delivery.
    assert not traced("MAC-1", bodies=tuple(bodies)).is_whole
    assert traced("MAC-1", bodies=tuple(bodies[:1])).is_whole


def test_what_has_no_delivery_id_is_nobody_elses_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead letter that is not an envelope has no id. An item that bypassed the bus may have no id."""
    item = StoredEvent("key", "PROCESSED", "other", NOW.isoformat(), "", {})
    monkeypatch.setattr(Table, "timeline", lambda _, shipment: iter([item] if shipment == "S-1" else []))
    letter = json.dumps({"detail": {"shipment_id": "S-1", "event_id": "1"}})
    found = traced("1", bodies=(letter,))
    assert [step.what for step in found.steps] == ["dead letter"]
