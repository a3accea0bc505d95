"""A tracker of its own on the local engine, fed by a table's stream, with real tables, bus and queues."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shipment_events.table.item import ItemTimes, prepare_write, value_of_attribute
from shipment_events.table.results import Inserted
from shipment_events.table.store import EventTable, slices
from tests.integration.conftest import ROOT
from tests.stand_ins.fakes import RETENTION

Client = Callable[[str], Any]


@dataclass(frozen=True)
class TrackedStage:
    """The tracker and what it reads and writes; ``name`` is the prefix of all names."""

    client: Client
    name: str
    stream: str
    failures: str

    @classmethod
    def make(cls, client: Client, name: str) -> "TrackedStage":
        """Make tables, bus and queues through the API. A subscriber's queue gets all changes."""
        stream = _make_table(client, f"{name}-events", "shipment_id", "event_timestamp", stream=True)
        _make_table(client, f"{name}-shipments", "shipment_id")
        _, failures = make_queue(client, f"{name}-failures")
        _, subscriber = make_queue(client, f"{name}-subscriber")
        bus = f"{name}-bus"
        client("events").create_event_bus(Name=bus)
        pattern = json.dumps({"source": ["shipment.tracker"]})
        client("events").put_rule(Name="all", EventBusName=bus, EventPattern=pattern)
        client("events").put_targets(
            Rule="all", EventBusName=bus, Targets=[{"Id": "queue", "Arn": subscriber}]
        )
        return cls(client, name, stream, failures)

    @property
    def function(self) -> str:
        """Name of the tracker."""
        return f"{self.name}-tracker"

    @property
    def events(self) -> EventTable:
        """The table of events."""
        return EventTable(self.client("dynamodb"), f"{self.name}-events")

    def start(self, variables: Mapping[str, str] | None = None, *, retries: int = 5) -> str:
        """Make the tracker, with further environment variables. Returns the id of its event source."""
        self.client("lambda").create_function(
            FunctionName=self.function,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/tracker",
            Handler="shipment_events.tracking.handler.handler",
            Timeout=60,
            Code={"ZipFile": _bundle()},
            Environment={
                "Variables": {
                    "ENVIRONMENT": "test",
                    "EVENTS_TABLE_NAME": f"{self.name}-events",
                    "SHIPMENTS_TABLE_NAME": f"{self.name}-shipments",
                    "STATUS_BUS_NAME": f"{self.name}-bus",
                    "FAILURES_QUEUE_URL": self.queue_url("failures"),
                    "EVENT_RETENTION_DAYS": str(RETENTION.days),
                    **(variables or {}),
                }
            },
        )
        mapping = self.client("lambda").create_event_source_mapping(
            FunctionName=self.function,
            EventSourceArn=self.stream,
            StartingPosition="TRIM_HORIZON",
            BatchSize=100,
            BisectBatchOnFunctionError=True,
            MaximumRetryAttempts=retries,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            FilterCriteria={"Filters": [{"Pattern": json.dumps({"eventName": ["INSERT"]})}]},
            DestinationConfig={"OnFailure": {"Destination": self.failures}},
        )
        return str(mapping["UUID"])

    def stop(self, event_source: str) -> None:
        """Remove the event source."""
        self.client("lambda").delete_event_source_mapping(UUID=event_source)

    def write(self, *events: dict[str, Any]) -> None:
        """Store events as the processor does."""
        bodies = [
            json.dumps(
                {"id": "c", "source": "shipment.service", "detail-type": one["event_type"], "detail": one}
            )
            for one in events
        ]
        writes = [prepare_write(body)[1] for body in bodies]
        for part in slices(writes):
            times = ItemTimes.of(datetime.now(UTC), RETENTION)
            assert self.events.insert(part, times) == [Inserted()] * len(part)

    def states(self) -> dict[str, dict[str, Any]]:
        """The attributes of the contract, by shipment."""
        own = {"shipment_id", "version", "memory", "expires_at"}
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=f"{self.name}-shipments")
        return {
            item["shipment_id"]["S"]: {
                name: value_of_attribute(value) for name, value in item.items() if name not in own
            }
            for page in pages
            for item in page["Items"]
        }

    def wait_for(self, states: Mapping[str, Mapping[str, Any]], seconds: float) -> dict[str, dict[str, Any]]:
        """The states when they are these, or when the time is up."""
        deadline = time.monotonic() + seconds
        while (found := self.states()) != states and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def queue_url(self, queue: str) -> str:
        """URL of ``failures`` or ``subscriber``."""
        return str(self.client("sqs").get_queue_url(QueueName=f"{self.name}-{queue}")["QueueUrl"])

    def received(self, queue: str) -> list[Any]:
        """All messages of ``failures`` or ``subscriber``."""
        return received(self.client, f"{self.name}-{queue}")


def received(client: Client, queue: str) -> list[Any]:
    """All messages of a queue, until it is empty for a second. They are not deleted."""
    url, bodies = client("sqs").get_queue_url(QueueName=queue)["QueueUrl"], []
    while (
        messages := client("sqs")
        .receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        .get("Messages", [])
    ):
        bodies += [json.loads(message["Body"]) for message in messages]
    return bodies


def _bundle() -> bytes:
    """The package as it lies in the source tree; functions see botocore besides."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted((ROOT / "src").rglob("*.py")):
            archive.write(path, str(path.relative_to(ROOT / "src")))
    return buffer.getvalue()


def _make_table(client: Client, name: str, *keys: str, stream: bool = False) -> str:
    """Returns the ARN of its stream, or an empty text."""
    kinds = ("HASH", "RANGE")
    answer = client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, kinds, strict=False)],
        **({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}} if stream else {}),
    )
    return str(answer["TableDescription"].get("LatestStreamArn", ""))


def make_queue(client: Client, name: str) -> tuple[str, str]:
    """Returns its URL and ARN."""
    url = client("sqs").create_queue(QueueName=name)["QueueUrl"]
    attributes = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return url, attributes["QueueArn"]
