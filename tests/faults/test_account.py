"""What the drill's account looks at: nothing that was made up or that nobody could read passes."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shipment_events.accounting.announcements import AnnouncementAccount
from shipment_events.accounting.read_side import ReadSideAccount, receive_changes
from shipment_events.accounting.shipments import History, differences
from shipment_events.contract.names import CHANGE_SOURCE
from shipment_events.dead_letters.letters import Reading
from shipment_events.queue.queue import Drain
from tests.stand_ins.sqs import AwsSqs, MovableClock
from workbench.drill import run
from workbench.drill.listener import Listener
from workbench.drill.report import DrillReport
from workbench.drill.run import Drill, DrillProgress
from workbench.drill.stage import Stage
from workbench.drill.storm import Storm
from workbench.drill.traffic import Traffic

STORED = "STORED"


@dataclass
class StandIn:
    """A stage with one stored event, and without faults."""

    tracked: set[str] = field(default_factory=lambda: {STORED})
    heard: set[str] = field(default_factory=lambda: {STORED})
    hidden: list[int] = field(default_factory=list)
    drains: list[Drain] = field(default_factory=lambda: [Drain(is_empty=True)])
    redriven: int = 0
    accounted: Collection[str] = ()
    visibility_timeout: int = 36

    @property
    def table(self) -> Any:
        item = SimpleNamespace(
            detail={"shipment_id": STORED},
            correlation_id="a",
            status="PROCESSED",
            stored_at="2026-05-04T10:00:00+00:00",
        )
        return SimpleNamespace(scan=lambda: iter([item]))

    def tracked_shipments(self) -> set[str]:
        return self.tracked

    @property
    def subscriber(self) -> Any:
        return SimpleNamespace(shipment_ids=self.heard)

    @property
    def read_side(self) -> Any:
        def account(ids: Collection[str], _: Any) -> ReadSideAccount:
            self.accounted = ids
            return ReadSideAccount(len(ids), changes=AnnouncementAccount())

        return SimpleNamespace(account=account)

    @property
    def queue(self) -> Any:
        return SimpleNamespace(wait_until_empty=lambda **_: self.drains.pop(0))

    @property
    def dead_letters(self) -> Any:
        settled = SimpleNamespace(settled=[None] * self.redriven)
        return SimpleNamespace(
            redrive=lambda _: settled,
            read=lambda: Reading([], self.hidden.pop(0) if self.hidden else 0),
        )


@pytest.fixture(autouse=True)
def no_second_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_SECOND_LOOK_SECONDS", 0)


@pytest.fixture
def report() -> DrillReport:
    return DrillReport(seed=1, minutes=1, wanted_events=0, wanted_faults=0, visibility_timeout=36)


def drill(stage: StandIn, report: DrillReport) -> Drill:
    storm = SimpleNamespace(publisher=SimpleNamespace(send=iter), last_fault_at=lambda: 0.0)
    nothing = cast("Any", None)
    return Drill(
        stage=cast("Stage", stage), storm=cast("Storm", storm), report=report, journal=nothing,
        events=nothing, progress=DrillProgress(), on_progress=lambda _: None, traffic=Traffic(1),
    )  # fmt: skip


def test_a_state_of_a_shipment_without_events_is_looked_at(report: DrillReport) -> None:
    stage = StandIn(tracked={STORED, "MADE-UP"})
    drill(stage, report).account()
    assert set(stage.accounted) == {STORED, "MADE-UP"}
    assert differences(History.of("MADE-UP", []).state(), {"status": "delivered"})


def test_a_change_of_a_shipment_without_events_is_impossible(report: DrillReport) -> None:
    drill(StandIn(heard={STORED, "MADE-UP"}), report).account()
    assert "1 impossible changes" in report.failures
    assert report.as_json()["changes"]["impossible_changes"] == ["MADE-UP: a change, and no event is stored"]


def test_changes_of_shipments_with_events_are_not(report: DrillReport) -> None:
    drill(StandIn(), report).account()
    assert not [failure for failure in report.failures if "changes" in failure]


def test_the_listener_knows_the_shipments_of_what_it_received() -> None:
    clock = MovableClock()
    sqs = AwsSqs(clock)
    queue = Listener(sqs.client, "url", clock.timing)
    for name in ("A", "B"):
        detail = {"shipment_id": name}
        sqs.put("url", json.dumps({"source": CHANGE_SOURCE, "detail-type": "x", "detail": detail}))
    assert len(list(receive_changes(queue))) == 2
    assert queue.shipment_ids == {"A", "B"}


def test_a_hidden_dead_letter_is_read_later(report: DrillReport) -> None:
    drill(StandIn(hidden=[1]), report).account()
    assert not [failure for failure in report.failures if "hidden" in failure]


def test_a_dead_letter_that_stays_hidden_fails_the_drill(report: DrillReport) -> None:
    drill(StandIn(hidden=[1] * 10), report).account()
    assert "1 hidden dead letters" in report.failures
    assert report.as_json()["hidden_dead_letters"] == 1


@pytest.mark.parametrize(
    ("drains", "failure"),
    [
        ([Drain(waiting=1)], "the queue did not empty after the last fault"),
        ([Drain(is_empty=True), Drain(waiting=1)], "the queue did not empty after the redrive"),
    ],
)
def test_a_queue_that_does_not_become_empty_fails_the_drill(
    report: DrillReport, drains: list[Drain], failure: str
) -> None:
    stage = StandIn(drains=[*drains, Drain(is_empty=True)], redriven=1)
    drill(stage, report).recover([])
    assert [text for text in report.failures if "queue" in text] == [failure]


def test_a_queue_that_becomes_empty_does_not(report: DrillReport) -> None:
    stage = StandIn(drains=[Drain(is_empty=True)] * 2, redriven=1)
    drill(stage, report).recover([])
    assert report.failures == []
