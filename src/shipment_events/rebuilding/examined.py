"""How the state of a shipment compares with its events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shipment_events.tracking.changes import Change
from shipment_events.tracking.failures import Failure


class Verdict(StrEnum):
    """How a state compares with the events of its shipment."""

    SAME = "same"
    """It is what its events give."""
    DIFFERENT = "different"
    """It is not, or there is none. Two readings agree. It was not written."""
    REBUILT = "rebuilt"
    """It was not, and was written."""
    ABSENT = "absent"
    """The shipment has neither a state nor events."""
    FAILED = "failed"
    """It could not be read, folded, announced or written."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A shipment that was compared.

    Attributes:
        attributes: of each attribute that differs, the value of the state and the value that the events give.
            None if there is no such value.
        changes: the changes that were announced, or that would be announced.
        unfoldable: stored items that are not events. No state contains them.
        stored_at: when its last event was stored. If this was a moment ago, the tracker may be about to write
            the state.
        lost_races: how often another writer was first.
        why: why it failed, or empty.
    """

    shipment_id: str
    verdict: Verdict
    attributes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    unfoldable: Sequence[Failure] = ()
    stored_at: str = ""
    lost_races: int = 0
    why: str = ""
