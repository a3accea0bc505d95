"""The table of events: how items are written in one request, and read.

But for ``table_copy.py``, no other module talks to DynamoDB.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.contract.names import PARTITION_KEY, SORT_KEY, STATUS_ATTRIBUTE, STATUS_INDEX
from shipment_events.table.item import (
    ATTRIBUTES,
    CONTENT_HASH,
    PROCESSING,
    ItemTimes,
    StoredEvent,
    Write,
    attribute_values,
    content_hash_of,
    index_values,
    stored_event,
    utc_text,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementResponseTypeDef

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
MAX_STATEMENTS: Final = 25
# The service refuses a whole request with these for what one of its statements holds.
_REFUSED_WHOLE: Final = frozenset({"ValidationException", "SerializationException"})

_INDEX_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Inserted:
    """The item was written now."""


@dataclass(frozen=True, slots=True)
class Occupied:
    """The key is taken; ``content_hash`` is that of the item there."""

    content_hash: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nothing is known of the item, or it was not written; trying again may help."""

    why: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The table refuses this item and always will."""

    why: str


InsertResult = Inserted | Occupied | Unavailable | Rejected


class EventTable:
    """The table of one environment.

    Args:
        client: DynamoDB client. It should not retry by itself where the caller does.
        name: of the table.
        retention: how long an event is kept.
        shards: partitions over which the index spreads each status; None for one.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        retention: timedelta = timedelta(days=90),
        *,
        shards: int | None = None,
    ) -> None:
        self._client = client
        self._name = name
        self._retention = retention
        self._shards = shards
        values = ", ".join(f"'{attribute}': ?" for attribute in ATTRIBUTES)
        self._insert_statement = f'INSERT INTO "{name}" VALUE {{{values}}}'

    def insert(self, writes: Sequence[Write], now: datetime) -> list[InsertResult]:
        """Write each event unless its key is taken, in one request, and read back the keys that are.

        Args:
            writes: at most 25, with distinct keys.
            now: time of storing, aware.

        Returns:
            One result a write, in the same order. No result is ``Inserted`` unless the service said so.
        """
        results = self._insert(writes, now)
        taken = [
            write.key
            for write, result in zip(writes, results, strict=True)
            if isinstance(result, Occupied) and not result.content_hash
        ]
        if not taken:
            return results
        there = self._read_content_hashes(taken)
        return [
            there[write.key] if isinstance(result, Occupied) and not result.content_hash else result
            for write, result in zip(writes, results, strict=True)
        ]

    def timeline(self, shipment_id: str) -> Iterator[StoredEvent]:
        """Events of one shipment, in the order in which they happened.

        Raises:
            botocore.exceptions.ClientError: the table cannot be read.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            KeyConditionExpression="#shipment = :shipment",
            ExpressionAttributeNames={"#shipment": PARTITION_KEY},
            ExpressionAttributeValues={":shipment": {"S": shipment_id}},
            ConsistentRead=True,
        )
        for page in pages:
            yield from map(stored_event, page["Items"])

    def by_status(self, status: str, since: datetime, until: datetime) -> Iterator[StoredEvent]:
        """Events of one status that happened in a window, in the order in which they happened.

        Read from the index, so what was stored in the last second may be missing.

        Args:
            status: ``PROCESSED`` or ``CONFLICT``; the shards of it are merged.
            since: first moment of the window, aware.
            until: first moment after it, aware.

        Raises:
            botocore.exceptions.ClientError: the table cannot be read.
        """
        begin, end = utc_text(since), utc_text(until)
        parts = [self._of_index_value(value, begin, end) for value in index_values(status, self._shards)]
        return heapq.merge(*parts, key=lambda event: event.sort_key)

    def _of_index_value(self, value: str, begin: str, end: str) -> Iterator[StoredEvent]:
        if begin >= end:
            return
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName=STATUS_INDEX,
            KeyConditionExpression="#status = :status AND #moment BETWEEN :begin AND :end",
            ExpressionAttributeNames={"#status": STATUS_ATTRIBUTE, "#moment": SORT_KEY},
            # A sort key is longer than its moment, so the end itself is out.
            ExpressionAttributeValues={":status": {"S": value}, ":begin": {"S": begin}, ":end": {"S": end}},
            # A page of each shard is in memory at the same time.
            PaginationConfig={"PageSize": _INDEX_PAGE},
        )
        for page in pages:
            yield from map(stored_event, page["Items"])

    def scan(self) -> Iterator[StoredEvent]:
        """Every event of the table, in no order.

        Raises:
            botocore.exceptions.ClientError: the table cannot be read.
        """
        pages = self._client.get_paginator("scan").paginate(TableName=self._name, ConsistentRead=True)
        for page in pages:
            yield from map(stored_event, page["Items"])

    def _insert(self, writes: Sequence[Write], now: datetime) -> list[InsertResult]:
        times = ItemTimes.of(now, self._retention)
        try:
            answer = self._client.batch_execute_statement(
                Statements=[
                    {
                        "Statement": self._insert_statement,
                        "Parameters": attribute_values(write, times, self._shards),
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                    for write in writes
                ]
            )
        except ClientError as error:
            if error_code(error) not in _REFUSED_WHOLE:
                return [Unavailable(error_code(error))] * len(writes)
            # It does not say for which statement: one foreign event must not take its neighbours with it,
            # so they part until it stands alone.
            if len(writes) == 1:
                return [Rejected(error.response["Error"].get("Message", ""))]
            middle = len(writes) // 2
            return self._insert(writes[:middle], now) + self._insert(writes[middle:], now)
        except BotoCoreError as error:
            return [Unavailable(error_code(error))] * len(writes)
        responses = answer.get("Responses", [])
        if len(responses) != len(writes):
            return [Unavailable("IncompleteResponse")] * len(writes)
        return [_statement_result(response) for response in responses]

    def _read_content_hashes(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], InsertResult]:
        """What lies at keys that are taken; one that cannot be read proves nothing of its event."""
        there: dict[tuple[str, str], InsertResult] = dict.fromkeys(keys, Unavailable("ReadBackIncomplete"))
        try:
            answer = self._client.batch_get_item(
                RequestItems={
                    self._name: {
                        "Keys": [{PARTITION_KEY: {"S": pk}, SORT_KEY: {"S": sk}} for pk, sk in keys],
                        "ProjectionExpression": f"{PARTITION_KEY}, {SORT_KEY}, #processing.{CONTENT_HASH}",
                        # A reserved word:
                        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
                        "ExpressionAttributeNames": {"#processing": PROCESSING},
                        "ConsistentRead": True,
                    }
                }
            )
        except (ClientError, BotoCoreError) as error:
            return dict.fromkeys(keys, Unavailable(error_code(error)))
        for item in answer.get("Responses", {}).get(self._name, []):
            there[item[PARTITION_KEY]["S"], item[SORT_KEY]["S"]] = Occupied(content_hash_of(item))
        return there


def _statement_result(response: "BatchStatementResponseTypeDef") -> InsertResult:
    """A response of HTTP status 200 still tells of each statement whether it failed."""
    error = response.get("Error")
    if not error:
        return Inserted()
    code = error.get("Code", "Unknown")
    # The API reference names the first; ConditionalCheckFailed is what other statements get.
    if code in {"DuplicateItem", "ConditionalCheckFailed"}:
        return Occupied(content_hash_of(error.get("Item", {})))
    if code == "ValidationError":
        return Rejected(error.get("Message", code))
    return Unavailable(code)
