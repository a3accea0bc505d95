"""The item of an event, as the compared handlers make it."""

import json
import os
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

_RETENTION_SECONDS: Final = int(os.environ["EVENT_RETENTION_DAYS"]) * 24 * 3600


def read_event(record: Mapping[str, Any]) -> dict[str, Any]:
    """The event of an SQS record."""
    detail: dict[str, Any] = json.loads(record["body"], parse_float=Decimal)["detail"]
    return detail


def build_item(event: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of its item."""
    return {
        **event,
        "event_timestamp": f"{event['event_timestamp']}#{event['event_id']}",
        "processing_status": "PROCESSED",
        "expires_at": int(time.time()) + _RETENTION_SECONDS,
    }
