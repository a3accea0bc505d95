"""Waiting for the states: how much it reads, and which time it names."""

import itertools
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shipment_events.accounting import states
from shipment_events.accounting.shipments import History
from shipment_events.accounting.states import StateWait
from shipment_events.table.item import StoredEvent, attribute_json
from shipment_events.table.store import MAX_KEYS
from tests.tracking.histories import NOON, stored

EVENT = stored(NOON, "e", "shipment.departed")
LATER = stored(NOON + timedelta(hours=1), "l", "shipment.delivered")
IDS = [f"S-{number}" for number in range(3 * MAX_KEYS)]


class Stage:
    """Both tables. Each shipment has the same event, and the tracker has written no state at first."""

    def __init__(self) -> None:
        self.tracked: set[str] = set()
        self.never = ""
        self.events = [EVENT]
        self.states_read: list[str] = []
        self.events_read: list[tuple[str, datetime]] = []

    def timeline(self, shipment_id: str) -> Iterator[StoredEvent]:
        self.events_read.append((shipment_id, datetime.now(UTC)))
        return iter(self.events)

    def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803 - boto3's
        ids = [key["shipment_id"]["S"] for key in RequestItems["shipments"]["Keys"]]
        self.states_read += ids
        return {
            "Responses": {
                "shipments": [self._item(one) for one in ids if one in self.tracked and one != self.never]
            }
        }

    def _item(self, shipment_id: str) -> dict[str, Any]:
        state = {"shipment_id": shipment_id, **History.of(shipment_id, self.events).state()}
        return {name: json.loads(attribute_json(value)) for name, value in state.items()}

    def wait(self, patience: float = 60.0) -> tuple[StateWait, dict[str, str]]:
        events: Any = self
        wait = StateWait(events, events, "shipments", lambda _: True, patience)
        return wait, wait.wait(IDS, lambda _: None)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage whose tracker has tracked all shipments after the third look."""
    stage, looks = Stage(), itertools.count()

    def sleep(_: float) -> None:
        if next(looks) == 2:
            stage.tracked.update(IDS)

    monkeypatch.setattr(states, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    return stage


def test_states_are_right_when_they_were_read_not_when_their_events_were(stage: Stage) -> None:
    wait, wrong = stage.wait()
    assert not wrong
    assert wait.last_stored_at == EVENT.stored_at
    assert wait.seen_at is not None
    after = [one for one, at in stage.events_read if at >= wait.seen_at]
    assert after == IDS[MAX_KEYS:], "the events of the others are read after all states"
    expected = (wait.seen_at - datetime.fromisoformat(EVENT.stored_at)).total_seconds()
    assert wait.seconds == max(0.0, expected)


def test_waiting_reads_the_first_shipments_alone(stage: Stage) -> None:
    stage.wait()
    assert stage.states_read[: 4 * MAX_KEYS] == IDS[:MAX_KEYS] * 4
    assert sorted(stage.states_read[4 * MAX_KEYS :]) == sorted(IDS[MAX_KEYS:])
    assert sorted(one for one, _ in stage.events_read) == sorted(IDS), "events are read once"


def test_shipment_that_stays_wrong_is_named_with_what_differs(stage: Stage) -> None:
    stage.never = IDS[-1]
    _, wrong = stage.wait(patience=0.2)
    assert list(wrong) == IDS[-1:]
    assert "latest_event, open, status" in wrong[IDS[-1]]


def test_events_of_other_producers_are_read_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_READ_AGAIN_SECONDS", 0.0)
    expect = StateWait._expect

    def expect_and_store(self: StateWait, ids: list[str]) -> None:
        expect(self, ids)
        stage.events = [EVENT, LATER]

    monkeypatch.setattr(StateWait, "_expect", expect_and_store)
    wait, wrong = stage.wait(patience=0.5)
    assert not wrong
    assert wait.last_stored_at == LATER.stored_at
