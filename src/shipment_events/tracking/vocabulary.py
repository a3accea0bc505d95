"""The words for a shipment's status, and how an event gives one.

If the producer's ``status`` is one of the words, it is the event's status. Otherwise the event type gives the
status. An event without either is news without a status.
"""

from collections.abc import Mapping
from typing import Final

from shipment_events.contract.names import EVENT_TYPE_PREFIX

STATUSES: Final = (
    "pre_transit", "picked_up", "in_transit", "exception", "out_for_delivery", "available_for_pickup",
    "cancelled", "returned", "delivered",
)  # fmt: skip
"""In order of rank. Of two events at the same moment, the one with the higher rank is later."""

RANKS: Final[Mapping[str | None, int]] = {
    None: 0,
    **{status: rank for rank, status in enumerate(STATUSES, 1)},
}
"""Rank of each status: one digit. An event without a status has rank 0."""

FINISHED: Final = frozenset({"delivered", "returned", "cancelled"})
"""No more events are expected after these statuses, but they can still come."""

# The type shipment.<word> means <word>. Other types are here only if every carrier means the same status:
# `notified`, `update`, `scanned` and `estimate_updated` occur with any status.
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
"""Status of each event type that has one. Types are compared exactly."""

_LONGEST: Final = max(map(len, STATUSES))


def producers_word(status: object) -> str | None:
    """The word in a producer's ``status``. Case is ignored; spaces and dashes count as underscores."""
    # A producer's text can be long, so its length is checked first.
    if not isinstance(status, str) or len(status) > _LONGEST:
        return None
    word = status.lower().replace(" ", "_").replace("-", "_")
    return word if word in RANKS else None


def status_of(event_type: str, status: object) -> tuple[str | None, bool]:
    """Status of an event.

    Args:
        status: the event's field ``status``, of any type.

    Returns:
        The word or None, and whether the producer's word contradicts the event type. The word has precedence,
        because a producer sets it on purpose and often chooses only the nearest type.
    """
    by_word = producers_word(status)
    by_type = STATUS_OF_TYPE.get(event_type)
    return by_word or by_type, bool(by_word and by_type and by_word != by_type)
