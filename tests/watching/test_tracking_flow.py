"""The status of the states: from metrics or log, and unknown where nothing measures."""

import json
from typing import Any

import pytest

from shipment_events.cli.status import _tracking_json, _tracking_rows
from shipment_events.queue.queue import Depth
from shipment_events.watching.log import FunctionLog, TrackerLog
from shipment_events.watching.metrics import Metrics
from shipment_events.watching.status import Health
from shipment_events.watching.tracking_flow import (
    TrackingFlow,
    TrackingSources,
    TrackingStatus,
    tracking_status,
)
from tests.watching.test_status import NOW, SINCE, log, metrics, status


class Failures:
    def __init__(self, count: int) -> None:
        self._count = count

    def depth(self) -> Depth:
        return Depth(self._count, 0, 0)


def read(logged: Any, measured: Any, failures: int = 0) -> TrackingStatus:
    queue: Any = Failures(failures)
    sources = TrackingSources(queue, TrackerLog(logged.typed, "dev"))
    return tracking_status(sources, Metrics(measured.typed, "dev"), SINCE, NOW)


def line(**fields: Any) -> str:
    return json.dumps({"message": "batch tracked", "folded": 3, "announced": 1, "unsettled": 0, **fields})


def test_metrics_count_and_give_the_worst_minute() -> None:
    measured = metrics(
        folded=[10.0, 20.0], changesannounced=[1.0], unsettled=[0.0], p50=[5.0, 7.0], p99=[9.0, 8.0]
    )
    assert read(log(), measured).flow == TrackingFlow(30, 1, 0, (7.0, 9.0), "metrics")


NONE: dict[str, list[float]] = {"folded": [], "changesannounced": [], "unsettled": [], "p50": [], "p99": []}


def test_log_is_read_where_there_are_no_metrics() -> None:
    other = json.dumps({"message": "said 'batch tracked'", "folded": 99})
    logged = log(line(slowest_ms=10), line(slowest_ms=20, unsettled=2), line(folded=0), other)
    assert read(logged, metrics(**NONE)).flow == TrackingFlow(6, 3, 2, (15.0, 19.9), "log")


def test_says_that_only_a_part_of_the_log_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log events without our JSON count as well."""
    monkeypatch.setattr(FunctionLog.lines, "__kwdefaults__", {"most": 2})
    assert not read(log("REPORT RequestId: 1", line()), metrics(**NONE)).flow.is_whole
    assert read(log(line()), metrics(**NONE)).flow.is_whole


def test_lag_without_a_measurement_is_unknown() -> None:
    found = read(log(), metrics(**NONE))
    assert dict(_tracking_rows(found, 15))["table to state"] == "unknown"
    shown = _tracking_json(found)
    assert shown
    assert shown["lag_ms"] is None


@pytest.mark.parametrize(
    ("folded", "unsettled", "failures", "steps"),
    [
        (5, 0, 0, []),
        (0, 0, 0, []),
        (5, 3, 0, []),
        (0, 3, 0, ["shipments --env prod status --watch"]),
        (5, 0, 1, ["shipments --env prod rebuild --failures"]),
    ],
)
def test_failures_and_a_tracker_that_folds_nothing_are_troubles(
    folded: int, unsettled: int, failures: int, steps: list[str]
) -> None:
    flow = TrackingFlow(folded, 0, unsettled, None, "metrics")
    found = status(tracking=TrackingStatus(flow, Depth(failures, 0, 0)))
    assert [trouble.next_step for trouble in found.troubles] == steps
    assert found.health is (Health.FAILING if steps else Health.HEALTHY)
