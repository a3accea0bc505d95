"""The deployed stack on an engine of its own, with IAM: delays are announced once, also after a restart."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from shipment_events.contract import names
from tests.integration.conftest import ROOT, client_factory
from tests.integration.tracked_stage import make_queue, received
from workbench.engine import engine as engines
from workbench.engine.deploy import deploy
from workbench.engine.health import free_port
from workbench.engine.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ENVIRONMENT: Final = "dev"
SUBSCRIBER: Final = "delays"
NOON: Final = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=9)
WATCHER: Final = names.watcher_name(ENVIRONMENT)


class Stage:
    """A stage on an engine that the test can restart."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client = self._start()

    def restart(self) -> None:
        engines.stop(self.settings)
        self.client = self._start()

    def _start(self) -> Callable[[str], Any]:
        running = engines.start(self.settings, extra_environment={"AUTH": "true"})
        return client_factory(running.endpoint)

    def happen(self, shipment_id: str, moment: datetime, kind: str = "departed", **fields: Any) -> None:
        """Publish an event, and wait for the state that has it."""
        event_type = f"shipment.{kind}"
        detail = {"shipment_id": shipment_id, "event_timestamp": moment.isoformat(), "event_type": event_type}
        entry = {
            "Source": names.SOURCE,
            "DetailType": event_type,
            "Detail": json.dumps(detail | fields),
            "EventBusName": names.event_bus_name(ENVIRONMENT),
        }
        assert self.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
        deadline = time.monotonic() + 30
        key = {"shipment_id": {"S": shipment_id}}
        while time.monotonic() < deadline:
            found = self.client("dynamodb").get_item(
                TableName=names.shipments_table_name(ENVIRONMENT), Key=key, ConsistentRead=True
            )
            latest = found.get("Item", {}).get("latest_at", {}).get("S")
            if latest and datetime.fromisoformat(latest) == moment:
                return
            time.sleep(0.1)
        raise AssertionError(f"no state has the event of {moment}")

    def watch(self, now: datetime) -> list[tuple[str, str]]:
        """Let the watcher run, and return the delays that its subscriber got since the last call."""
        answer = self.client("lambda").invoke(
            FunctionName=WATCHER, Payload=json.dumps({"time": now.isoformat()})
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        return sorted(
            (each["detail-type"].removeprefix("shipment."), each["detail"]["shipment_id"])
            for each in received(self.client, SUBSCRIBER)
        )


@pytest.fixture
def stage(tmp_path: Path, real_assembly: Path) -> Iterator[Stage]:
    settings = Settings(root=ROOT, home=tmp_path / "engine", port=free_port(), environment=ENVIRONMENT)
    try:
        stage = Stage(settings)
        deploy(settings.endpoint, real_assembly, ENVIRONMENT)
        _, arn = make_queue(stage.client, SUBSCRIBER)
        bus = names.status_bus_name(ENVIRONMENT)
        delays = json.dumps({"detail-type": ["shipment.stalled", "shipment.overdue"]})
        stage.client("events").put_rule(Name="delays", EventBusName=bus, EventPattern=delays)
        stage.client("events").put_targets(
            Rule="delays", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}]
        )
        yield stage
    finally:
        engines.stop(settings)


def after(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def test_delays_are_announced_once_and_again_after_news_and_a_new_silence(stage: Stage) -> None:
    stage.happen("silent", NOON)
    stage.happen("late", after(40), estimated_delivery=after(41).isoformat())
    stage.happen("done", after(1), "delivered", estimated_delivery=after(1).isoformat())
    assert stage.watch(after(50)) == [("overdue", "late"), ("stalled", "silent")]
    assert stage.watch(after(51)) == []
    stage.restart()
    assert stage.watch(after(52)) == []
    stage.happen("silent", after(60), "arrived")
    assert stage.watch(after(70)) == []
    assert stage.watch(after(110)) == [("stalled", "late"), ("stalled", "silent")]


def test_the_schedule_invokes_the_watcher(stage: Stage) -> None:
    """At a time in the past, so that the engine's next tick does it."""
    client = stage.client("scheduler")
    schedule = client.get_schedule(Name=WATCHER)
    client.update_schedule(
        Name=WATCHER,
        ScheduleExpression="at(2026-01-01T00:00:00)",
        FlexibleTimeWindow=schedule["FlexibleTimeWindow"],
        Target=schedule["Target"],
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = stage.client("logs").filter_log_events(logGroupName=names.log_group_name(WATCHER))["events"]
        if any(names.WATCHED_MESSAGE in event["message"] for event in found):
            return
        time.sleep(1)
    raise AssertionError("the watcher did not run")
