"""Batches of new events, as Lambda hands them over."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from shipment_events.contract import names
from shipment_events.publishing.entries import prepare_text
from workbench.feed import Shares, generate

_SEED: Final = 5


def batches(size: int, count: int) -> Iterator[dict[str, Any]]:
    """Events of Lambda with so many records each, all of them new, from the feed."""
    lines = generate(size * count, seed=_SEED, shares=Shares(broken=0, repeat=0, enriched=0))
    records = (_record(number, line.text) for number, line in enumerate(lines))
    for _ in range(count):
        yield {"Records": list(islice(records, size))}


def _record(number: int, text: str) -> dict[str, Any]:
    """As the publisher puts it on the bus, the bus into the queue, and the queue before the function."""
    entry = prepare_text(text)
    envelope: dict[str, Any] = {
        "version": "0",
        "id": f"00000000-0000-4000-9000-{number:012x}",
        "detail-type": entry.detail_type,
        "source": names.SOURCE,
        "account": "123456789012",
        # A late event would cost a read.
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "region": "eu-central-1",
        "resources": [],
        "detail": None,
    }
    # Spliced in as text, to keep every digit.
    body = json.dumps(envelope).replace('"detail": null', f'"detail": {entry.detail}')
    return {
        "messageId": f"00000000-0000-4000-a000-{number:012x}",
        "receiptHandle": "receipt" * 24,
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1740834300000",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1740834300010",
        },
        "messageAttributes": {},
        "md5OfBody": "0" * 32,
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:shipmentevents-queue-bench",
        "awsRegion": "eu-central-1",
    }
