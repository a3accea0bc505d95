"""Convert a tracked shipment into an item of the table of shipments, and back. It does not call a service.

An item has the attributes of the contract and the map ``memory``, which only the fold reads. Each event
rewrites the item, and each kilobyte costs a write unit. So ``memory`` omits what follows from the other
attributes: a value from the latest event has no place in it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from shipment_events.contract.names import LATEST_ATTRIBUTE, OPEN_ATTRIBUTE, PARTITION_KEY, TTL_ATTRIBUTE
from shipment_events.errors import ShipmentEventsError
from shipment_events.tracking.news import (
    ESTIMATE,
    VALUES,
    status_at_place,
)
from shipment_events.tracking.state import First, State, Value
from shipment_events.tracking.step import Announced, Tracked
from shipment_events.tracking.vocabulary import RANKS, STATUSES

VERSION: Final = "version"
MEMORY: Final = "memory"

_MARK: Final = 12


class UnreadableStateError(ShipmentEventsError, ValueError):
    """An item of the table of shipments does not contain a state."""


def tracked_item(tracked: Tracked, retention: timedelta) -> dict[str, Any]:
    """The item of a shipment, with the version after the one that was read.

    A value that is unknown or too long has no attribute.

    Args:
        retention: how long the table of events keeps an event.

    Returns:
        The value of each attribute: strings, ``Decimal`` and maps of them.
    """
    state = tracked.state
    stored_at = datetime.fromisoformat(state.stored_at)
    texts = {
        "status": state.status,
        "status_at": state.status_at,
        LATEST_ATTRIBUTE: state.latest_at,
        "first_at": state.first_at,
        "delivered_at": state.delivered_at,
        OPEN_ATTRIBUTE: None if state.is_finished or not state.latest else OPEN_ATTRIBUTE,
        **{name: state.copy_of(name) for name in VALUES},
    }
    return {
        PARTITION_KEY: state.shipment_id,
        **{name: text for name, text in texts.items() if text},
        **({"latest_event": dict(state.summary)} if state.summary else {}),
        TTL_ATTRIBUTE: Decimal(int((stored_at + retention).timestamp())),
        VERSION: Decimal(tracked.version + 1),
        MEMORY: _memory(tracked),
    }


def tracked_of(item: Mapping[str, Any]) -> Tracked:
    """The shipment of an item.

    Raises:
        UnreadableStateError: the tracker did not write this item.
    """
    try:
        return _tracked(item, item[MEMORY])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UnreadableStateError(f"expected the state of a shipment, got {error!r}") from None


def _memory(tracked: Tracked) -> dict[str, Any]:
    state = tracked.state
    memory: dict[str, Any] = {"stored_at": state.stored_at}
    places = {
        "first": state.first,
        "status": state.status_from,
        **{name: state.place_of(name) for name in VALUES},
    }
    if state.latest:
        memory["latest_rank"] = Decimal(RANKS[status_at_place(state.latest)])
    memory |= {name: place for name, place in places.items() if place and not _is_told(state, name, place)}
    if state.seen:
        # Sorted, so that equal states have equal items, whatever the order of their records was.
        memory["seen"] = " ".join(sorted(map(_spelled, state.seen, state.seen.values())))
    if state.retracted is None:
        memory["retracted"] = None
    elif state.retracted:
        memory["retracted"] = "".join(sorted(state.retracted))
    current = {"status": state.status, ESTIMATE: state.estimated_delivery}
    announced = {
        name: list(told) for name, told in tracked.announced.items() if told != Announced(current[name])
    }
    return (
        memory
        | ({"announced": announced} if announced else {})
        | ({"marks": dict(tracked.marks)} if tracked.marks else {})
    )


def _is_told(state: State, name: str, place: str) -> bool:
    """Whether the place follows from other attributes: the latest event gave the value, and it is stored."""
    return place == state.latest and (name not in VALUES or state.copy_of(name) is not None)


def _tracked(item: Mapping[str, Any], memory: Mapping[str, Any]) -> Tracked:
    summary = item.get("latest_event", {})
    latest = ""
    if LATEST_ATTRIBUTE in item:
        latest = f"{item['latest_at']}{memory['latest_rank']}#{summary['event_id']}"
    values = {}
    for name in VALUES:
        place = memory.get(name) or (latest if name in item else "")
        if place:
            values[name] = Value(place, item.get(name))
    marks = memory.get("retracted", "")
    state = State(
        shipment_id=item[PARTITION_KEY],
        latest=latest,
        summary=summary,
        first=memory.get("first", latest),
        status_from=memory.get("status", latest if "status" in item else ""),
        values=values,
        seen=dict(map(_first_of, memory.get("seen", "").split())),
        retracted=None
        if marks is None
        else frozenset(marks[at : at + _MARK] for at in range(0, len(marks), _MARK)),
        stored_at=memory["stored_at"],
    )
    current = {"status": state.status, ESTIMATE: state.estimated_delivery}
    announced = memory.get("announced", {})
    return Tracked(
        state=state,
        announced={
            name: Announced(*announced[name]) if name in announced else Announced(value)
            for name, value in current.items()
        },
        marks=memory.get("marks", {}),
        version=int(item[VERSION]),
    )


def _spelled(status: str, first: First) -> str:
    """Rank, moment and mark. The moment is digits without trailing zeros."""
    digits = "".join(filter(str.isdigit, first.moment)).rstrip("0")
    return f"{RANKS[status]}{digits}:{first.mark}"


def _first_of(spelled: str) -> tuple[str, First]:
    digits, _, mark = spelled.partition(":")
    full = f"{digits:0<21}"
    date = f"{full[1:5]}-{full[5:7]}-{full[7:9]}"
    moment = f"{date}T{full[9:11]}:{full[11:13]}:{full[13:15]}.{full[15:]}Z"
    return STATUSES[int(digits[0]) - 1], First(moment, mark)
