"""A stage on stand-ins for the services, and the console's page about it."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, Final

import uvicorn
from starlette.testclient import TestClient

from shipment_events.console.access import Access
from shipment_events.console.app import create_app
from shipment_events.console.server import listen
from shipment_events.contract import names
from shipment_events.contract.names import BATCH_MESSAGE
from shipment_events.pipeline import Pipeline
from shipment_events.stages import settings_for
from shipment_events.table.item import ATTRIBUTES, ItemTimes, parameters_json, prepare_write
from tests.stand_ins.fakes import client_error
from tests.stand_ins.sqs import AwsSqs

QUEUE: Final = "https://sqs/queue"
LETTERS: Final = "https://sqs/dead-letters"
FAILURES: Final = f"https://sqs/{names.tracker_failures_queue_name('dev')}"
PORT: Final = 8765
HOME: Final = f"http://127.0.0.1:{PORT}"
OURS: Final = {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}
_OUTPUTS: Final = {
    names.OUTPUT_QUEUE_URL: QUEUE,
    names.OUTPUT_DEAD_LETTER_QUEUE_URL: LETTERS,
    names.OUTPUT_PROCESSOR_ARN: "arn",
    names.OUTPUT_TABLE_NAME: "events",
    names.OUTPUT_EVENT_BUS_NAME: "bus",
    names.OUTPUT_ARCHIVE_NAME: "archive",
    names.OUTPUT_EXACT_COUNTS: "true",
}
_TRACKING: Final = {
    names.OUTPUT_SHIPMENTS_TABLE_NAME: "shipments",
    names.OUTPUT_STATUS_BUS_NAME: "changes",
}


@dataclass
class Services:
    """A session of boto3 whose clients are stand-ins.

    Attributes:
        denied: the message of AWS by the name of the service that refuses every call.
        lines: what the processor's log contains.
        alarms: as DescribeAlarms returns them.
        states: items of the table of shipments by shipment id.
        measured: the value of each period, of the metrics that have data, by the id of their query.
        tracks: whether the stage tracks shipments.
    """

    sqs: AwsSqs = field(default_factory=AwsSqs)
    items: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    tracks: bool = True
    lines: list[str] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    denied: dict[str, str] = field(default_factory=dict)
    received: int = 0

    def __post_init__(self) -> None:
        """Give the queues their counts, and count what is received."""
        self.sqs.put(QUEUE)
        self.sqs.put(LETTERS)
        self.sqs.put(FAILURES)
        self.sqs.before_receive = self._count

    def _count(self) -> None:
        self.received += 1

    def client(self, service: str, *, config: Any) -> Any:
        assert config.retries["total_max_attempts"] < 5, "a person waits"
        if service == "sqs":
            return self.sqs.client if service not in self.denied else _Denied(self, service)
        return _Client(self, service)

    def store(self, body: str, stored_at: datetime, sort_key: str = "") -> None:
        """Put the event of a body into the table."""
        _, write = prepare_write(body)
        times = ItemTimes.of(stored_at, timedelta(days=90))
        values = json.loads(parameters_json(write, times))
        item = dict(zip(ATTRIBUTES, values, strict=True))
        if sort_key:
            item["event_timestamp"] = {"S": sort_key}
            item["processing_status"] = {"S": "CONFLICT"}
        there = self.items.setdefault(write.shipment_id, [])
        there.append(item)
        there.sort(key=lambda one: one["event_timestamp"]["S"])

    def state(self, shipment_id: str, **values: Any) -> None:
        """Put a state into the table of shipments."""
        self.states[shipment_id] = {"shipment_id": {"S": shipment_id}} | {
            name: {"S": value} if isinstance(value, str) else {"M": {key: {"S": value[key]} for key in value}}
            for name, value in values.items()
        }


class _Denied:
    def __init__(self, services: Services, service: str) -> None:
        self._why = services.denied[service]

    def __getattr__(self, operation: str) -> Any:
        def refuse(**_: Any) -> Any:
            raise client_error("AccessDenied", self._why, operation)

        return refuse


class _Client:
    def __init__(self, services: Services, service: str) -> None:
        self._services = services
        self._service = service
        self.meta = SimpleNamespace(endpoint_url="http://engine")

    def _allow(self, operation: str) -> None:
        if self._service in self._services.denied:
            raise client_error("AccessDeniedException", self._services.denied[self._service], operation)

    def describe_stacks(self, **_: Any) -> Any:
        self._allow("DescribeStacks")
        there = _OUTPUTS | (_TRACKING if self._services.tracks else {})
        outputs = [{"OutputKey": name, "OutputValue": value} for name, value in there.items()]
        return {"Stacks": [{"Outputs": outputs, "CreationTime": datetime(2026, 5, 4, tzinfo=UTC)}]}

    def get_paginator(self, operation: str) -> Any:
        pages: Any = {
            "get_metric_data": self._metrics,
            "describe_alarms": lambda **_: [{"MetricAlarms": self._services.alarms}],
            "filter_log_events": self._log,
            "query": self._of_index,
        }[operation]

        def paginate(**request: Any) -> Iterator[Mapping[str, Any]]:
            self._allow(operation)
            yield from pages(**request)

        return SimpleNamespace(paginate=paginate)

    def _metrics(self, **request: Any) -> list[Mapping[str, Any]]:
        queries = request["MetricDataQueries"]
        length = timedelta(seconds=queries[0]["MetricStat"]["Period"])
        begins = [request["StartTime"] + length * at for at in range(4_000)]
        times = [begin for begin in begins if begin < request["EndTime"]]
        results = []
        for query in queries:
            value = self._services.measured.get(query["Id"])
            values = [] if value is None else [value] * len(times)
            results.append({"Id": query["Id"], "Values": values, "Timestamps": times[: len(values)]})
        return [{"MetricDataResults": results}]

    def _log(self, **request: Any) -> list[Mapping[str, Any]]:
        text = request["filterPattern"].strip('"')
        at = request["endTime"] - 1
        found = [line for line in self._services.lines if text in line]
        return [{"events": [{"timestamp": at, "message": line} for line in found]}]

    def get_item(self, **request: Any) -> Any:
        self._allow("GetItem")
        assert (request["TableName"], request["ConsistentRead"]) == ("shipments", True)
        found = self._services.states.get(request["Key"]["shipment_id"]["S"])
        return {"Item": found} if found else {}

    def query(self, **request: Any) -> Mapping[str, Any]:
        self._allow("query")
        wanted = request["ExpressionAttributeValues"][":shipment"]["S"]
        items = self._services.items.get(wanted, [])
        return {"Items": items if request["ScanIndexForward"] else items[::-1]}

    def _of_index(self, **request: Any) -> list[Mapping[str, Any]]:
        name = request["ExpressionAttributeNames"]["#value"]
        values = request["ExpressionAttributeValues"]
        until = values.get(":until", {"S": "9"})["S"]
        states = [
            one
            for one in self._services.states.values()
            if one.get(name) == values[":value"] and one["latest_at"]["S"] <= until
        ]
        states.sort(key=lambda one: one["latest_at"]["S"], reverse=not request["ScanIndexForward"])
        return [{"Items": states}]


BATCH: Final = (
    f'{{"message": "{BATCH_MESSAGE}", "stored": 7, "quarantined": 1, "retried": 0, "slowest_ms": 140}}'
)
QUARANTINED: Final = '{"outcome": "quarantined", "reason": "invalid_field", "correlation_id": "c"}'


@contextmanager
def served(services: Services, copies: Path) -> Iterator[str]:
    """Serve the page on a free port, and name its address with the token."""
    sockets = listen(0)
    access = Access(sockets[0].getsockname()[1])
    session: Any = services
    app = create_app(Pipeline(settings_for("dev"), session), access, copies=copies, allow_changes=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    thread = Thread(target=server.run, kwargs={"sockets": sockets})
    thread.start()
    try:
        yield access.address
    finally:
        server.should_exit = True
        thread.join()


class Browser:
    """A browser with the cookie.

    Args:
        allow_changes: as of the command.
    """

    def __init__(
        self, services: Services, copies: Path, *, stage: str = "dev", allow_changes: bool = True
    ) -> None:
        session: Any = services
        self.access = Access(PORT)
        pipeline = Pipeline(settings_for(stage), session)
        self.app = create_app(pipeline, self.access, copies=copies, allow_changes=allow_changes)
        self.stranger = self.another()
        self.client = self.another()
        self.client.get(self.access.address)

    def another(self) -> TestClient:
        """A browser without the cookie."""
        return TestClient(self.app, base_url=HOME, raise_server_exceptions=False)

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, path: str, data: Mapping[str, Any], status: int = 200) -> str:
        answer = self.client.post(path, data=dict(data), headers=OURS)
        assert answer.status_code == status, answer.text
        return answer.text

    def end_of(self, shown: str) -> str:
        """Wait for the job whose page is shown, and return its end."""
        (number, *_) = re.findall(r"/panels/jobs/(\d+)", shown) or [""]
        if not number:
            return shown
        for _ in range(400):
            found = self.client.get(f"/panels/jobs/{number}")
            if "HX-Retarget" in found.headers:
                return found.text
        raise AssertionError(found.text)

    def read(self) -> None:
        """Read the dead letters."""
        self.end_of(self.post("/dead-letters/read", {"all": "0"}))

    def preview(self, status: int = 200, **form: Any) -> str:
        return self.post("/dead-letters/preview", form, status)

    def confirm(self, shown: str, **form: str) -> str:
        """Confirm what a preview shows, and wait for the end."""
        (plan,) = re.findall(r'name="plan" value="([^"]+)"', shown)
        return self.end_of(self.post("/dead-letters/change", {"plan": plan, **form}))
