"""Stored events for property tests: few moments, ids and words, so that ties and retractions abound."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from hypothesis import strategies as st

from shipment_events.table.item import StoredEvent

SHIPMENT: Final = "S-1"
NOON: Final = datetime(2025, 3, 1, 12, tzinfo=UTC)
IDS: Final = ("a", "b", "c#d", "é", "ab")
LONG: Final = "ł" * 1025
"""Just too long to be copied."""
ODD: Final[tuple[Any, ...]] = (
    "", " ", 0, Decimal("1.50"), 1.5, True, [], {}, ["a"], {"a": Decimal(1)}, LONG,
    "2025-02-30T00:00Z", "2025-03-05", "9999-12-31T23:59:59-23:59", "tomorrow",
)  # fmt: skip
STATUSES: Final = (
    None, "", "unknown", "IN_TRANSIT", "in transit", "In-Transit", "picked_up", "PICKED UP", "Delivered",
    "out-for-delivery", "EXCEPTION", "returned", "lost in space",
)  # fmt: skip
TYPES: Final = (
    "shipment.update", "shipment.departed", "shipment.arrived", "shipment.manifested", "shipment.delivered",
    "shipment.delivery_failed", "shipment.IN_TRANSIT", "shipment.picked_up", "shipment.estimate_updated",
)  # fmt: skip
ESTIMATES: Final = ("2025-03-05T12:00:00+01:00", "2025-03-05T11:00Z", "2025-03-06T08:00:00.5Z")


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def stored(
    moment: datetime,
    event_id: str,
    event_type: str = "shipment.update",
    *,
    stored_at: datetime | None = None,
    status: str = "PROCESSED",
    **fields: Any,
) -> StoredEvent:
    """An event as it lies in the table; ``status`` is the item's, ``fields`` may hold the event's own."""
    detail = {"shipment_id": SHIPMENT, "event_timestamp": text(moment), "event_type": event_type}
    word = fields.pop("word", None)
    return StoredEvent(
        sort_key=f"{text(moment)}#{event_id}",
        status=status,
        event_id=event_id,
        stored_at=text(stored_at or max(moment, NOON)),
        correlation_id="c",
        detail={**detail, **fields, **({"status": word} if word is not None else {})},
    )


MOMENTS: Final = st.sampled_from([0, 1, 2, 3, 30, 50, -(10**9)]).map(
    lambda hours: NOON + timedelta(hours=hours) if hours > -100 else datetime(1, 1, 1, tzinfo=UTC)
)
STORED: Final = st.integers(0, 6).map(lambda hours: NOON + timedelta(hours=hours))


@st.composite
def events(draw: st.DrawFn, *, odd: bool = True) -> StoredEvent:
    """One stored event; with ``odd`` also conflicts, retractions and values of any kind."""
    some = st.sampled_from(ODD) if odd else st.nothing()
    fields: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "word": st.sampled_from(STATUSES),
                "carrier": st.sampled_from(["DHL", "UPS", "", LONG]),
                "tracking_number": st.sampled_from(["1", "2", "", LONG]),
                "estimated_delivery": st.sampled_from(ESTIMATES) | some,
                "location": st.sampled_from([{"city": "Łódź", "n": Decimal("1.5")}, {"x": LONG}, {}]),
                "description": st.sampled_from(["", "d", LONG]),
                "reason_code": st.sampled_from([None, "7"]),
            }
            | ({"retracts": st.sampled_from(IDS) | some} if odd and draw(st.integers(0, 3)) == 0 else {}),
        )
    )
    conflict = odd and draw(st.integers(0, 9)) == 0
    event_id = draw(st.sampled_from(IDS))
    event = stored(
        draw(MOMENTS),
        event_id,
        draw(st.sampled_from(TYPES)),
        stored_at=draw(STORED),
        status="CONFLICT" if conflict else "PROCESSED",
        **fields,
    )
    if not conflict:
        return event
    return StoredEvent(
        f"{event.sort_key}#{'0' * 64}", event.status, event_id, event.stored_at, "c", event.detail
    )


def histories(
    *, odd: bool = True, min_size: int = 0, max_size: int = 9
) -> st.SearchStrategy[list[StoredEvent]]:
    """Sets of stored events in any order; no two have the same key."""
    return st.lists(
        events(odd=odd), min_size=min_size, max_size=max_size, unique_by=lambda event: event.sort_key
    )
