"""The words for a shipment's status, and how an event says one.

An event's status is the producer's ``status`` where that is one of the words; else its type decides, by one
table; else the event has none, and is news without a status.
"""

from collections.abc import Mapping
from typing import Final

from shipment_events.contract.names import EVENT_TYPE_PREFIX

STATUSES: Final = (
    "pre_transit", "picked_up", "in_transit", "exception", "out_for_delivery", "available_for_pickup",
    "cancelled", "returned", "delivered",
)  # fmt: skip
"""By rank: of two events at the same moment, the one whose status is further right is the later one."""

RANKS: Final[Mapping[str | None, int]] = {
    None: 0,
    **{status: rank for rank, status in enumerate(STATUSES, 1)},
}
"""Rank of each status, one digit; 0 is that of an event without a status."""

FINISHED: Final = frozenset({"delivered", "returned", "cancelled"})
"""Nothing more is expected of the shipment. News may come all the same."""

# Beside shipment.<word>, which means <word>. A type is here only where every carrier means one status by it:
# `notified`, `update`, `scanned` and `estimate_updated` tell of shipments that are anywhere.
_OTHER_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "pre_transit": ("booked", "label_created", "manifested", "empty_released"),
    "in_transit": (
        "departed", "arrived", "loaded", "unloaded", "customs_presented", "customs_released",
        "arrived_at_delivery_office",
    ),
    "exception": (
        "customs_held", "damaged", "delayed", "delivery_attempted", "delivery_failed", "held", "lost",
        "refused",
    ),
    "delivered": ("empty_returned",),
}  # fmt: skip

STATUS_OF_TYPE: Final[Mapping[str, str]] = {
    EVENT_TYPE_PREFIX + word: status
    for status in STATUSES
    for word in (status, *_OTHER_TYPES.get(status, ()))
}
"""Status of each event type that means one. Types are compared exactly."""

_LONGEST: Final = max(map(len, STATUSES))


def producers_word(status: object) -> str | None:
    """The word that a producer's ``status`` is, in any case and with spaces or dashes for underscores."""
    # Foreign text can be long; only what may be a word is worth the work.
    if not isinstance(status, str) or len(status) > _LONGEST:
        return None
    word = status.lower().replace(" ", "_").replace("-", "_")
    return word if word in RANKS else None


def status_of(event_type: str, status: object) -> tuple[str | None, bool]:
    """Status of an event.

    Args:
        status: the event's own field of this name, whatever it holds.

    Returns:
        The word or None, and whether the producer's word contradicts the type of the event. The word counts
        then: a producer that says one means it, while types are often the nearest that was at hand.
    """
    by_word = producers_word(status)
    by_type = STATUS_OF_TYPE.get(event_type)
    return by_word or by_type, bool(by_word and by_type and by_word != by_type)


def status_table() -> str:
    """The table of words and event types, as ``docs/contract.md`` shows it."""
    rows = ["| rank | status | event types |", "|---|---|---|"]
    for rank, status in enumerate(STATUSES, 1):
        types = ", ".join(f"`{name}`" for name, meant in STATUS_OF_TYPE.items() if meant == status)
        rows.append(f"| {rank} | `{status}`{', finished' if status in FINISHED else ''} | {types} |")
    return "\n".join(rows)
