"""A subscription on the engine, from its stack to the replay of what it missed."""

import json
import runpy
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import boto3
import pytest

from shipment_events.cdk import MAX_RECEIVES
from shipment_events.contract import names
from tests.infrastructure.subscriber import CARRIER, EXAMPLE, STACK, SubscriberTemplate, example
from tests.integration.commands import QuickCommands, exported
from tests.integration.conftest import LocalEngine
from tests.tracking.announced import check
from workbench.engine.template import prepare

pytestmark = [pytest.mark.engine, pytest.mark.slow]

RULE: Final = "deliveries-dev"
DEAD_LETTERS: Final = "deliveries-dlq-dev"


class Subscription:
    """The stack of the example on the engine, and the pipeline that it subscribes to."""

    def __init__(self, engine: LocalEngine, folder: Path) -> None:
        self.template = SubscriberTemplate(folder)
        self.client = engine.client
        self.sqs = engine.client("sqs")
        self.bus, self.table = (
            engine.outputs[name] for name in (names.OUTPUT_EVENT_BUS_NAME, names.OUTPUT_SHIPMENTS_TABLE_NAME)
        )
        self.commands = QuickCommands(folder, {**exported(engine.endpoint), "ENV": "dev", "COLUMNS": "200"})
        cloudformation = engine.client("cloudformation")
        body = json.dumps(prepare(self.template.body, engine.endpoint).template)
        cloudformation.create_stack(StackName=STACK, TemplateBody=body)
        cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
        (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        (output,) = stack["Outputs"]
        self.queue_url: str = output["OutputValue"]

    def happen(self, *ids: str, kind: str = "delivered", **fields: Any) -> None:
        """Publish an event of each shipment, and wait until its state is written."""
        event_type = f"shipment.{kind}"
        event = {"event_timestamp": "2026-05-04T10:00:00Z", "event_type": event_type, **fields}
        entries = [
            {
                "EventBusName": self.bus,
                "Source": names.SOURCE,
                "DetailType": event_type,
                "Detail": json.dumps({"shipment_id": one, **event}),
            }
            for one in ids
        ]
        assert self.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0
        for one in ids:
            wait_until(lambda one=one: "Item" in self.state(one))

    def state(self, shipment_id: str) -> Any:
        key = {names.PARTITION_KEY: {"S": shipment_id}}
        return self.client("dynamodb").get_item(TableName=self.table, Key=key)

    def url(self, queue: str) -> str:
        return str(self.sqs.get_queue_url(QueueName=queue)["QueueUrl"])

    def waiting(self, queue: str) -> int:
        name = "ApproximateNumberOfMessages"
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url(queue), AttributeNames=[name])
        return int(answer["Attributes"][name])

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """Receive messages as a consumer that fails at once."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url(queue), MaxNumberOfMessages=10, VisibilityTimeout=0, WaitTimeSeconds=0
        )
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited for 30 s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def subscription(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subscription]:
    yield Subscription(engine, tmp_path_factory.mktemp("subscriber"))
    cloudformation = engine.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})


def test_a_change_that_fits_every_filter_arrives_and_no_other(subscription: Subscription) -> None:
    estimate = "2026-05-05T10:00:00Z"
    subscription.happen("LIFE-1a", "LIFE-2", kind="picked_up", carrier=CARRIER, estimated_delivery=estimate)
    subscription.happen("LIFE-1b", kind="picked_up", carrier="Other")
    subscription.happen("LIFE-1c", carrier=CARRIER)
    subscription.happen("LIFE/%2F?", kind="departed", carrier=CARRIER)
    wait_until(lambda: subscription.waiting("filtered-dev") >= 2)
    found = subscription.receive("filtered-dev")
    for envelope in found:
        check(envelope["detail-type"], envelope["detail"])
    assert sorted((one["detail"]["shipment_id"], one["detail"]["status"]) for one in found) == [
        ("LIFE-1a", "picked_up"),
        ("LIFE/%2F?", "in_transit"),
    ]


def test_whole_life_of_a_subscription(subscription: Subscription) -> None:
    """Subscribe, receive, fail, dead letter with alarm, be down, replay: in the end nothing is missing."""
    begin = datetime.now(UTC).isoformat(timespec="seconds")
    subscription.sqs.purge_queue(QueueUrl=subscription.queue_url)
    read = example("read")
    deliveries = read.Deliveries()

    def shown() -> list[str]:
        lines = read.lines(subscription.sqs, subscription.queue_url, deliveries)
        # Other tests share the engine, and their shipments are delivered, too.
        return sorted(line.split()[1] for line in lines if " LIFE:" in line)

    subscription.happen("LIFE:a", "LIFE:b")
    wait_until(lambda: subscription.waiting(RULE) >= 2)
    assert shown() == ["LIFE:a", "LIFE:b"]

    # The consumer fails each time. SQS moves the message at the receive after the last allowed one.
    subscription.happen("LIFE:c")
    wait_until(lambda: subscription.waiting(RULE) >= 1)
    for _ in range(MAX_RECEIVES):
        assert [one["detail"]["shipment_id"] for one in subscription.receive(RULE)] == ["LIFE:c"]
    assert subscription.receive(RULE) == []
    alarm = subscription.template.properties("AWS::CloudWatch::Alarm", AlarmName=f"{RULE}-dead-letters")
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": DEAD_LETTERS}]
    assert subscription.waiting(DEAD_LETTERS) >= alarm["Threshold"] == 1

    # The rule is off, as while a stack is gone.
    rule = {"Name": RULE, "EventBusName": names.status_bus_name("dev")}
    subscription.client("events").disable_rule(**rule)
    subscription.happen("LIFE:d", "LIFE:e")
    replay = ("replay", "--subscriber", RULE, "--from", begin, "--yes", "--json")
    assert "is disabled" in subscription.commands(*replay, status=2).stderr
    subscription.client("events").enable_rule(**rule)
    assert shown() == []

    result = json.loads(subscription.commands(*replay).stdout)
    assert (result["state"], result["rule"]) == ("COMPLETED", RULE)
    assert shown() == ["LIFE:c", "LIFE:d", "LIFE:e"]


def test_the_example_shows_its_messages(
    subscription: Subscription, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subscription.happen("LIFE:shown", carrier="DHL")
    wait_until(lambda: subscription.waiting(RULE) >= 1)
    for name, value in subscription.commands.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr("sys.argv", ["read.py", subscription.queue_url])
    runpy.run_path(str(EXAMPLE / "read.py"), run_name="__main__")
    assert "2026-05-04T10:00:00.000000Z LIFE:shown delivered (DHL)\n" in capsys.readouterr().out
