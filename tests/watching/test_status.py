"""The status of the pipeline and the sources of its numbers."""

import io
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from shipment_events.contract.names import RETRIED_MESSAGE
from shipment_events.contract.outcome import Outcome
from shipment_events.processor.records import Record, Retried
from shipment_events.processor.telemetry import report_batch
from shipment_events.queue.queue import Depth
from shipment_events.watching.flow import Flow, logged_retry_errors, measured_flow
from shipment_events.watching.log import ProcessorLog
from shipment_events.watching.metrics import Metrics, StageAlarm
from shipment_events.watching.status import Health, PipelineStatus

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=15)


def alarm(name: str, threshold: float = 1, *, above: bool = False, firing: bool = False) -> StageAlarm:
    comparison = "GreaterThanThreshold" if above else "GreaterThanOrEqualToThreshold"
    return StageAlarm(name, is_firing=firing, since=NOW, threshold=threshold, comparison=comparison)


ALARM = alarm("retried", firing=True)
VERSION_ALARM = alarm("new-version-errors-12", firing=True)
# The alarms that decide the health, with the default thresholds of a stage.
JUDGES = (
    alarm("queue-depth", 1_000, above=True),
    alarm("oldest-message", 300),
    alarm("dead-letters", 1),
)


class Paginator:
    def __init__(self, *pages: dict[str, Any]) -> None:
        self._pages = pages
        self.requests: list[dict[str, Any]] = []

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        self.requests.append(request)
        return list(self._pages)


class Client:
    """A client that has only paginators."""

    def __init__(self, **paginators: Paginator) -> None:
        self._paginators = paginators

    def get_paginator(self, operation: str) -> Paginator:
        return self._paginators[operation]

    @property
    def typed(self) -> Any:
        return cast("Any", self)


class MetricData(Paginator):
    def __init__(self, values: dict[str, list[float]]) -> None:
        super().__init__()
        self._values = values

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        asked = [query["Id"] for query in request["MetricDataQueries"]]
        results = [
            {
                "Id": name,
                "Values": self._values[name],
                "Timestamps": [SINCE + timedelta(minutes=past) for past in range(len(self._values[name]))],
            }
            for name in asked
        ]
        return [{"MetricDataResults": results}]


def metrics(**values: list[float]) -> Client:
    return Client(get_metric_data=MetricData(values))


def log(*messages: str) -> Client:
    events = [{"timestamp": int(NOW.timestamp() * 1000), "message": message} for message in messages]
    return Client(filter_log_events=Paginator({"events": events}))


def status(**changes: Any) -> PipelineStatus:
    values: dict[str, Any] = {
        "environment": "prod",
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
    values |= changes
    return PipelineStatus(**{**values, "alarms": [*JUDGES, *values["alarms"]]})


def flow(**counts: int) -> Flow:
    return Flow({outcome: counts.get(outcome.value, 0) for outcome in Outcome}, None, "metrics")


@pytest.mark.parametrize(
    ("found", "health", "next_step"),
    [
        (status(), Health.HEALTHY, None),
        (status(queue=Depth(1_000, 100, 0), oldest_seconds=299), Health.HEALTHY, None),
        (status(flow=flow(stored=10, retried=5)), Health.HEALTHY, None),
        (status(queue=Depth(1_001, 0, 0)), Health.BEHIND, "status --watch"),
        (status(oldest_seconds=300), Health.BEHIND, "status --watch"),
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
        # The command may be copied to a shell of another stage.
        assert found.troubles[0].next_step.startswith(("shipments --env prod ", "docs/runbook.md#"))


def flow_of(cloudwatch: Client, logs: Client) -> Flow:
    return measured_flow(Metrics(cloudwatch.typed, "dev"), ProcessorLog(logs.typed, "dev"), SINCE, NOW)


def test_a_retry_says_why() -> None:
    found = status(flow=flow(retried=5), retry_errors={"InternalServerError": 1, "ThrottlingException": 4})
    assert "(ThrottlingException, InternalServerError)" in found.troubles[0].what


def test_why_events_were_given_back_comes_from_the_processors_own_lines() -> None:
    settled = [
        Retried(Record(f"m{number}", "", 1, "{}"), f"c{number}", error)
        for number, error in enumerate(["ThrottlingException", "ThrottlingException", "ResourceNotFound"])
    ]
    written = io.StringIO()
    with redirect_stdout(written):
        report_batch(settled, "dev", "request", "7")
    *lines, _ = written.getvalue().splitlines()
    assert all(RETRIED_MESSAGE in line for line in lines)
    found = logged_retry_errors(ProcessorLog(log(*lines).typed, "dev"), SINCE, NOW)
    assert found == {"ThrottlingException": 2, "ResourceNotFound": 1}


def test_outcomes_come_from_the_metrics_where_there_are_any() -> None:
    cloudwatch = metrics(stored=[10.0, 5.0], duplicate=[], conflict=[], quarantined=[2.0], retried=[],
                         p50=[5.0, 7.0], p99=[40.0, 30.0])  # fmt: skip
    found = flow_of(cloudwatch, log())
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
    found = flow_of(cloudwatch, logs)
    assert found.source == "log"
    assert (found.counts[Outcome.STORED], found.counts[Outcome.RETRIED]) == (4, 1)
    assert found.counts[Outcome.QUARANTINED] == 2
    assert found.latency_ms == pytest.approx((3.5, 3.99))


def test_the_age_is_the_last_that_was_measured_and_unknown_is_not_zero() -> None:
    assert Metrics(metrics(age=[9.0, 0.0]).typed, "dev").oldest_message_seconds(SINCE, NOW) == 0.0
    assert Metrics(metrics(age=[]).typed, "dev").oldest_message_seconds(SINCE, NOW) is None


def described(name: str, state: str = "OK", **more: Any) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "StateValue": state,
        "StateUpdatedTimestamp": NOW,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        **more,
    }


def test_an_alarm_fires_by_its_state_whatever_a_service_filters() -> None:
    paginator = Paginator(
        {"MetricAlarms": [described("shipmentevents-dev-retried", "ALARM")]},
        {
            "MetricAlarms": [
                described("shipmentevents-dev-throttles", "INSUFFICIENT_DATA"),
                described("shipmentevents-development-throttles", "ALARM"),
                described("another", "ALARM"),
            ]
        },
    )
    found = Metrics(Client(describe_alarms=paginator).typed, "dev").alarms()
    assert found == [ALARM, alarm("throttles")]


def test_an_alarm_fires_since_its_state_changed() -> None:
    """``StateUpdatedTimestamp`` also changes with the state of the evaluation."""
    changed = NOW - timedelta(days=3)
    one = described("shipmentevents-dev-retried", "ALARM", StateTransitionedTimestamp=changed)
    (found,) = Metrics(Client(describe_alarms=Paginator({"MetricAlarms": [one]})).typed, "dev").alarms()
    assert found.since == changed


@pytest.mark.parametrize(
    ("stage", "found", "health"),
    [
        (alarm("queue-depth", 20_000, above=True), {"queue": Depth(20_000, 0, 0)}, Health.HEALTHY),
        (alarm("queue-depth", 20_000, above=True), {"queue": Depth(20_001, 0, 0)}, Health.BEHIND),
        (alarm("oldest-message", 60), {"oldest_seconds": 60.0}, Health.BEHIND),
        (alarm("oldest-message", 900), {"oldest_seconds": 899.0}, Health.HEALTHY),
        (alarm("dead-letters", 10), {"dead_letters": Depth(4, 5, 0)}, Health.HEALTHY),
        (alarm("dead-letters", 10), {"dead_letters": Depth(4, 6, 0)}, Health.FAILING),
    ],
)
def test_the_stage_is_judged_by_its_own_thresholds(
    stage: StageAlarm, found: dict[str, Any], health: Health
) -> None:
    """The thresholds are those of the deployed alarms. The settings of a clone can be of another version."""
    others = [each for each in JUDGES if each.name != stage.name]
    assert replace(status(**found), alarms=[stage, *others]).health is health


@pytest.mark.parametrize("missing", ["queue-depth", "oldest-message", "dead-letters"])
def test_a_stage_without_an_alarm_is_no_healthy_stage(missing: str) -> None:
    found = replace(status(), alarms=[each for each in JUDGES if each.name != missing])
    assert found.health is Health.FAILING
    assert f"alarm {missing} does not exist" in found.troubles[0].what


def test_lines_of_another_message_are_not_counted() -> None:
    """A filter pattern matches its text anywhere in a line, and a service may ignore the pattern."""
    quoted = '{"message":"event can never be stored","detail":"batch settled","stored":7}'
    cloudwatch = metrics(stored=[], duplicate=[], conflict=[], quarantined=[], retried=[])
    found = flow_of(cloudwatch, log(quoted))
    assert found.total == 0
    other = f'{{"message":"another","detail":"{RETRIED_MESSAGE}"}}'
    assert not logged_retry_errors(ProcessorLog(log(other).typed, "dev"), SINCE, NOW)


def test_lines_of_another_time_are_not_counted() -> None:
    line = '{"message":"batch settled","stored":7}'
    early, last = (int(each.timestamp() * 1000) for each in (SINCE - timedelta(seconds=1), NOW))
    events = [{"timestamp": at, "message": line} for at in (early, last, last + 1_000)]
    logs = Client(filter_log_events=Paginator({"events": events}))
    cloudwatch = metrics(stored=[], duplicate=[], conflict=[], quarantined=[], retried=[])
    assert flow_of(cloudwatch, logs).counts[Outcome.STORED] == 7
