"""Stand-ins for what the tracker talks to, each failing as its service is documented to fail.

Every request is checked against botocore's model of the service and counted, and a plan of faults says at
which call what goes wrong.
"""

import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final, cast
from zlib import crc32

from shipment_events.contract.exact_json import dumps, loads
from shipment_events.rebuilding.rebuilder import Rebuilder
from shipment_events.table.item import StoredEvent, attribute_json, value_of_attribute
from shipment_events.table.scan import TableScan
from shipment_events.table.store import EventTable
from shipment_events.tracking.announcer import Announcer
from shipment_events.tracking.batch import Tracking
from shipment_events.tracking.store import ShipmentTable
from shipment_events.tracking.tracker import Patience, Tracker
from tests.stand_ins.fakes import client_error, md5_of, require_valid
from tests.tracking.histories import NOON, SHIPMENT
from tests.tracking.small_tracker import RETENTION

EVENTS: Final = "shipmentevents-test"
SHIPMENTS: Final = "shipments-test"
BUS: Final = "shipmentstatus-test"
FAILURES_URL: Final = "https://sqs/failures"

Item = dict[str, dict[str, Any]]

_INSERT: Final = re.compile(r"""INSERT INTO "([\w.-]+)" VALUE \{('\w+': \?(?:, '\w+': \?)*)\}""")
_UPDATE: Final = re.compile(
    r'UPDATE "([\w.-]+)"((?: SET "\w+"=\?)+)((?: REMOVE "\w+")*) WHERE "shipment_id"=\?( AND "version"=\?)?'
)


class KilledError(BaseException):
    """The function's end, which no handler of the tracker's may catch."""


@dataclass
class Calls:
    """Every request in order, and what goes wrong with some.

    Attributes:
        made: names of the operations.
        before: raised at the call of this index, which then does nothing.
        after: raised at the call of this index when it has acted.
    """

    made: list[str] = field(default_factory=list)
    before: dict[int, BaseException] = field(default_factory=dict)
    after: dict[int, BaseException] = field(default_factory=dict)

    def make(self, operation: str, act: Callable[[], Any]) -> Any:
        index = len(self.made)
        self.made.append(operation)
        if index in self.before:
            raise self.before[index]
        answer = act()
        if index in self.after:
            raise self.after[index]
        return answer

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.made)


@dataclass
class FakeTables:
    """DynamoDB with the table of events and the table of shipments.

    Attributes:
        events: items by shipment.
        statement_codes: of the next write requests, one each: error code by the position of the statement.
        unprocessed: of the next reads, one each: how many keys are left unprocessed.
        lost_responses: of the next write requests: how many responses are missing at the end of the answer.
        before_write: called once before the next write, as if by another function.
        refuses: whether an item makes the service refuse its whole request.
        written: the attributes that each write gave.
        is_together: whether a scan brings the events of a shipment one after the other.
    """

    calls: Calls
    events: dict[str, list[Item]] = field(default_factory=dict)
    shipments: dict[str, Item] = field(default_factory=dict)
    statement_codes: list[Mapping[int, str]] = field(default_factory=list)
    unprocessed: list[int] = field(default_factory=list)
    lost_responses: list[int] = field(default_factory=list)
    before_write: list[Callable[[], object]] = field(default_factory=list)
    refuses: Callable[[Item], bool] = lambda _: False
    written: list[Item] = field(default_factory=list)
    page: int = 3
    is_together: bool = True

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        require_valid("dynamodb", "BatchGetItem", request)
        ((table, wanted),) = request["RequestItems"].items()
        assert table == SHIPMENTS
        assert wanted["ConsistentRead"], "a state of a moment ago must be seen"
        keys = [key["shipment_id"]["S"] for key in wanted["Keys"]]
        assert len(set(keys)) == len(keys) <= 100

        def act() -> dict[str, Any]:
            left = self.unprocessed.pop(0) if self.unprocessed else 0
            read, unread = keys[: len(keys) - left], keys[len(keys) - left :]
            answer: dict[str, Any] = {
                "Responses": {table: [self.shipments[key] for key in read if key in self.shipments]},
                "UnprocessedKeys": {},
            }
            if unread:
                answer["UnprocessedKeys"][table] = {"Keys": [{"shipment_id": {"S": key}} for key in unread]}
            return answer

        answer: dict[str, Any] = self.calls.make("BatchGetItem", act)
        return answer

    def describe_table(self, **request: Any) -> dict[str, Any]:
        require_valid("dynamodb", "DescribeTable", request)
        return {"Table": {"ItemCount": sum(map(len, self.events.values())), "TableSizeBytes": 4097}}

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate={"scan": self._scan}[operation])

    def _scan(self, **request: Any) -> Iterator[dict[str, Any]]:
        require_valid("dynamodb", "Scan", request)
        assert (request["TableName"], request["ConsistentRead"]) == (EVENTS, True)
        number, segments = request["Segment"], request["TotalSegments"]
        items = [
            item
            for shipment_id, own in list(self.events.items())
            if crc32(shipment_id.encode("utf-8", "surrogatepass")) % segments == number
            for item in (own if self.is_together else sorted(own, key=str, reverse=True))
        ]
        if not self.is_together:
            items = items[::2] + items[1::2]
        for start in range(0, max(len(items), 1), self.page):
            yield self.calls.make(
                "Scan", functools.partial(dict, {"Items": items[start : start + self.page]})
            )

    def query(self, **request: Any) -> dict[str, Any]:
        require_valid("dynamodb", "Query", request)
        assert (request["TableName"], request["ConsistentRead"]) == (EVENTS, True)
        own = self.events.get(request["ExpressionAttributeValues"][":shipment"]["S"], [])
        left = sorted(
            own,
            key=lambda item: str(item["event_timestamp"]["S"]),
            reverse=not request["ScanIndexForward"],
        )
        if start := request.get("ExclusiveStartKey"):
            keys = [{name: item[name] for name in start} for item in left]
            left = left[keys.index(start) + 1 :]
        page: dict[str, Any] = {"Items": left[: self.page]}
        if len(left) > self.page:
            last = page["Items"][-1]
            page["LastEvaluatedKey"] = {name: last[name] for name in ("shipment_id", "event_timestamp")}
        answer: dict[str, Any] = self.calls.make("Query", functools.partial(dict, page))
        return answer

    def batch_execute_statement(self, **request: Any) -> dict[str, Any]:
        require_valid("dynamodb", "BatchExecuteStatement", request)
        if self.before_write:
            self.before_write.pop(0)()
        answer: dict[str, Any] = self.calls.make(
            "BatchExecuteStatement", lambda: self._execute(request["Statements"])
        )
        return answer

    def _execute(self, statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        codes = self.statement_codes.pop(0) if self.statement_codes else {}
        lost = self.lost_responses.pop(0) if self.lost_responses else 0
        parsed = [_parsed(statement) for statement in statements]
        ids = [item["shipment_id"]["S"] for item, *_ in parsed]
        if len(ids) > 25 or len(set(ids)) < len(ids) or any(self.refuses(item) for item, *_ in parsed):
            raise client_error("ValidationException", "refused as a whole")
        responses = []
        for position, (item, removed, version) in enumerate(parsed):
            code = codes.get(position) or self._write(item, removed, version)
            self.written.append(item)
            responses.append({"TableName": SHIPMENTS} | ({"Error": {"Code": code}} if code else {}))
        return {"Responses": responses[: len(responses) - lost]}

    def _write(self, item: Item, removed: Sequence[str], version: dict[str, str] | None) -> str | None:
        shipment_id = item["shipment_id"]["S"]
        there = self.shipments.get(shipment_id)
        if version is None:
            if there is not None:
                return "DuplicateItem"
            self.shipments[shipment_id] = item
        else:
            if there is None or (version and there["version"] != version):
                return "ConditionalCheckFailed"
            kept = {name: value for name, value in there.items() if name not in removed}
            self.shipments[shipment_id] = kept | item
        return None


def _parsed(statement: Mapping[str, Any]) -> tuple[Item, list[str], dict[str, str] | None]:
    """Attributes to write, names to remove, and the version that is expected."""
    text, parameters = statement["Statement"], statement["Parameters"]
    if insert := _INSERT.fullmatch(text):
        assert insert[1] == SHIPMENTS
        return dict(zip(re.findall(r"'(\w+)'", insert[2]), parameters, strict=True)), [], None
    update = _UPDATE.fullmatch(text)
    assert update, text
    assert update[1] == SHIPMENTS
    names = re.findall(r'"(\w+)"', update[2])
    *values, shipment_id = parameters[: len(names) + 1]
    # Without a condition on the version, the statement needs no more than an item.
    version = parameters[-1] if update[4] else {}
    assert "shipment_id" not in names, "a key cannot be set"
    item = dict(zip(names, values, strict=True))
    return {"shipment_id": shipment_id, **item}, re.findall(r'"(\w+)"', update[3]), version


@dataclass
class FakeStatusBus:
    """EventBridge with the bus of changes.

    Attributes:
        accepted: type and detail of each entry that was taken.
        codes: of the next requests, one each: error code by the position of the entry.
        refuses: whether a detail makes the service refuse its whole request.
    """

    calls: Calls
    accepted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    codes: list[Mapping[int, str]] = field(default_factory=list)
    refuses: Callable[[dict[str, Any]], bool] = lambda _: False

    def put_events(self, **request: Any) -> dict[str, Any]:
        require_valid("events", "PutEvents", request)
        assert 1 <= len(request["Entries"]) <= 10
        answer: dict[str, Any] = self.calls.make("PutEvents", lambda: self._put(request["Entries"]))
        return answer

    def _put(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        codes = self.codes.pop(0) if self.codes else {}
        if any(self.refuses(json.loads(entry["Detail"])) for entry in entries):
            raise client_error("ValidationException", "refused as a whole")
        results = []
        for position, entry in enumerate(entries):
            assert (entry["EventBusName"], entry["Source"]) == (BUS, "shipment.tracker")
            if code := codes.get(position):
                results.append({"ErrorCode": code, "ErrorMessage": "failed"})
            else:
                self.accepted.append((entry["DetailType"], json.loads(entry["Detail"])))
                results.append({"EventId": f"e-{len(self.accepted)}"})
        return {"FailedEntryCount": len(codes), "Entries": results}


@dataclass
class FakeFailures:
    """SQS with the queue for failures. It takes no more entries, once ``refused`` says so."""

    calls: Calls
    bodies: list[dict[str, str]] = field(default_factory=list)
    refused: bool = False

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        require_valid("sqs", "SendMessageBatch", request)
        assert request["QueueUrl"] == FAILURES_URL
        answer: dict[str, Any] = self.calls.make("SendMessageBatch", lambda: self._send(request["Entries"]))
        return answer

    def _send(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        if self.refused:
            raise client_error("ServiceUnavailable")
        for entry in entries:
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
            assert all(" " <= character <= "~" for character in entry["MessageBody"])
            self.bodies.append(json.loads(entry["MessageBody"]))
        return {
            "Successful": [
                {"Id": one["Id"], "MessageId": "m", "MD5OfMessageBody": md5_of(one["MessageBody"])}
                for one in entries
            ]
        }


class World:
    """Both tables, the bus, the queue, and any number of trackers."""

    def __init__(self, *, clock: Callable[[], datetime] = lambda: NOON) -> None:
        self.calls = Calls()
        self.tables = FakeTables(self.calls)
        self.bus = FakeStatusBus(self.calls)
        self.failures = FakeFailures(self.calls)
        self._clock = clock
        self._sequence = 9 * 10**20

    def tracker(self, *, budget: float = 10.0) -> Tracker:
        client: Any = self.tables
        return Tracker(
            shipments=ShipmentTable(client, SHIPMENTS, RETENTION),
            events=EventTable(client, EVENTS),
            announcer=Announcer(cast("Any", self.bus), BUS),
            sqs=cast("Any", self.failures),
            failures_queue_url=FAILURES_URL,
            patience=Patience(budget=budget),
            clock=self._clock,
        )

    def rebuilder(self, retention: timedelta = RETENTION) -> Rebuilder:
        client: Any = self.tables
        return Rebuilder(
            shipments=ShipmentTable(client, SHIPMENTS, retention),
            events=EventTable(client, EVENTS),
            scan=TableScan(client, EVENTS),
            announcer=Announcer(cast("Any", self.bus), BUS),
            clock=self._clock,
            sleep=lambda _: None,
        )

    def store(self, event: StoredEvent, shipment_id: str = SHIPMENT) -> dict[str, Any]:
        """Store an event. Returns its record."""
        item = item_of(event, shipment_id)
        self.tables.events.setdefault(shipment_id, []).append(item)
        return self.record(item)

    def record(self, item: Item, name: str = "INSERT") -> dict[str, Any]:
        """A record in the form of https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
        self._sequence += 1
        return {
            "eventID": str(self._sequence),
            "eventName": name,
            "eventSource": "aws:dynamodb",
            "dynamodb": {
                "Keys": {key: item[key] for key in ("shipment_id", "event_timestamp") if key in item},
                "NewImage": item,
                "SequenceNumber": str(self._sequence),
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        }

    def track(
        self, records: Sequence[Mapping[str, Any]], *, budget: float = 10.0, seconds: float = 60.0
    ) -> Tracking:
        return self.tracker(budget=budget).track(records, lambda: seconds)

    def state(self, shipment_id: str = SHIPMENT) -> dict[str, Any]:
        """Attributes of the contract."""
        item: Any = self.tables.shipments.get(shipment_id, {})
        own = {"shipment_id", "version", "memory", "expires_at"}
        return {name: value_of_attribute(value) for name, value in item.items() if name not in own}

    @property
    def statuses(self) -> list[str | None]:
        """Status of each change that the bus took, in order."""
        return [detail["status"] for kind, detail in self.bus.accepted if kind == "shipment.status_changed"]

    @property
    def change_ids(self) -> list[str]:
        return [detail["change_id"] for _, detail in self.bus.accepted]


def item_of(event: StoredEvent, shipment_id: str = SHIPMENT) -> Item:
    """The item of an event, as the processor writes it."""
    item = {
        "shipment_id": shipment_id,
        "event_timestamp": event.sort_key,
        "processing_status": event.status,
        "expires_at": Decimal(int((datetime.fromisoformat(event.stored_at) + RETENTION).timestamp())),
        "detail": loads(dumps({**event.detail, "event_id": event.event_id})),
        "processing": {"content_hash": "0" * 64, "correlation_id": "c", "stored_at": event.stored_at},
    }
    return {name: json.loads(attribute_json(value)) for name, value in item.items()}
