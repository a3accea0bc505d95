"""Copy items unchanged from a restored table to the table of events, after a point-in-time recovery."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from shipment_events.aws_errors import error_code
from shipment_events.contract.names import PARTITION_KEY, SORT_KEY, STATUS_ATTRIBUTE, TTL_ATTRIBUTE
from shipment_events.errors import ShipmentEventsError
from shipment_events.function.pauses import pauses
from shipment_events.table.item import CONFLICT, CONTENT_HASH, PROCESSED, PROCESSING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

Item = Mapping[str, "AttributeValueTypeDef"]
Key = tuple[str, str]

# A request reads at most 100 keys, and each event has two places.
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH: Final = 50


class NoSourceTableError(ShipmentEventsError):
    """The source table does not exist."""


@dataclass(kw_only=True)
class Copied:
    """Counts of the items in the source, by result."""

    copied: int = 0
    """Items that were missing and were copied. In a trial: items that would be copied."""
    conflict: int = 0
    """Items whose key another event has taken since. They were copied beside it, as the processor would."""
    present: int = 0
    """Items whose event the target has."""
    different: int = 0
    """Items that the target has with other content, and that are not events of the processor. They are not
    changed."""
    expired: int = 0
    """Items that are missing and have expired. They are not copied."""

    def count(self, result: str) -> None:
        """Count one item by the name of its result."""
        setattr(self, result, getattr(self, result) + 1)


def copy_missing(
    client: "DynamoDBClient", source: str, target: str, now: datetime, *, trial: bool = False
) -> Iterator[Copied]:
    """Copy each event of ``source`` that is not in ``target``, and yield the counts after each batch.

    No item is overwritten. So the copy can be interrupted, repeated, and run while the pipeline runs. If an
    event was published again since, its item in ``target`` may be at the other of its two places.

    Raises:
        NoSourceTableError: the table ``source`` does not exist.
        botocore.exceptions.ClientError: a table cannot be read or written.
    """
    counts, table = Copied(), _Target(client, target, trial)
    for page in _pages(client, source):
        for begin in range(0, len(page["Items"]), _BATCH):
            items = page["Items"][begin : begin + _BATCH]
            there = table.read(items)
            for item in items:
                counts.count(table.copy(item, there, now))
            yield counts


@dataclass(frozen=True, slots=True)
class _Target:
    """The table to which items are copied."""

    client: "DynamoDBClient"
    name: str
    trial: bool

    def copy(self, item: Item, there: Mapping[Key, Item], now: datetime) -> str:
        """Copy an item that is missing, and return the name of the result.

        Args:
            there: what the table has at the places of the item.
        """
        while True:
            own, beside = _places(item)
            if any(_is_same(item, there[place]) for place in (own, beside) if place in there):
                return "present"
            is_taken = _key(item) in there
            if is_taken and (own == beside or beside in there):
                return "different"
            if _has_expired(item, now):
                return "expired"
            copy = _beside(item, beside) if is_taken else item
            if self.trial or self._put(copy):
                return "conflict" if is_taken else "copied"
            # The pipeline took the place after it was read.
            there = self.read([item])

    def read(self, items: Sequence[Item]) -> dict[Key, Item]:
        """What the table has at the places of the items."""
        places = dict.fromkeys(place for item in items for place in _places(item))
        keys: list[dict[str, Any]] = [
            {PARTITION_KEY: {"S": shipment_id}, SORT_KEY: {"S": sort_key}} for shipment_id, sort_key in places
        ]
        found: dict[Key, Item] = {}
        for pause in pauses():
            answer = self.client.batch_get_item(
                RequestItems={self.name: {"Keys": keys, "ConsistentRead": True}}
            )
            found.update((_key(item), item) for item in answer["Responses"].get(self.name, []))
            left = answer.get("UnprocessedKeys", {})
            if self.name not in left:
                break
            # A response contains at most 16 MB. If the table throttles, asking again at once makes it worse.
            keys = list(left[self.name]["Keys"])
            time.sleep(pause)
        return found

    def _put(self, item: Item) -> bool:
        try:
            self.client.put_item(
                TableName=self.name,
                Item=item,
                ConditionExpression=f"attribute_not_exists({PARTITION_KEY})",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                # An equal item was written by an earlier attempt of this request, whose response was lost.
                return error.response.get("Item") == item
            raise
        return True


def _pages(client: "DynamoDBClient", table: str) -> Iterator[Mapping[str, Any]]:
    try:
        yield from client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        raise NoSourceTableError(
            f"there is no table {table}",
            "Restore it first, and wait until it is active: docs/deploy.md#restoring-what-was-lost",
        ) from error


def _has_expired(item: Item, now: datetime) -> bool:
    """Whether DynamoDB may delete the item. It never deletes one without a number in the TTL attribute."""
    expires_at = item.get(TTL_ATTRIBUTE, {}).get("N")
    return expires_at is not None and float(expires_at) <= now.timestamp()


def _key(item: Item) -> Key:
    return item[PARTITION_KEY]["S"], item[SORT_KEY]["S"]


def _places(item: Item) -> tuple[Key, Key]:
    """The keys that the event can have: its own, and the one beside it. They are equal for a foreign item."""
    shipment_id, sort_key = _key(item)
    content_hash = _content_hash(item)
    if content_hash is None:
        return (shipment_id, sort_key), (shipment_id, sort_key)
    mark = f"#{content_hash}"
    own = sort_key.removesuffix(mark) if _is_conflict(item) else sort_key
    return (shipment_id, own), (shipment_id, f"{own}{mark}")


def _beside(item: Item, place: Key) -> Item:
    status = item[STATUS_ATTRIBUTE]["S"].replace(PROCESSED, CONFLICT, 1)
    return {**item, SORT_KEY: {"S": place[1]}, STATUS_ATTRIBUTE: {"S": status}}


def _is_same(item: Item, other: Item) -> bool:
    content_hash = _content_hash(item)
    return item == other if content_hash is None else content_hash == _content_hash(other)


def _content_hash(item: Item) -> str | None:
    found = item.get(PROCESSING, {}).get("M", {}).get(CONTENT_HASH, {}).get("S")
    return str(found) if found else None


def _is_conflict(item: Item) -> bool:
    return item[STATUS_ATTRIBUTE]["S"].startswith(CONFLICT)
