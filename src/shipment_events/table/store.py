"""The table of events: insert a batch in one request, and read events."""

import heapq
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.contract.moments import utc_text
from shipment_events.contract.names import PARTITION_KEY, SORT_KEY, STATUS_ATTRIBUTE, STATUS_INDEX
from shipment_events.table.item import (
    ATTRIBUTES,
    CONTENT_HASH,
    PROCESSING,
    ItemTimes,
    StoredEvent,
    Write,
    content_hash_of,
    index_values,
    parameters_json,
    stored_event,
)
from shipment_events.table.results import Inserted, InsertResult, Occupied, Unavailable
from shipment_events.table.statements import (
    MAX_STATEMENTS,
    ConditionFailed,
    Done,
    Send,
    StatementResult,
    run_each,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, QueryInputTypeDef

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
MAX_KEYS: Final = 100
# Maximum size of all events in one request. It limits the memory of a batch. BatchExecuteStatement documents
# no limit; the limit of BatchWriteItem is 16 MB:
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
MAX_REQUEST_BYTES: Final = 1024 * 1024
_INDEX_PAGE: Final = 200


class EventTable:
    """The table of one environment.

    Args:
        client: DynamoDB client. It should not retry if the caller does.
        name: name of the table.
        shards: index partitions of each status; None if the index is not sharded.
        run_statements: sends a BatchExecuteStatement request, given as JSON text. The default is the
            client's method.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        *,
        shards: int | None = None,
        run_statements: Send | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._shards = shards
        values = ", ".join(f"'{attribute}': ?" for attribute in ATTRIBUTES)
        self._insert_statement = json.dumps(f'INSERT INTO "{name}" VALUE {{{values}}}')
        self._send = run_statements or (lambda request: client.batch_execute_statement(**json.loads(request)))

    def insert(self, writes: Sequence[Write], times: ItemTimes) -> list[InsertResult]:
        """Insert events in one request, and read the content hashes of keys that are taken.

        Args:
            writes: at most 25, with distinct keys; see :func:`slices`.
            times: when the items are stored, and when they expire.

        Returns:
            One result per write, in the same order. A result is ``Inserted`` only if DynamoDB confirmed it.
        """
        results = self._insert(writes, times)
        taken = [
            write.key
            for write, result in zip(writes, results, strict=True)
            if isinstance(result, Occupied) and not result.content_hash
        ]
        if not taken:
            return results
        there = self._read_content_hashes(taken)
        return [
            # The key is taken but its item was not found, so the content is unknown.
            there.get(write.key, Unavailable("ReadBackIncomplete"))
            if isinstance(result, Occupied) and not result.content_hash
            else result
            for write, result in zip(writes, results, strict=True)
        ]

    def find_beside(self, writes: Sequence[Write]) -> list[Occupied | Unavailable | None]:
        """Find the events that were stored as conflicts.

        Such an event must not be written at its own sort key after the other event there has expired.

        Args:
            writes: writes at their own sort keys.

        Returns:
            For each write, in the same order: ``Occupied`` if the event is stored as a conflict, None if it
            is not, and ``Unavailable`` if that is unknown.
        """
        found: list[Occupied | Unavailable | None] = [None] * len(writes)
        looking = {index: write.beside() for index, write in enumerate(writes)}
        while looking:
            there = self._read_content_hashes(dict.fromkeys(place.key for place in looking.values()))
            further: dict[int, Write] = {}
            for index, place in looking.items():
                result = there.get(place.key)
                if isinstance(result, Occupied) and result.content_hash != place.content_hash:
                    # This sort key can be another event's own. The conflict then has the next one.
                    further[index] = place.beside()
                else:
                    found[index] = result
            looking = further
        return found

    def timeline(self, shipment_id: str, *, latest_first: bool = False) -> Iterator[StoredEvent]:
        """Events of one shipment, in the order in which they happened.

        Args:
            shipment_id: of the events.
            latest_first: read in the opposite order. Whoever stops early then has the latest events.

        Raises:
            The errors of :meth:`items`.
        """
        return map(stored_event, self.items(shipment_id, latest_first=latest_first))

    def items(
        self, shipment_id: str, *, latest_first: bool = False
    ) -> "Iterator[Mapping[str, AttributeValueTypeDef]]":
        """Items of one shipment, in the order in which its events happened. One page is in memory at a time.

        Args:
            shipment_id: of the events.
            latest_first: read in the opposite order.

        Raises:
            botocore.exceptions.ClientError: the table cannot be read.
            botocore.exceptions.BotoCoreError: there was no response.
        """
        query: QueryInputTypeDef = {
            "TableName": self.name,
            "KeyConditionExpression": "#shipment = :shipment",
            "ExpressionAttributeNames": {"#shipment": PARTITION_KEY},
            "ExpressionAttributeValues": {":shipment": {"S": shipment_id}},
            "ScanIndexForward": not latest_first,
            "ConsistentRead": True,
        }
        while True:
            page = self._client.query(**query)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def by_status(
        self, status: str, since: datetime, until: datetime, *, latest_first: bool = False
    ) -> Iterator[StoredEvent]:
        """Events of one status that happened in a window, in the order in which they happened.

        They are read from the index, which is eventually consistent: the newest events may be missing.

        Args:
            status: ``PROCESSED`` or ``CONFLICT``. Its shards are merged.
            since: first moment of the window, aware.
            until: first moment after it, aware.
            latest_first: read in the opposite order. Whoever stops early then has the latest events.

        Raises:
            botocore.exceptions.ClientError: the table cannot be read.
        """
        begin, end = utc_text(since), utc_text(until)
        values = index_values(status, self._shards)
        parts = [self._of_index_value(value, begin, end, latest_first=latest_first) for value in values]
        return heapq.merge(*parts, key=lambda event: event.sort_key, reverse=latest_first)

    def _of_index_value(
        self, value: str, begin: str, end: str, *, latest_first: bool
    ) -> Iterator[StoredEvent]:
        if begin >= end:
            return
        pages = self._client.get_paginator("query").paginate(
            TableName=self.name,
            IndexName=STATUS_INDEX,
            KeyConditionExpression="#status = :status AND #moment BETWEEN :begin AND :end",
            ExpressionAttributeNames={"#status": STATUS_ATTRIBUTE, "#moment": SORT_KEY},
            # A sort key is longer than its moment, so BETWEEN excludes an event at the end.
            ExpressionAttributeValues={":status": {"S": value}, ":begin": {"S": begin}, ":end": {"S": end}},
            ScanIndexForward=not latest_first,
            # One page of each shard is in memory at the same time.
            PaginationConfig={"PageSize": _INDEX_PAGE},
        )
        for page in pages:
            yield from map(stored_event, page["Items"])

    def scan(self) -> Iterator[StoredEvent]:
        """Every event of the table, in no order.

        Raises:
            botocore.exceptions.ClientError: the table cannot be read.
        """
        pages = self._client.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True)
        for page in pages:
            yield from map(stored_event, page["Items"])

    def _insert(self, writes: Sequence[Write], times: ItemTimes) -> list[InsertResult]:
        statements = [self._statement(write, times) for write in writes]
        return list(map(_insert_result, run_each(self._send, statements)))

    def _statement(self, write: Write, times: ItemTimes) -> str:
        return (
            f'{{"Statement":{self._insert_statement},'
            f'"Parameters":{parameters_json(write, times, self._shards)},'
            '"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}'
        )

    def _read_content_hashes(
        self, keys: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], Occupied | Unavailable]:
        """The content hash at each key, or why it is unknown. A key without an item is not returned."""
        there: dict[tuple[str, str], Occupied | Unavailable] = {}
        remaining = iter(keys)
        while part := list(islice(remaining, MAX_KEYS)):
            there |= self._read_part(part)
        return there

    def _read_part(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Occupied | Unavailable]:
        try:
            answer = self._client.batch_get_item(
                RequestItems={
                    self.name: {
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
        # Items that do not exist are not returned, so only a complete response proves that one is absent.
        if "Responses" not in answer or "UnprocessedKeys" not in answer:
            return dict.fromkeys(keys, Unavailable("IncompleteResponse"))
        there: dict[tuple[str, str], Occupied | Unavailable] = {}
        if unread := answer["UnprocessedKeys"].get(self.name):
            there |= {_key(key): Unavailable("ReadBackIncomplete") for key in unread["Keys"]}
        for item in answer["Responses"].get(self.name, []):
            there[_key(item)] = Occupied(content_hash_of(item))
        return there


def slices(writes: Sequence[Write]) -> Iterator[Sequence[Write]]:
    """Yield parts of at most 25 writes and 1 MiB of events. A larger event is a part of its own."""
    start = size = 0
    for position, write in enumerate(writes):
        size += len(write.detail)
        if position > start and (size > MAX_REQUEST_BYTES or position - start == MAX_STATEMENTS):
            yield writes[start:position]
            start, size = position, len(write.detail)
    if writes:
        yield writes[start:]


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item[PARTITION_KEY]["S"], item[SORT_KEY]["S"]


def _insert_result(result: StatementResult) -> InsertResult:
    match result:
        case Done():
            return Inserted()
        case ConditionFailed(item):
            return Occupied(content_hash_of(item))
        case _:
            return result
