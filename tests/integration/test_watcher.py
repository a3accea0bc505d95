"""The watcher over a real table, index and bus of the engine, beside the tracker."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from shipment_events.contract import names
from shipment_events.table.item import ItemTimes, prepare_write
from shipment_events.table.results import Inserted
from shipment_events.table.store import MAX_KEYS, EventTable, slices
from shipment_events.tracking.announcer import Announcer
from shipment_events.tracking.store import ShipmentTable, WriteResult
from shipment_events.tracking.tracker import Tracker
from shipment_events.tracking.watcher import Watch, Watcher
from tests.integration.conftest import LocalEngine
from tests.integration.tables import make_events_table, make_shipments_table
from tests.integration.tracked_stage import make_queue, received
from tests.stand_ins.fakes import RETENTION, client_error

pytestmark = pytest.mark.engine

EVENTS: Final = "watched-events"
SHIPMENTS: Final = "watched-shipments"
BUS: Final = "watched-bus"
SUBSCRIBER: Final = "watched-subscriber"
NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Stage:
    """Tables and bus with a tracker and a watcher, at times of the test's choice."""

    def __init__(self, engine: LocalEngine) -> None:
        self.client = engine.client
        self.dynamodb = engine.client("dynamodb")
        self.shipments = ShipmentTable(self.dynamodb, SHIPMENTS, RETENTION)
        self.events = EventTable(self.dynamodb, EVENTS)
        self.announcer = Announcer(engine.client("events"), BUS)

    def happen(self, shipment_id: str, moment: datetime, kind: str = "departed", **fields: Any) -> None:
        """Store an event at its moment, and track it."""
        self.happen_to([shipment_id], moment, kind, **fields)

    def happen_to(self, ids: Sequence[str], moment: datetime, kind: str = "departed", **fields: Any) -> None:
        """The same for many shipments."""
        event_type = f"shipment.{kind}"
        event = {"event_timestamp": moment.isoformat(), "event_type": event_type} | fields
        envelope = {"id": "c", "source": "shipment.service", "detail-type": event_type}
        bodies = [json.dumps({**envelope, "detail": {"shipment_id": one, **event}}) for one in ids]
        writes, times = [prepare_write(body)[1] for body in bodies], ItemTimes.of(moment, RETENTION)
        for part in slices(writes):
            assert self.events.insert(part, times) == [Inserted()] * len(part)
        tracker = Tracker(
            shipments=self.shipments,
            events=self.events,
            announcer=self.announcer,
            sqs=self.client("sqs"),
            failures_queue_url="none",
            clock=lambda: moment,
        )
        tracking = tracker.track([self.record(write.key) for write in writes], lambda: 60.0)
        assert (len(tracking.folded), tracking.unsettled) == (len(ids), [])

    def record(self, key: tuple[str, str]) -> dict[str, Any]:
        """The record of a stored event."""
        keys = {"shipment_id": {"S": key[0]}, "event_timestamp": {"S": key[1]}}
        item = self.dynamodb.get_item(TableName=EVENTS, Key=keys)["Item"]
        return {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "Keys": keys, "NewImage": item}}

    def watcher(self, announcer: Announcer | None = None) -> Watcher:
        """A watcher as a new container has it: it knows nothing of earlier runs."""
        return Watcher(
            client=self.dynamodb,
            shipments=self.shipments,
            announcer=announcer or self.announcer,
            stalled_after_hours=48,
            sleep=lambda _: None,
        )

    def watch(self, now: datetime) -> Watch:
        return self.watcher().watch(now, lambda: 60.0)

    def delays(self) -> list[tuple[str, str]]:
        """What the subscriber got of the watcher since the last call."""
        return [
            (one["detail-type"].removeprefix("shipment."), one["detail"]["shipment_id"])
            for one in received(self.client, SUBSCRIBER)
            if one["detail-type"] in ("shipment.stalled", "shipment.overdue")
        ]


@pytest.fixture
def stage(engine: LocalEngine) -> Iterator[Stage]:
    client = engine.client
    make_events_table(client("dynamodb"), EVENTS)
    make_shipments_table(client("dynamodb"), SHIPMENTS)
    url, arn = make_queue(client, SUBSCRIBER)
    events = client("events")
    events.create_event_bus(Name=BUS)
    events.put_rule(Name="all", EventBusName=BUS, EventPattern=json.dumps({"source": ["shipment.tracker"]}))
    events.put_targets(Rule="all", EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])
    yield Stage(engine)
    for name in (EVENTS, SHIPMENTS):
        client("dynamodb").delete_table(TableName=name)
    events.remove_targets(Rule="all", EventBusName=BUS, Ids=["queue"])
    events.delete_rule(Name="all", EventBusName=BUS)
    events.delete_event_bus(Name=BUS)
    client("sqs").delete_queue(QueueUrl=url)


def after(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def test_a_run_without_time_leaves_marks_to_the_next(stage: Stage) -> None:
    """A request can take seconds, and a run that times out would not say what it has done."""

    class Slow(ShipmentTable):
        requests = 0

        def write(self, statements: Sequence[str]) -> Iterator[list[WriteResult]]:
            for part in super().write(statements):
                self.requests += 1
                yield part

    stage.happen_to([f"S-{number:02}" for number in range(60)], NOON)
    slow = Slow(stage.dynamodb, SHIPMENTS, RETENTION)
    watch = replace(stage.watcher(), shipments=slow).watch(after(50), lambda: 5.0 if slow.requests else 60.0)
    assert (watch.announced, watch.unsettled, slow.requests) == (60, {"OutOfTime": 35}, 1)
    assert stage.watch(after(50)).announced == 35
    assert len(set(stage.delays())) == 60


def test_delays_are_announced_once_until_there_is_news(stage: Stage) -> None:
    estimate = after(10).isoformat()
    stage.happen("silent", NOON)
    stage.happen("late", after(40), estimated_delivery=estimate)
    stage.happen("done", NOON, "delivered", estimated_delivery=estimate)
    stage.happen("in time", after(40), "manifested")
    watch = stage.watch(after(50))
    assert (watch.looked_at, watch.announced, watch.unsettled) == (3, 2, {})
    assert sorted(stage.delays()) == [("overdue", "late"), ("stalled", "silent")]
    assert stage.watch(after(50.25)).announced == 0
    stage.happen("silent", after(51), "arrived")
    assert stage.watch(after(60)).announced == 0
    assert stage.watch(after(99.5)).announced == 2
    assert sorted(stage.delays()) == [("stalled", "late"), ("stalled", "silent")]


def test_shipments_that_cannot_be_delayed_are_counted_but_not_sent(stage: Stage) -> None:
    sent: list[str] = []
    stage.dynamodb.meta.events.register(
        "after-call.dynamodb.Query",
        lambda parsed, **_: sent.extend(item["shipment_id"]["S"] for item in parsed["Items"]),
    )
    stage.happen("at the limit", NOON)
    stage.happen("silent, but not picked up", after(-1), "manifested")
    stage.happen_to(["news", "more news"], after(1))
    stage.happen("on time", after(1), estimated_delivery=after(48).isoformat())
    stage.happen("late", after(1), estimated_delivery=after(47).isoformat())
    sent.clear()
    watch = stage.watch(after(48))
    assert sent == ["silent, but not picked up", "at the limit", "late"]
    assert (watch.looked_at, watch.announced) == (6, 2)


def test_more_delays_than_fit_into_a_request(stage: Stage) -> None:
    ids = [f"S-{number:03}" for number in range(MAX_KEYS + 1)]
    stage.happen_to(ids, NOON)
    assert stage.watch(after(48)).announced == len(ids)
    assert sorted(stage.delays()) == [("stalled", one) for one in ids]
    assert stage.watch(after(49)).announced == 0


def test_a_tracker_that_writes_first_keeps_its_state(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.happen("S", NOON, estimated_delivery=after(10).isoformat())
    watcher = stage.watcher()
    announce = stage.announcer.announce
    news = iter([lambda: stage.happen("S", after(47), "arrived")])

    def slow(*args: Any) -> dict[int, str]:
        result = announce(*args)
        if happens := next(news, None):
            happens()
        return result

    monkeypatch.setattr(Announcer, "announce", lambda _, *args: slow(*args))
    watch = watcher.watch(after(48), lambda: 60.0)
    assert (watch.lost_races, watch.unsettled) == (1, {})
    (item,) = stage.dynamodb.scan(TableName=SHIPMENTS)["Items"]
    assert item["latest_at"]["S"] == "2026-03-03T11:00:00.000000Z"
    marks = item["memory"]["M"]["marks"]["M"]
    assert set(marks) == {"overdue"}, "the event that was stalled is not the latest any more"


def test_what_is_not_announced_is_not_marked(stage: Stage) -> None:
    class Refusing:
        def put_events(self, **_: Any) -> Any:
            raise client_error("ThrottlingException")

    bus: Any = Refusing()
    stage.happen("S", NOON)
    watch = stage.watcher(Announcer(bus, BUS)).watch(after(48), lambda: 60.0)
    assert (watch.announced, watch.unsettled) == (0, {"not announced: ThrottlingException": 1})
    assert stage.watch(after(48.25)).announced == 1
    assert stage.delays() == [("stalled", "S")]


def test_without_time_it_says_so(stage: Stage) -> None:
    stage.happen("S", NOON)
    assert stage.watcher().watch(after(48), lambda: 9.0).unsettled == {"OutOfTime": 1}


def test_a_foreign_item_hides_no_other(stage: Stage) -> None:
    for name in ("A", "Z"):
        stage.happen(name, NOON)
    foreign = {"shipment_id": {"S": "M"}, "open": {"S": "open"}, "latest_at": {"S": "2026-03-01T12"}}
    stage.dynamodb.put_item(TableName=SHIPMENTS, Item={**foreign, "latest_event": {"S": "none"}})
    stage.dynamodb.put_item(
        TableName=SHIPMENTS, Item={**foreign, "shipment_id": {"S": "N"}, "status": {"S": "in_transit"}}
    )
    watch = stage.watch(after(48))
    assert (watch.announced, watch.unreadable, watch.unsettled) == (2, {"M", "N"}, {})


def test_the_deployed_watcher_is_scheduled_and_runs(engine: LocalEngine) -> None:
    """At a time before all shipments, so that it announces nothing."""
    name = names.watcher_name(engine.environment)
    schedule = engine.client("scheduler").get_schedule(Name=name)
    assert (schedule["State"], schedule["ScheduleExpression"]) == ("ENABLED", "rate(15 minutes)")
    assert schedule["Target"]["Arn"].endswith(f":function:{name}")
    answer = engine.client("lambda").invoke(
        FunctionName=schedule["Target"]["Arn"], Payload=json.dumps({"time": "2000-01-01T00:00:00Z"})
    )
    assert "FunctionError" not in answer
    assert json.load(answer["Payload"])["announced"] == 0
