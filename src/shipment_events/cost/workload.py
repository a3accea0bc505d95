"""The incoming events, and their sizes in the bus, the queue and the table."""

from dataclasses import dataclass
from math import ceil
from typing import Final

DAYS_A_MONTH: Final = 365 / 12
HOURS_A_MONTH: Final = DAYS_A_MONTH * 24
SECONDS_A_MONTH: Final = DAYS_A_MONTH * 86_400
GB: Final = 1e9
"""Bytes. AWS counts some services in units of 2**30 bytes, which gives 7 % less."""

# Bytes that the bus and the table add to an event, measured over 3,000 events of `shipments feed`.
ENVELOPE_BYTES: Final = 223
ITEM_BYTES: Final = 233
TYPICAL_EVENT_BYTES: Final = 450
TYPICAL_DUPLICATE_SHARE: Final = 0.02
"""The share of repeats in the feed."""

# Bytes that DynamoDB adds to the billed size of each item and each entry of an index:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
STORED_ITEM_OVERHEAD: Final = 100

BILLED_BYTES: Final = 64 * 1024
"""EventBridge and SQS bill each 64 KB of an event as one event or request."""
WRITE_UNIT: Final = 1024
"""Bytes that DynamoDB writes for one unit."""
_READ_UNIT: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A steady stream of events, in a stage that is older than its retention.

    Attributes:
        event_bytes: size of the ``detail`` as JSON.
        duplicate_share: fraction of the events that are duplicates.
        api_requests_per_day: requests for the state of one shipment.
        api_unchanged_share: fraction of them that is answered with 304.
    """

    events_per_day: float
    event_bytes: int = TYPICAL_EVENT_BYTES
    duplicate_share: float = TYPICAL_DUPLICATE_SHARE
    api_requests_per_day: float = 0
    api_unchanged_share: float = 0

    @property
    def events(self) -> float:
        """Events of a month."""
        return self.events_per_day * DAYS_A_MONTH

    @property
    def events_per_second(self) -> float:
        """Mean rate, without peaks."""
        return self.events_per_day / 86_400

    @property
    def new_events(self) -> float:
        """Events of a month that are stored."""
        return self.events * (1 - self.duplicate_share)

    @property
    def duplicates(self) -> float:
        """Events of a month that were stored before."""
        return self.events * self.duplicate_share

    @property
    def envelope_bytes(self) -> int:
        """Size of the envelope, which is the body of the message."""
        return self.event_bytes + ENVELOPE_BYTES

    @property
    def chunks(self) -> int:
        """Number of events or requests as which EventBridge and SQS bill an event; see ``BILLED_BYTES``."""
        return ceil(self.envelope_bytes / BILLED_BYTES)

    @property
    def item_bytes(self) -> int:
        """Size of the stored item."""
        return self.event_bytes + ITEM_BYTES

    @property
    def write_units(self) -> int:
        """Write units of 1 KB for one write of the item."""
        return ceil(self.item_bytes / WRITE_UNIT)

    @property
    def read_units(self) -> int:
        """Read units of 4 KB for one strongly consistent read of the item."""
        return ceil(self.item_bytes / _READ_UNIT)
