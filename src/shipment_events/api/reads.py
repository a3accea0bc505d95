"""The reads of the API: one item, or one page of a query. Each is one request to DynamoDB.

A request that fails is sent once more, unless another attempt cannot change the error.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.api.representations import event_json, shipment_json
from shipment_events.aws_errors import error_code
from shipment_events.contract.names import (
    LATEST_ATTRIBUTE,
    PARTITION_KEY,
    SHIPMENT_INDEX_KEYS,
    SHIPMENT_STATUS_INDEX,
    SORT_KEY,
    TRACKING_NUMBER_INDEX,
)
from shipment_events.function.pauses import pauses
from shipment_events.table.item import stored_event, value_of_attribute
from shipment_events.tracking.shipment import Shipment

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PAGE_BYTES: Final = 1024 * 1024
"""Size after which a page gets no further entry. A page and its last entry then fit into the 6 MB of a
function's response, whatever has to be escaped:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

LASTING: Final = frozenset(
    {
        "AccessDeniedException",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
        "ValidationException",
    }
)
"""DynamoDB's errors that another attempt cannot change:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html"""

_MOMENT: Final = len("2026-03-01T13:05:00.000000Z")
INDEXES: Final[Mapping[str, str]] = {
    SHIPMENT_INDEX_KEYS[index]: index for index in (SHIPMENT_STATUS_INDEX, TRACKING_NUMBER_INDEX)
}
"""Index of shipments for each attribute by which they are found."""

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of a collection as JSON, and the position of the last one if more may follow."""

    entries: list[str]
    position: str | None = None


class Reads:
    """The two tables of a stage, as the API reads them.

    Args:
        client: DynamoDB client. It should not retry, because the reads do.
    """

    def __init__(self, client: "DynamoDBClient", *, shipments: str, events: str) -> None:
        self._client = client
        self._shipments = shipments
        self._events = events

    def shipment(self, shipment_id: str) -> str | None:
        """A shipment as JSON, or None.

        The read is consistent. Otherwise a reader that polls could see a state and then an older one.

        Raises:
            botocore.exceptions.ClientError, BotoCoreError: the table cannot be read.
        """
        answer = _sent(
            self._client.get_item,
            TableName=self._shipments,
            Key={PARTITION_KEY: {"S": shipment_id}},
            ConsistentRead=True,
        )
        return _shipment(answer["Item"]) if "Item" in answer else None

    def shipments(
        self, attribute: str, value: str, *, before: str | None, after: str | None, limit: int
    ) -> Page:
        """A page of the shipments that have a value, the latest event first.

        Args:
            attribute: one of ``INDEXES``.
            before: moment before which the latest event happened, or None.
            after: position of the last entry before the page, or None.

        Raises:
            botocore.exceptions.ClientError, BotoCoreError: the index cannot be read.
        """
        condition, values = "#value = :value", {":value": {"S": value}}
        names = {"#value": attribute}
        if before:
            condition += " AND #latest < :before"
            values[":before"], names["#latest"] = {"S": before}, LATEST_ATTRIBUTE
        start: dict[str, Any] = {}
        if after:
            key = {attribute: value, LATEST_ATTRIBUTE: after[:_MOMENT], PARTITION_KEY: after[_MOMENT:]}
            start = {"ExclusiveStartKey": {name: {"S": text} for name, text in key.items()}}
        answer = _sent(
            self._client.query,
            TableName=self._shipments,
            IndexName=INDEXES[attribute],
            KeyConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ScanIndexForward=False,
            Limit=limit,
            **start,
        )
        return _page(answer, _shipment, lambda item: item[LATEST_ATTRIBUTE]["S"] + item[PARTITION_KEY]["S"])

    def events(self, shipment_id: str, *, after: str | None, limit: int) -> Page:
        """A page of the events of a shipment, in the order in which they happened.

        Raises:
            botocore.exceptions.ClientError, BotoCoreError: the table cannot be read.
        """
        shipment = {"S": shipment_id}
        start: dict[str, Any] = {}
        if after:
            start = {"ExclusiveStartKey": {PARTITION_KEY: shipment, SORT_KEY: {"S": after}}}
        answer = _sent(
            self._client.query,
            TableName=self._events,
            KeyConditionExpression="#shipment = :shipment",
            ExpressionAttributeNames={"#shipment": PARTITION_KEY},
            ExpressionAttributeValues={":shipment": shipment},
            Limit=limit,
            **start,
        )
        return _page(answer, lambda item: event_json(stored_event(item)), lambda item: item[SORT_KEY]["S"])


def _sent(send: Callable[..., Mapping[str, Any]], **request: Any) -> Mapping[str, Any]:
    try:
        return send(**request)
    except (ClientError, BotoCoreError) as error:
        if error_code(error) in LASTING:
            raise
    time.sleep(next(pauses()))
    return send(**request)


def _page(answer: Mapping[str, Any], entry: Callable[[Item], str], position: Callable[[Item], str]) -> Page:
    items: list[Item] = answer["Items"]
    entries, size = [], 0
    for item in items:
        if size > PAGE_BYTES:
            break
        entries.append(entry(item))
        size += len(entries[-1].encode())
    is_whole = len(entries) == len(items) and "LastEvaluatedKey" not in answer
    return Page(entries, position(items[len(entries) - 1]) if entries and not is_whole else None)


def _shipment(item: Item) -> str:
    return shipment_json(Shipment.of({name: value_of_attribute(value) for name, value in item.items()}))
