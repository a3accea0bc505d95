"""Copies whole items from one table of events to another, as they are: after a point-in-time recovery.

It also talks to DynamoDB, beside ``store.py``. Of an item it knows keys and expiry alone.
"""

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
    """The table to copy from is not there."""


@dataclass(kw_only=True)
class Copied:
    """What became of the items of the source (counts)."""

    copied: int = 0
    """Were missing and are there now; in a trial, would be."""
    present: int = 0
    """Were there, the same."""
    different: int = 0
    """Were there with other content, which stays."""
    expired: int = 0
    """Missing rightly: their time is over."""


def copy_missing(
    client: "DynamoDBClient", source: str, target: str, now: datetime, *, trial: bool = False
) -> Iterator[Copied]:
    """Copy each item of ``source`` whose key ``target`` does not have, and yield the counts batch by batch.

    Nothing is ever overwritten, so it may be interrupted, repeated, and run beside the pipeline.

    Raises:
        NoSourceTableError: there is no table ``source``.
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
                    # The pipeline was faster: it stored the same event in the meantime.
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
            "Restore one first, and wait until it is there: docs/deploy.md#restoring-what-was-lost",
        ) from error


def _read(client: "DynamoDBClient", table: str, items: Sequence[Item]) -> dict[tuple[str, str], Item]:
    keys: list[dict[str, Any]] = [{name: item[name] for name in (PARTITION_KEY, SORT_KEY)} for item in items]
    found: dict[tuple[str, str], Item] = {}
    while keys:
        answer = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
        found.update((_key(item), item) for item in answer["Responses"].get(table, []))
        # A request returns 16 MB at most.
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
            # The very same item is ours: the answer to the request that wrote it was lost.
            return error.response.get("Item") == item
        raise
    return True


def _key(item: Item) -> tuple[str, str]:
    return item[PARTITION_KEY]["S"], item[SORT_KEY]["S"]
