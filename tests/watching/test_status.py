"""What the pipeline's status says of what it read, and where its numbers come from."""

import io
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from shipment_events.contract.names import RETRIED_MESSAGE
from shipment_events.contract.outcome import Outcome
from shipment_events.processor.records import Record, Settled
from shipment_events.processor.telemetry import report_batch
from shipment_events.queue.messages import Depth
from shipment_events.watching.flow import Flow, logged_retry_errors, measured_flow
from shipment_events.watching.metrics import FiringAlarm, firing_alarms, oldest_message_seconds
from shipment_events.watching.status import Health, PipelineStatus

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=15)
ALARM = FiringAlarm("retried", "", NOW)
VERSION_ALARM = FiringAlarm("new-version-errors-12", "", NOW)


class Paginator:
    def __init__(self, *pages: dict[str, Any]) -> None:
        self._pages = pages
        self.requests: list[dict[str, Any]] = []

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        self.requests.append(request)
        return list(self._pages)


class Client:
    """A client that has paginators only."""

    def __init__(self, **paginators: Paginator) -> None:
        self._paginators = paginators

    def get_paginator(self, operation: str) -> Paginator:
        return self._paginators[operation]

    @property
    def typed(self) -> Any:
        return cast("Any", self)


class Metrics(Paginator):
    def __init__(self, values: dict[str, list[float]]) -> None:
        super().__init__()
        self._values = values

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        asked = [query["Id"] for query in request["MetricDataQueries"]]
        return [{"MetricDataResults": [{"Id": name, "Values": self._values[name]} for name in asked]}]


def metrics(**values: list[float]) -> Client:
    return Client(get_metric_data=Metrics(values))


def log(*messages: str) -> Client:
    events = [{"timestamp": int(NOW.timestamp() * 1000), "message": message} for message in messages]
    return Client(filter_log_events=Paginator({"events": events}))


def status(**changes: Any) -> PipelineStatus:
    values: dict[str, Any] = {
        "at": NOW,
        "since": SINCE,
        "flow": Flow(dict.fromkeys(Outcome, 0), None, "metrics"),
        "queue": Depth(0, 0, 0),
        "oldest_seconds": None,
        "dead_letters": Depth(0, 0, 0),
        "dead_letters_by_reason": {},
        "alarms": [],
        "deployed_at": NOW,
    }
    return PipelineStatus(**{**values, **changes})


def flow(**counts: int) -> Flow:
    return Flow({outcome: counts.get(outcome.value, 0) for outcome in Outcome}, None, "metrics")


@pytest.mark.parametrize(
    ("found", "health", "next_step"),
    [
        (status(), Health.HEALTHY, None),
        (status(queue=Depth(1_000, 100, 0), oldest_seconds=300), Health.HEALTHY, None),
        (status(flow=flow(stored=10, retried=5)), Health.HEALTHY, None),
        (status(queue=Depth(1_001, 0, 0)), Health.BEHIND, "status --watch"),
        (status(oldest_seconds=301), Health.BEHIND, "status --watch"),
        (status(dead_letters=Depth(1, 0, 0)), Health.FAILING, "dead-letters list"),
        (status(dead_letters=Depth(0, 1, 0)), Health.FAILING, "dead-letters list"),
        (status(flow=flow(retried=5)), Health.FAILING, "runbook.md#retried"),
        (status(flow=flow(stored=10, retried=5), queue=Depth(0, 5, 0)), Health.BEHIND, "runbook.md#retried"),
        (status(alarms=[ALARM]), Health.FAILING, "docs/runbook.md#retried"),
        (status(alarms=[VERSION_ALARM]), Health.FAILING, "docs/runbook.md#new-version-errors"),
        (status(alarms=[ALARM], queue=Depth(2_000, 0, 0)), Health.FAILING, "runbook.md"),
    ],
)
def test_health(found: PipelineStatus, health: Health, next_step: str | None) -> None:
    assert found.health is health
    if next_step is None:
        assert found.troubles == []
    else:
        assert next_step in found.troubles[0].next_step


def test_a_retry_says_why() -> None:
    found = status(flow=flow(retried=5), retry_errors={"InternalServerError": 1, "ThrottlingException": 4})
    assert "(ThrottlingException, InternalServerError)" in found.troubles[0].what


def test_why_events_were_given_back_comes_from_the_processors_own_lines() -> None:
    settled = [
        Settled(Record(f"m{number}", "", 1, "{}"), Outcome.RETRIED, f"c{number}", detail=error)
        for number, error in enumerate(["ThrottlingException", "ThrottlingException", "ResourceNotFound"])
    ]
    written = io.StringIO()
    with redirect_stdout(written):
        report_batch(settled, "dev", "request", "7")
    *lines, _ = written.getvalue().splitlines()
    assert all(RETRIED_MESSAGE in line for line in lines)
    found = logged_retry_errors(log(*lines).typed, "dev", SINCE, NOW)
    assert found == {"ThrottlingException": 2, "ResourceNotFound": 1}


def test_outcomes_come_from_the_metrics_where_there_are_any() -> None:
    cloudwatch = metrics(stored=[10.0, 5.0], duplicate=[], conflict=[], quarantined=[2.0], retried=[],
                         p50=[5.0, 7.0], p99=[40.0, 30.0])  # fmt: skip
    found = measured_flow(cloudwatch.typed, log().typed, "dev", SINCE, NOW)
    assert found.source == "metrics"
    assert (found.counts[Outcome.STORED], found.counts[Outcome.QUARANTINED]) == (15, 2)
    assert found.total == 17
    assert found.latency_ms == (7.0, 40.0)


def test_outcomes_come_from_the_log_where_there_are_no_metrics() -> None:
    cloudwatch = metrics(stored=[], duplicate=[], conflict=[], quarantined=[], retried=[])
    logs = log(
        '{"message":"batch settled","stored":3,"retried":1,"slowest_ms":3}',
        "START RequestId: no JSON",
        '["no object"]',
        '{"message":"batch settled","quarantined":2}',
        '{"message":"batch settled","stored":1,"slowest_ms":4}',
    )
    found = measured_flow(cloudwatch.typed, logs.typed, "dev", SINCE, NOW)
    assert found.source == "log"
    assert (found.counts[Outcome.STORED], found.counts[Outcome.RETRIED]) == (4, 1)
    assert found.counts[Outcome.QUARANTINED] == 2
    assert found.latency_ms == pytest.approx((3.5, 3.99))


def test_the_age_is_the_last_that_was_measured_and_unknown_is_not_zero() -> None:
    assert oldest_message_seconds(metrics(age=[9.0, 0.0]).typed, "dev", SINCE, NOW) == 0.0
    assert oldest_message_seconds(metrics(age=[]).typed, "dev", SINCE, NOW) is None


def test_only_the_alarms_of_the_stage_that_fire_are_asked_for() -> None:
    paginator = Paginator(
        {"MetricAlarms": [{"AlarmName": "shipmentevents-dev-retried", "StateUpdatedTimestamp": NOW}]}
    )
    assert firing_alarms(Client(describe_alarms=paginator).typed, "dev") == [ALARM]
    assert paginator.requests == [{"AlarmNamePrefix": "shipmentevents-dev-", "StateValue": "ALARM"}]
