"""One ``put_item`` of one item by a bare boto3 client; nothing is read, checked or counted."""

import os
from collections.abc import Mapping
from typing import Any

import boto3

_client = boto3.client("dynamodb")
_table = os.environ["EVENTS_TABLE_NAME"]


def handler(_event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Send the request and wait for its answer."""
    _client.put_item(TableName=_table, Item={"shipment_id": {"S": "one"}, "event_timestamp": {"S": "call"}})
    return {"batchItemFailures": []}
