"""Stand-ins for the table and the queues that keep the services' rules and can fail in the services' ways.

Both check each request against botocore's model of the service and against the limits of its documentation,
so that what they accept is a request that could be sent.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.session
from botocore.exceptions import ClientError
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from shipment_events.processor.batch import BatchProcessor
from shipment_events.processor.retries import RetryPolicy
from shipment_events.table.store import EventTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

TABLE: Final = "shipmentevents-test"
QUEUE_URL: Final = "https://sqs/queue"
DEAD_LETTER_QUEUE_URL: Final = "https://sqs/dead-letters"
RETENTION: Final = timedelta(days=30)

Item = dict[str, dict[str, Any]]

_INSERT = re.compile(r"""INSERT INTO "([\w.-]+)" VALUE \{('\w+': \?(?:, '\w+': \?)*)\}""")


def client_error(code: str, message: str = "", operation: str = "Operation") -> ClientError:
    """What botocore raises for a request that the service refuses."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def md5_of(body: str) -> str:
    return hashlib.md5(body.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


@functools.cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def require_valid(service: str, operation: str, request: Mapping[str, Any]) -> None:
    shape = _model(service).operation_model(operation).input_shape
    assert shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


@dataclass
class Fault:
    """What goes wrong with one BatchExecuteStatement request.

    Attributes:
        error: raised instead of an answer.
        acted: whether the request does its work before the error.
        codes: error code by the position of the statement, which then does nothing.
        lost_responses: how many of the answer's responses are missing at its end.
    """

    error: Exception | None = None
    acted: bool = False
    codes: Mapping[int, str] = field(default_factory=dict)
    lost_responses: int = 0


@dataclass
class FakeTable:
    """DynamoDB with one table.

    Attributes:
        faults: of the next requests to insert, one each; after them all is well.
        read_faults: likewise of the requests to read: an error, or how many of the items are missing.
        refuses: whether an item makes the service refuse its whole request.
        returns_old_items: whether a failed insert comes with the item that is in its place.
        after_request: called at each request to insert, for example to let time pass.
    """

    items: dict[tuple[str, str], Item] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    read_faults: list[Exception | int] = field(default_factory=list)
    refuses: Callable[[Item], str | None] = lambda _: None
    returns_old_items: bool = True
    after_request: Callable[[], None] = lambda: None
    statements: list[list[dict[str, Any]]] = field(default_factory=list)
    reads: int = 0

    @property
    def client(self) -> "DynamoDBClient":
        return cast("DynamoDBClient", self)

    def batch_execute_statement(self, **request: Any) -> dict[str, Any]:
        require_valid("dynamodb", "BatchExecuteStatement", request)
        self.statements.append(request["Statements"])
        self.after_request()
        fault = self.faults.pop(0) if self.faults else Fault()
        if fault.error and not fault.acted:
            raise fault.error
        items = [_parse_insert(statement) for statement in request["Statements"]]
        keys = [_key(item) for item in items]
        if len(items) > 25 or len(set(keys)) < len(keys):
            raise client_error("ValidationException", "too many statements, or two for one item")
        for why in filter(None, map(self.refuses, items)):
            raise client_error("ValidationException", why)
        responses = [
            self._insert(item, fault.codes.get(position), statement)
            for position, (item, statement) in enumerate(zip(items, request["Statements"], strict=True))
        ]
        if fault.error:
            raise fault.error
        return {"Responses": responses[: len(responses) - fault.lost_responses]}

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        require_valid("dynamodb", "BatchGetItem", request)
        self.reads += 1
        ((table, wanted),) = request["RequestItems"].items()
        assert table == TABLE
        assert wanted["ConsistentRead"], "an item of a moment ago must be seen"
        keys = [_key(key) for key in wanted["Keys"]]
        assert len(set(keys)) == len(keys) <= 100
        fault = self.read_faults.pop(0) if self.read_faults else 0
        if isinstance(fault, Exception):
            raise fault
        paths = [
            [wanted["ExpressionAttributeNames"].get(part, part) for part in path.split(".")]
            for path in wanted["ProjectionExpression"].split(", ")
        ]
        found = [self.items[key] for key in keys if key in self.items]
        missing = len(found) - fault
        return {
            "Responses": {TABLE: [_project(item, paths) for item in found[:missing]]},
            "UnprocessedKeys": {TABLE: {"Keys": wanted["Keys"][missing:]}} if fault else {},
        }

    def _insert(self, item: Item, code: str | None, statement: Mapping[str, Any]) -> dict[str, Any]:
        if code is not None:
            return {"TableName": TABLE, "Error": {"Code": code, "Message": f"{code} it is"}}
        old = self.items.setdefault(_key(item), item)
        if old is item:
            return {"TableName": TABLE}
        error: dict[str, Any] = {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}
        if self.returns_old_items and statement.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
            error["Item"] = old
        return {"TableName": TABLE, "Error": error}


def _parse_insert(statement: Mapping[str, Any]) -> Item:
    match = _INSERT.fullmatch(statement["Statement"])
    assert match, statement["Statement"]
    assert match[1] == TABLE
    names = re.findall(r"'(\w+)'", match[2])
    assert len(set(names)) == len(names)
    return dict(zip(names, statement["Parameters"], strict=True))


def _project(item: Item, paths: Sequence[Sequence[str]]) -> Item:
    """Attributes at the paths, each of one or two parts, within the maps they are in."""
    projected: Item = {}
    for name, *inner in paths:
        if name in item and not inner:
            projected[name] = item[name]
        elif name in item and inner[0] in item[name].get("M", {}):
            projected.setdefault(name, {"M": {}})["M"][inner[0]] = item[name]["M"][inner[0]]
    return projected


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["shipment_id"]["S"], item["event_timestamp"]["S"]


@dataclass
class FakeQueues:
    """SQS with a queue and its dead-letter queue.

    Attributes:
        letters: bodies and attributes in the dead-letter queue.
        visibility: seconds by receipt handle.
        refuses: whether a dead letter with this body is refused, alone in its request.
        send_errors: raised by the next requests to send, one each.
        forgets: number of entries at the end that the next answers do not mention.
        put_off_error: raised by each change of visibility.
        refused_receipts: whose visibility cannot be changed.
    """

    letters: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    visibility: dict[str, int] = field(default_factory=dict)
    refuses: Callable[[str], bool] = lambda _: False
    send_errors: list[Exception] = field(default_factory=list)
    forgets: int = 0
    put_off_error: Exception | None = None
    refused_receipts: frozenset[str] = frozenset()

    @property
    def client(self) -> "SQSClient":
        return cast("SQSClient", self)

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        entries = self._require_entries("SendMessageBatch", request, DEAD_LETTER_QUEUE_URL)
        if self.send_errors:
            raise self.send_errors.pop(0)
        size = 0
        for entry in entries:
            size += len(entry["MessageBody"].encode())
            for name, attribute in entry["MessageAttributes"].items():
                if not attribute["StringValue"]:
                    raise client_error("InvalidParameterValue", f"attribute {name} without a value")
                size += len(name) + len(attribute["DataType"]) + len(attribute["StringValue"].encode())
        if size > 1024 * 1024:
            raise client_error("AWS.SimpleQueueService.BatchRequestTooLong", f"{size} bytes")
        answer: dict[str, list[dict[str, Any]]] = {"Successful": [], "Failed": []}
        for entry in entries[: len(entries) - self.forgets]:
            if self.refuses(entry["MessageBody"]):
                answer["Failed"].append({"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"})
            else:
                answer["Successful"].append(
                    {"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": md5_of(entry["MessageBody"])}
                )
                attributes = entry["MessageAttributes"].items()
                self.letters.append(
                    (entry["MessageBody"], {name: attribute["StringValue"] for name, attribute in attributes})
                )
        return {kind: results for kind, results in answer.items() if results}

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        entries = self._require_entries("ChangeMessageVisibilityBatch", request, QUEUE_URL)
        if self.put_off_error:
            raise self.put_off_error
        failed = [entry for entry in entries if entry["ReceiptHandle"] in self.refused_receipts]
        done = [entry for entry in entries if entry not in failed]
        self.visibility.update((entry["ReceiptHandle"], entry["VisibilityTimeout"]) for entry in done)
        return {
            "Successful": [{"Id": entry["Id"]} for entry in done],
            "Failed": [{"Id": entry["Id"], "SenderFault": True, "Code": "Expired"} for entry in failed],
        }

    def _require_entries(self, operation: str, request: Mapping[str, Any], url: str) -> list[dict[str, Any]]:
        require_valid("sqs", operation, request)
        assert request["QueueUrl"] == url
        entries: list[dict[str, Any]] = request["Entries"]
        assert 1 <= len(entries) <= 10
        assert len({entry["Id"] for entry in entries}) == len(entries)
        return entries


def processor_on(table: FakeTable, queues: FakeQueues, policy: RetryPolicy) -> BatchProcessor:
    """A processor between the stand-ins."""
    return BatchProcessor(
        EventTable(table.client, TABLE), RETENTION, queues.client, QUEUE_URL, DEAD_LETTER_QUEUE_URL, policy
    )
