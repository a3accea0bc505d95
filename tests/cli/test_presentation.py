import io
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.table import Table

from shipment_events.cli.dead_letter_views import print_settlement
from shipment_events.cli.presentation import events_table, print_table, timeline_table
from shipment_events.cli.trace import steps_table
from shipment_events.dead_letters.settlement import Settlement
from shipment_events.table.item import StoredEvent
from shipment_events.watching.trace import Step
from tests.dead_letters.test_letters import letter

SHIPMENT_ID = "MAC-134364267"
DERIVED_ID = "8d1f0a6c2b7e4f5d9a3c1b2e4f6a7c8d"
CORRELATION_IDS = ["74197c1d-66b5-481a-8683-f027722d7fb2", "84197c1d-66b5-481a-8683-f027722d7fb2"]
TRACE_ID = "1-6b04b437-2b7497cfde096e37ce095fcb"
DESCRIPTION = "departed from the last facility before customs"


def event(event_id: str, status: str = "PROCESSED") -> StoredEvent:
    detail = {
        "shipment_id": SHIPMENT_ID,
        "event_timestamp": "2025-03-01T14:05:00+01:00",
        "event_type": "shipment.delivery_failed",
        "description": DESCRIPTION,
        "location": {"city": "東京"},
    }
    return StoredEvent("key", status, event_id, "now", "envelope", detail)


def timeline() -> Table:
    return timeline_table(SHIPMENT_ID, [event(DERIVED_ID), event("d0", "CONFLICT")])


def events() -> Table:
    return events_table("CONFLICT", [event(DERIVED_ID, "CONFLICT")], of_many=True)


def trace() -> Table:
    detail = f"receive 1: event can never be stored; request 4711, trace {TRACE_ID}"
    at = datetime(2025, 3, 1, tzinfo=UTC)
    return steps_table("x", [Step(at, "settled", SHIPMENT_ID, id_, detail, {}) for id_ in CORRELATION_IDS])


def printed(table: Table, width: int, *, is_terminal: bool = True) -> str:
    text = io.StringIO()
    print_table(Console(file=text, width=width, force_terminal=is_terminal, color_system=None), table)
    return text.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize(
    ("table", "ids"),
    [
        (timeline, [DERIVED_ID, "d0", "CONFLICT"]),
        (events, [SHIPMENT_ID, DERIVED_ID]),
        (trace, [SHIPMENT_ID, *CORRELATION_IDS, TRACE_ID]),
    ],
)
def test_no_id_is_broken_in_pieces(table: Callable[[], Table], ids: list[str], width: int) -> None:
    shown = printed(table(), width)
    assert [name for name in ids if name not in shown] == []
    assert all(len(line) <= width for line in shown.splitlines())


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("width", [60, 80, 100, 110, 120, 130, 140, 200])
@pytest.mark.parametrize("table", [timeline, events])
def test_no_word_is_broken(table: Callable[[], Table], width: int, *, is_terminal: bool) -> None:
    shown = printed(table(), width, is_terminal=is_terminal)
    assert [word for word in ("delivery_failed", *DESCRIPTION.split()) if word not in shown] == []


def test_what_does_not_fit_side_by_side_stands_below_each_other() -> None:
    lines = [line.rstrip() for line in printed(timeline(), 80).splitlines()]
    assert lines[:7] == [
        f"Shipment {SHIPMENT_ID}",
        "",
        "occurred at  2025-03-01T14:05:00+01:00",
        "event        delivery_failed",
        f"status       {DESCRIPTION}",
        "where        東京",
        f"event id     {DERIVED_ID}",
    ]


def test_a_pipe_has_one_table_however_narrow() -> None:
    assert "│" in printed(timeline(), 80, is_terminal=False)
    assert DERIVED_ID in printed(timeline(), 80, is_terminal=False)


@pytest.mark.parametrize(("failed", "undeleted", "more"), [(15, 0, 5), (0, 12, 2), (15, 12, 7), (10, 10, 0)])
def test_failures_that_are_not_shown_are_counted(failed: int, undeleted: int, more: int) -> None:
    some = letter("invalid_field", "{}")
    result = Settlement(failed=[(some, "Throttled")] * failed, undeleted=[(some, "Throttled")] * undeleted)
    text = io.StringIO()
    print_settlement(Console(file=text, width=120), "redriven", result)
    assert (f"… and {more} more; --json lists all" in text.getvalue()) is bool(more)
    assert ("more; --json" in text.getvalue()) is bool(more)
