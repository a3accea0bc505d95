"""When a shipment is stalled and when it is overdue. Readers and the watcher follow these rules."""

from datetime import datetime, timedelta
from typing import Final

from shipment_events.contract.moments import utc_text
from shipment_events.tracking.vocabulary import FINISHED

CAN_STALL: Final = frozenset({"picked_up", "in_transit", "out_for_delivery", "exception"})
"""The carrier has the shipment, so there should be news of it."""


def silent_since(now: datetime, stalled_after_hours: int) -> str:
    """The moment that the latest news of a stalled shipment has not passed.

    Args:
        now: aware.
        stalled_after_hours: the stage's setting.
    """
    return utc_text(now - timedelta(hours=stalled_after_hours))


def is_stalled(status: str | None, latest_at: str | None, silent_since: str) -> bool:
    """Whether there should be news of a shipment, but there has been none since this moment."""
    return status in CAN_STALL and bool(latest_at) and str(latest_at) <= silent_since


def is_overdue(status: str | None, estimated_delivery: str | None, now: str) -> bool:
    """Whether a shipment is not finished and its estimated delivery is before ``now``.

    Moments are texts of a fixed width in UTC, as in the tables.
    """
    return status not in FINISHED and bool(estimated_delivery) and str(estimated_delivery) < now
