"""Batches of stream records, as Lambda hands them over."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from shipment_events.table.item import attribute_json

RECORDS: Final = 100
SHIPMENTS: Final = 90

_START: Final = datetime(2025, 3, 1, 12, tzinfo=UTC)
# The way of a parcel, over and over: in 6 of 11 steps the status changes.
_WAY: Final = (
    "picked_up", "departed", "arrived", "departed", "arrived", "departed", "arrived", "out_for_delivery",
    "delivery_failed", "out_for_delivery", "delivered",
)  # fmt: skip


def batches(count: int) -> Iterator[dict[str, Any]]:
    """Events of Lambda with 100 new records of 90 shipments, which are the same in all batches.

    The shipments are at different places of their way.
    """
    steps = [number % len(_WAY) for number in range(SHIPMENTS)]
    for _ in range(count):
        records = []
        for number in range(RECORDS):
            shipment = number % SHIPMENTS
            records.append(record(f"S-{shipment}", steps[shipment]))
            steps[shipment] += 1
        yield {"Records": records}


def record(shipment_id: str, step: int) -> dict[str, Any]:
    """The record of a shipment's event."""
    item = event_item(shipment_id, step)
    return {
        "eventID": f"{step:032x}",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1740834300,
            "Keys": {name: item[name] for name in ("shipment_id", "event_timestamp")},
            "NewImage": item,
            "SequenceNumber": f"{step:021d}",
            "SizeBytes": 900,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/shipmentevents-bench/stream/1",
    }


def event_item(shipment_id: str, step: int) -> dict[str, Any]:
    """The item of a shipment's event, as the processor writes it."""
    moment = _START + timedelta(minutes=step)
    text = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    event_id = f"{step:032x}"
    detail = {
        "shipment_id": shipment_id,
        "event_timestamp": text,
        "event_id": event_id,
        "event_type": f"shipment.{_WAY[step % len(_WAY)]}",
        "carrier": "DHL",
        "carrier_code": "PU",
        "tracking_number": f"JD01460000{shipment_id}",
        "description": "The shipment has been processed in the parcel centre.",
        "location": {"city": "Łódź", "country": "PL", "facility": "LCJ-2", "lat": Decimal("51.7592")},
    }
    item = {
        "shipment_id": shipment_id,
        "event_timestamp": f"{text}#{event_id}",
        "processing_status": "PROCESSED",
        "expires_at": Decimal(1748610300),
        "detail": detail,
        "processing": {"content_hash": "0" * 64, "correlation_id": event_id, "stored_at": text},
    }
    return {name: json.loads(attribute_json(value)) for name, value in item.items()}
