"""Copy items unchanged from a restored table to the table of events, after a point-in-time recovery."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from shipment_events.aws_errors import error_code
from shipment_events.contract.names import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE
from shipment_events.errors import ShipmentEventsError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

Item = Mapping[str, "AttributeValueTypeDef"]

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH: Final = 100


class NoSourceTableError(ShipmentEventsError):
    """The source table does not exist."""


@dataclass(kw_only=True)
class Copied:
    """Counts of the items in the source, by result."""

    copied: int = 0
    """Items that were missing and were copied. In a trial: items that would be copied."""
    present: int = 0
    """Items that the target has with the same content."""
    different: int = 0
    """Items that the target has with other content. They are not changed."""
    expired: int = 0
    """Items that are missing and have expired. They are not copied."""


def copy_missing(
    client: "DynamoDBClient", source: str, target: str, now: datetime, *, trial: bool = False
) -> Iterator[Copied]:
    """Copy each item of ``source`` whose key is not in ``target``, and yield the counts after each batch.

    No item is overwritten. So the copy can be interrupted, repeated, and run while the pipeline runs.

    Raises:
        NoSourceTableError: the table ``source`` does not exist.
        botocore.exceptions.ClientError: a table cannot be read or written.
    """
    counts = Copied()
    for page in _pages(client, source):
        for begin in range(0, len(page["Items"]), _BATCH):
            items = page["Items"][begin : begin + _BATCH]
            there = _read(client, target, items)
            for item in items:
                if (found := there.get(_key(item))) is not None:
                    if found == item:
                        counts.present += 1
                    else:
                        counts.different += 1
                elif int(item[TTL_ATTRIBUTE]["N"]) <= now.timestamp():
                    counts.expired += 1
                elif trial or _put(client, target, item):
                    counts.copied += 1
                else:
                    # The pipeline stored the event after the target was read.
                    counts.present += 1
            yield counts


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


def _read(client: "DynamoDBClient", table: str, items: Sequence[Item]) -> dict[tuple[str, str], Item]:
    keys: list[dict[str, Any]] = [{name: item[name] for name in (PARTITION_KEY, SORT_KEY)} for item in items]
    found: dict[tuple[str, str], Item] = {}
    while keys:
        answer = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
        found.update((_key(item), item) for item in answer["Responses"].get(table, []))
        # A response contains at most 16 MB.
        left = answer.get("UnprocessedKeys", {})
        keys = list(left[table]["Keys"]) if table in left else []
    return found


def _put(client: "DynamoDBClient", table: str, item: Item) -> bool:
    try:
        client.put_item(
            TableName=table,
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


def _key(item: Item) -> tuple[str, str]:
    return item[PARTITION_KEY]["S"], item[SORT_KEY]["S"]
