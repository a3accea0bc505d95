"""A short drill."""

from pathlib import Path

import pytest

from shipment_events.publishing.journal import read_journal
from tests.integration.conftest import ROOT
from workbench.drill.run import EVENTS_FILE, JOURNAL, DrillPlan, DrillProgress, run_drill

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_a_short_drill_loses_and_doubles_nothing_and_cleans_up(tmp_path: Path) -> None:
    phases: list[str] = []

    def watch(state: DrillProgress) -> None:
        phases.append(state.phase)

    plan = DrillPlan(
        root=ROOT, folder=tmp_path, seed=3, minutes=0.15, events=800, faults=60, visibility_timeout=18
    )
    report = run_drill(plan, watch)
    assert report.failures == []
    found = report.as_json()
    assert found["events"] >= 800
    assert found["faults"] == sum(found["fault_kinds"].values()) >= 60
    assert len(found["fault_kinds"]) >= 8
    assert found["states"]["shipments"] > 0
    assert found["changes"]["received"] > found["states"]["shipments"]
    outcomes = found["outcomes"]
    assert outcomes["stored"] > 0
    assert found["events"] == sum(
        outcomes[name] for name in ("stored", "duplicate", "conflict", "quarantined")
    )
    with (tmp_path / JOURNAL).open(encoding="utf-8") as journal:
        assert len(list(read_journal(journal))) == found["events"]
    assert len((tmp_path / EVENTS_FILE).read_text(encoding="utf-8").splitlines()) == found["events"]
    assert not (tmp_path / "drill").exists()
    assert phases[0] == "starting"
    assert phases[-1] == "accounting"
