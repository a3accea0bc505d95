"""The watcher's function at its edge: its input, its answer, its settings and its lines."""

import importlib
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, Final

import pytest

from shipment_events.contract import names
from shipment_events.tracking.watcher import RESERVE, Watch
from shipment_events.tracking.watcher_settings import WatcherSettings
from tests.processor.test_handler import AWS, Context

MODULE: Final = "shipment_events.tracking.watcher_handler"
ENVIRONMENT: Final = {
    "ENVIRONMENT": "dev",
    "SHIPMENTS_TABLE_NAME": "shipments",
    "STATUS_BUS_NAME": "changes",
    "EVENT_RETENTION_DAYS": "7",
    "STALLED_AFTER_HOURS": "12",
}
COUNTS: Final = {"looked_at": 3, "announced": 2, "unsettled": 0, "unreadable": 0, "lost_races": 1}


def import_handler(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import as a new container does."""
    for name, value in (ENVIRONMENT | AWS).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    return importlib.import_module(MODULE)


def run_watcher(monkeypatch: pytest.MonkeyPatch, watch: Watch, time: str = "2026-03-01T12:00:00Z") -> Any:
    """A run with this result. Its answer, and the time at which it judged."""
    module = import_handler(monkeypatch)
    judged_at: list[datetime] = []

    class Watcher:
        def watch(self, now: datetime, seconds_left: Callable[[], float]) -> Watch:
            assert seconds_left() > 0
            judged_at.append(now)
            return watch

    monkeypatch.setattr(module, "_WATCHER", Watcher())
    return module.handler({"time": time}, Context()), judged_at


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_run_judges_at_the_time_of_its_event_and_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts, judged_at = run_watcher(monkeypatch, Watch(looked_at=3, announced=2, lost_races=1))
    assert (counts, judged_at) == (COUNTS, [datetime(2026, 3, 1, 12, tzinfo=UTC)])
    (line,) = lines(capsys)
    assert line == {
        "level": "INFO",
        "message": names.WATCHED_MESSAGE,
        **COUNTS,
        "environment": "dev",
        "version": "7",
        "request_id": "request-1",
    }


def test_a_run_that_leaves_something_fails_after_it_said_what(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = Watch(looked_at=20, unsettled={"OutOfTime": 4, "Overtaken": 1}, unreadable=set("abcdefghijkl"))
    with pytest.raises(Exception, match=r"delays of 5 shipments .* items of 12 shipments are unreadable"):
        run_watcher(monkeypatch, watch)
    *problems, counts = lines(capsys)
    assert [(each["detail"], each["shipments"]) for each in problems[:2]] == [
        ("OutOfTime", 4),
        ("Overtaken", 1),
    ]
    assert [each["shipment_id"] for each in problems[2:]] == list("abcdefghij")
    assert (counts["unsettled"], counts["unreadable"]) == (5, 12)


@pytest.mark.parametrize("missing", ENVIRONMENT)
def test_missing_variable_is_named(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        WatcherSettings.from_environment({name: ENVIRONMENT[name] for name in ENVIRONMENT if name != missing})


def test_settings_reach_the_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = import_handler(monkeypatch)._WATCHER
    assert watcher.stalled_after_hours == 12
    assert (watcher.shipments.name, watcher.shipments.retention) == ("shipments", timedelta(days=7))


def test_reserve_is_enough_for_two_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each at its longest; botocore grants the greeting of TLS as much time again as the connection."""
    module = import_handler(monkeypatch)
    assert 2 * (2 * module.CONNECT_TIMEOUT + module.READ_TIMEOUT) <= RESERVE
