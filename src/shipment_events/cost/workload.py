"""What comes in, and what becomes of its size on the way."""

from dataclasses import dataclass
from math import ceil
from typing import Final

DAYS_A_MONTH: Final = 365 / 12
HOURS_A_MONTH: Final = DAYS_A_MONTH * 24
SECONDS_A_MONTH: Final = DAYS_A_MONTH * 86_400
GB: Final = 1e9
"""Bytes; AWS counts some in 2**30, which would be 7 % less."""

# Measured over 3,000 events of `shipments feed`: what the bus adds to an event, and what the table does.
ENVELOPE_BYTES: Final = 223
ITEM_BYTES: Final = 233
TYPICAL_EVENT_BYTES: Final = 450

# What DynamoDB bills besides for each item and each entry of an index:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
STORED_ITEM_OVERHEAD: Final = 100

_CHUNK: Final = 64 * 1024
_WRITE_UNIT: Final = 1024
_READ_UNIT: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A steady stream of events; a stage older than its retention.

    Attributes:
        event_bytes: size of the ``detail`` as JSON.
        duplicate_share: part of the events that repeat a stored one; the feed's by default.
    """

    events_per_day: float
    event_bytes: int = TYPICAL_EVENT_BYTES
    duplicate_share: float = 0.02

    @property
    def events(self) -> float:
        """Events of a month."""
        return self.events_per_day * DAYS_A_MONTH

    @property
    def events_per_second(self) -> float:
        """Mean rate: days without peaks."""
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
        """Size of the event with what the bus adds: the message's body."""
        return self.event_bytes + ENVELOPE_BYTES

    @property
    def chunks(self) -> int:
        """Chunks of 64 KB in which bus and queue count a message."""
        return ceil(self.envelope_bytes / _CHUNK)

    @property
    def item_bytes(self) -> int:
        """Size of the stored item."""
        return self.event_bytes + ITEM_BYTES

    @property
    def write_units(self) -> int:
        """Units of writing the item once, of 1 KB."""
        return ceil(self.item_bytes / _WRITE_UNIT)

    @property
    def read_units(self) -> int:
        """Units of reading the item once, strongly consistent, of 4 KB."""
        return ceil(self.item_bytes / _READ_UNIT)
