"""(a) One conditional ``put_item`` a record on a boto3 resource, one after the other."""

import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from benchmarks.processor.handlers.items import build_item, read_event

_table = boto3.resource("dynamodb").Table(os.environ["EVENTS_TABLE_NAME"])


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Store each record."""
    failures = []
    for record in event["Records"]:
        try:
            store(record)
        except ClientError:
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def store(record: Mapping[str, Any]) -> None:
    """Write the record's event unless it is there.

    Raises:
        ClientError: it could not be written.
    """
    try:
        _table.put_item(
            Item=build_item(read_event(record)), ConditionExpression="attribute_not_exists(shipment_id)"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
