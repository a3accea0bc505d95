"""The table of events: how an event becomes an item, how items are written in one request, and read.

No other module knows the table's attributes or, but for ``table_copy.py``, talks to DynamoDB.
"""

import heapq
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.event import ShipmentEvent
from shipment_events.exact_json import canonical_number
from shipment_events.names import PARTITION_KEY, SORT_KEY, STATUS_ATTRIBUTE, STATUS_INDEX, TTL_ATTRIBUTE
from shipment_events.outcome import InvalidEventError, Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, BatchStatementResponseTypeDef

PROCESSED: Final = "PROCESSED"
CONFLICT: Final = "CONFLICT"

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
MAX_STATEMENTS: Final = 25
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_ITEM_BYTES: Final = 400 * 1024
# An item takes less than twice its JSON (lists in lists come near it), and the attributes that we add; only
# what might be too large is measured.
_SURELY_FITS_BYTES: Final = 192 * 1024
# The service refuses a whole request with these for what one of its statements holds.
_REFUSED_WHOLE: Final = frozenset({"ValidationException", "SerializationException"})

# Beside what the service itself uses, an item has two maps: the event as its producer sent it, and what the
# pipeline noted. So no field of a producer can collide with one of ours, and the text of the INSERT is short,
# the same for every event, and depends on nothing foreign.
_DETAIL: Final = "detail"
_PROCESSING: Final = "processing"
_CONTENT_HASH: Final = "content_hash"
_SHARD_MARK: Final = "#"
_INDEX_PAGE: Final = 200
_ATTRIBUTES: Final = (PARTITION_KEY, SORT_KEY, STATUS_ATTRIBUTE, TTL_ATTRIBUTE, _DETAIL, _PROCESSING)


@dataclass(frozen=True, slots=True)
class Write:
    """One event on its way into the table.

    Attributes:
        event: the event.
        sort_key: where it goes; differs from the event's own sort key for a conflict.
        correlation_id: id that the bus gave to the delivery.
    """

    event: ShipmentEvent
    sort_key: str
    correlation_id: str

    @property
    def key(self) -> tuple[str, str]:
        """Partition and sort key."""
        return self.event.shipment_id, self.sort_key

    @property
    def is_conflict(self) -> bool:
        """Whether another event holds this one's own place."""
        return self.sort_key != self.event.sort_key

    def beside(self) -> "Write":
        """The same event at the place it takes when other content holds this one.

        The place depends on the content alone, so a repeated conflict finds itself there.
        """
        return Write(self.event, f"{self.sort_key}#{self.event.content_hash}", self.correlation_id)


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


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it lies in the table.

    Attributes:
        sort_key: its place within the shipment.
        status: ``PROCESSED``, or ``CONFLICT`` where other content holds the same identity.
        stored_at: when the processor wrote it, UTC, ISO 8601 with microseconds.
        correlation_id: id that the bus gave to the delivery.
        event_id: the producer's, or the one derived from the content.
        detail: the event as the producer sent it; numbers as ``Decimal``.
    """

    sort_key: str
    status: str
    event_id: str
    stored_at: str
    correlation_id: str
    detail: dict[str, Any]


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
        values = ", ".join(f"'{attribute}': ?" for attribute in _ATTRIBUTES)
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
            yield from map(_stored_event, page["Items"])

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
        # Unsharded, too: what lies there was stored before the index was sharded.
        values = [status, *(f"{status}{_SHARD_MARK}{shard}" for shard in range(self._shards or 0))]
        parts = [self._of_index_value(value, _utc_text(since), _utc_text(until)) for value in values]
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
            yield from map(_stored_event, page["Items"])

    def scan(self) -> Iterator[StoredEvent]:
        """Every event of the table, in no order.

        Raises:
            botocore.exceptions.ClientError: the table cannot be read.
        """
        pages = self._client.get_paginator("scan").paginate(TableName=self._name, ConsistentRead=True)
        for page in pages:
            yield from map(_stored_event, page["Items"])

    def _insert(self, writes: Sequence[Write], now: datetime) -> list[InsertResult]:
        times = _ItemTimes.of(now, self._retention)
        try:
            answer = self._client.batch_execute_statement(
                Statements=[
                    {
                        "Statement": self._insert_statement,
                        "Parameters": [_to_attribute(item[attribute]) for attribute in _ATTRIBUTES],
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                    for item in (_build_item(write, times, self._shards) for write in writes)
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
                        "ProjectionExpression": f"{PARTITION_KEY}, {SORT_KEY}, #processing.{_CONTENT_HASH}",
                        # A reserved word:
                        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
                        "ExpressionAttributeNames": {"#processing": _PROCESSING},
                        "ConsistentRead": True,
                    }
                }
            )
        except (ClientError, BotoCoreError) as error:
            return dict.fromkeys(keys, Unavailable(error_code(error)))
        for item in answer.get("Responses", {}).get(self._name, []):
            there[item[PARTITION_KEY]["S"], item[SORT_KEY]["S"]] = Occupied(_content_hash(item))
        return there


def ensure_fits(event: ShipmentEvent) -> None:
    """Refuse what the table could never hold before a request is spent on it.

    Raises:
        InvalidEventError: the item would be larger than 400 KB.
    """
    if event.content_bytes <= _SURELY_FITS_BYTES:
        return
    # Not the present: the size of a number depends on its zeros, and so would the verdict on the clock.
    times = _ItemTimes.of(datetime(2033, 5, 18, 3, 33, 19, tzinfo=UTC), timedelta(0))
    item = _build_item(Write(event, event.sort_key, "0" * 36), times)
    size = sum(len(name.encode()) + _attribute_bytes(value) for name, value in item.items())
    if size > MAX_ITEM_BYTES:
        raise InvalidEventError(
            Reason.TOO_LARGE, f"event: expected an item of at most {MAX_ITEM_BYTES} bytes, got {size}"
        )


@dataclass(frozen=True, slots=True)
class _ItemTimes:
    """What the items of one request have in common."""

    stored_at: str
    expires_at: Decimal

    @classmethod
    def of(cls, now: datetime, retention: timedelta) -> "_ItemTimes":
        return cls(_utc_text(now), Decimal(int((now + retention).timestamp())))


def _build_item(write: Write, times: _ItemTimes, shards: int | None = None) -> dict[str, Any]:
    event = write.event
    return {
        PARTITION_KEY: event.shipment_id,
        SORT_KEY: write.sort_key,
        STATUS_ATTRIBUTE: (CONFLICT if write.is_conflict else PROCESSED) + _shard_suffix(write, shards),
        TTL_ATTRIBUTE: times.expires_at,
        _DETAIL: event.detail,
        _PROCESSING: {
            "event_id": event.event_id,
            _CONTENT_HASH: event.content_hash,
            "correlation_id": write.correlation_id,
            "stored_at": times.stored_at,
        },
    }


def _utc_text(moment: datetime) -> str:
    """At fixed width, as the moments in sort keys are."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _shard_suffix(write: Write, shards: int | None) -> str:
    """Depends on the key alone, so that an item has the same whichever delivery writes it."""
    if shards is None:
        return ""
    key = "\0".join(write.key).encode()
    return f"{_SHARD_MARK}{zlib.crc32(key) % shards}"


def _statement_result(response: "BatchStatementResponseTypeDef") -> InsertResult:
    """A response of HTTP status 200 still tells of each statement whether it failed."""
    error = response.get("Error")
    if not error:
        return Inserted()
    code = error.get("Code", "Unknown")
    # The API reference names the first; ConditionalCheckFailed is what other statements get.
    if code in {"DuplicateItem", "ConditionalCheckFailed"}:
        return Occupied(_content_hash(error.get("Item", {})))
    if code == "ValidationError":
        return Rejected(error.get("Message", code))
    return Unavailable(code)


def _content_hash(item: Mapping[str, "AttributeValueTypeDef"]) -> str:
    """Empty for an item that is not of our writing: other content, whatever it is."""
    noted: Mapping[str, AttributeValueTypeDef] = item.get(_PROCESSING, {}).get("M", {})
    return noted.get(_CONTENT_HASH, {}).get("S", "")


def _stored_event(item: Mapping[str, "AttributeValueTypeDef"]) -> StoredEvent:
    values = {name: _from_attribute(attribute) for name, attribute in item.items()}
    return StoredEvent(
        sort_key=values[SORT_KEY],
        status=values[STATUS_ATTRIBUTE].partition(_SHARD_MARK)[0],
        event_id=values[_PROCESSING]["event_id"],
        stored_at=values[_PROCESSING]["stored_at"],
        correlation_id=values[_PROCESSING]["correlation_id"],
        detail=values[_DETAIL],
    )


def _to_attribute(value: object) -> "AttributeValueTypeDef":
    """What boto3's TypeSerializer does, without the import of boto3, which the processor does not need."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, Decimal):
        # The service keeps no other spelling, and might refuse one such as 0E+500.
        return {"N": canonical_number(value)}
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, list):
        return {"L": [_to_attribute(element) for element in value]}
    if isinstance(value, dict):
        return {
            # Most fields are texts; a call for each would be half of the time.
            "M": {
                name: {"S": element} if type(element) is str else _to_attribute(element)
                for name, element in value.items()
            }
        }
    raise TypeError(f"not a JSON value with exact numbers: {type(value).__name__}")


def _from_attribute(attribute: "AttributeValueTypeDef") -> Any:
    ((kind, value),) = attribute.items()
    if kind == "N":
        return Decimal(str(value))
    if kind == "NULL":
        return None
    if kind == "L":
        return [_from_attribute(element) for element in attribute["L"]]
    if kind == "M":
        return {name: _from_attribute(element) for name, element in attribute["M"].items()}
    return value


def _attribute_bytes(value: object) -> int:
    """Size as the service counts it.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Decimal):
        digits = "".join(map(str, value.as_tuple().digits)).strip("0")
        return min((len(digits) + 1) // 2 + 1, 21)
    if isinstance(value, list):
        return 3 + sum(1 + _attribute_bytes(element) for element in value)
    if isinstance(value, dict):
        return 3 + sum(1 + len(name.encode()) + _attribute_bytes(element) for name, element in value.items())
    return 1
