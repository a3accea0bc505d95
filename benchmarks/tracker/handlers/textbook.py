"""The textbook's tracker: for each record GetItem and, if the event is the latest, PutItem.

It has no lock, knows no retraction and announces nothing.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

_table = boto3.resource("dynamodb").Table(os.environ["SHIPMENTS_TABLE_NAME"])
_deserialize: Final = TypeDeserializer().deserialize


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Track each record."""
    failures = []
    for record in event["Records"]:
        try:
            track({name: _deserialize(value) for name, value in record["dynamodb"]["NewImage"].items()})
        except ClientError:
            failures.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
    return {"batchItemFailures": failures}


def track(item: Mapping[str, Any]) -> None:
    """Replace the shipment's state unless it is newer.

    Raises:
        ClientError: it could not be read or written.
    """
    event, shipment_id = item["detail"], item["shipment_id"]
    found = _table.get_item(Key={"shipment_id": shipment_id}, ConsistentRead=True).get("Item", {})
    if found.get("latest_at", "") <= event["event_timestamp"]:
        latest = {name: event.get(name) for name in ("event_id", "event_type", "location", "description")}
        _table.put_item(
            Item={
                "shipment_id": shipment_id,
                "status": event.get("status"),
                "latest_at": event["event_timestamp"],
                "latest_event": latest,
                "carrier": event.get("carrier"),
                "tracking_number": event.get("tracking_number"),
                "first_at": found.get("first_at", event["event_timestamp"]),
            }
        )
