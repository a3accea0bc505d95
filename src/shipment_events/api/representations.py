"""Shipments and events as the API shows them: JSON with every digit of each number."""

from collections.abc import Mapping
from typing import Any, Final

from shipment_events.contract.exact_json import dumps
from shipment_events.contract.names import PARTITION_KEY
from shipment_events.table.item import CONFLICT, StoredEvent
from shipment_events.tracking.shipment import LATEST_EVENT, Shipment
from shipment_events.tracking.vocabulary import STATUSES

_TEXT: Final[Mapping[str, Any]] = {"type": "string"}
_TEXT_OR_NULL: Final[Mapping[str, Any]] = {"type": ["string", "null"]}
_MOMENT: Final[Mapping[str, Any]] = {"type": "string", "format": "date-time"}
_MOMENT_OR_NULL: Final[Mapping[str, Any]] = {"type": ["string", "null"], "format": "date-time"}

SHIPMENT: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    PARTITION_KEY: ("The shipment.", _TEXT),
    "status": ("The current status; null if no event gave one.", {"enum": [*STATUSES, None]}),
    "status_at": ("When the shipment got this status, in UTC.", _MOMENT_OR_NULL),
    "latest_at": ("When the latest event happened, in UTC.", _MOMENT_OR_NULL),
    "latest_event": (
        "The latest event. A value that is unknown or over 2 KB is null.",
        {
            "type": ["object", "null"],
            "required": list(LATEST_EVENT),
            "properties": {
                name: {"type": ["object" if name == "location" else "string", "null"]}
                for name in LATEST_EVENT
            },
        },
    ),
    "first_at": ("When the first event happened, in UTC.", _MOMENT_OR_NULL),
    "carrier": ("Who moves the shipment; null if it is unknown or over 2 KB.", _TEXT_OR_NULL),
    "tracking_number": ("The carrier's number; null if it is unknown or over 2 KB.", _TEXT_OR_NULL),
    "estimated_delivery": ("When delivery is expected, in UTC.", _MOMENT_OR_NULL),
    "delivered_at": ("When it was delivered; null while it is not delivered.", _MOMENT_OR_NULL),
}
"""Description and JSON Schema of each member of a shipment. All members are always present."""

EVENT: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "event_id": ("The producer's id, or an id derived from the content.", _TEXT),
    "at": ("When it happened, in UTC.", _MOMENT),
    "stored_at": ("When it was stored, in UTC.", _MOMENT),
    "conflict": (
        "Whether another event with the same identity and other content was stored before it. The state of"
        " the shipment does not count it.",
        {"type": "boolean"},
    ),
    "detail": ("The event as its producer sent it.", {"type": "object"}),
}
"""Description and JSON Schema of each member of an event."""


def shipment_json(shipment: Shipment) -> str:
    """A shipment as JSON, with the members of ``SHIPMENT``."""
    members = shipment.as_json
    latest = members["latest_event"]
    # Members are dumped on their own, because a location may already have as many levels as dumps allows.
    texts = {name: dumps(value) for name, value in members.items() if name != "latest_event"}
    texts["latest_event"] = (
        _object({name: dumps(value) for name, value in latest.items()}) if latest else "null"
    )
    return _object({name: texts[name] for name in members})


def event_json(event: StoredEvent) -> str:
    """A stored event as JSON."""
    members = {
        "event_id": event.event_id,
        "at": event.sort_key.partition("#")[0],
        "stored_at": event.stored_at,
        "conflict": event.status == CONFLICT,
    }
    return f'{dumps(members)[:-1]},"detail":{dumps(event.detail)}}}'


def page_json(name: str, entries: list[str], next_cursor: str | None) -> str:
    """A page of a collection as JSON.

    Args:
        name: of the collection.
        entries: JSON of each entry.
    """
    return f'{{"{name}":[{",".join(entries)}],"next_cursor":{dumps(next_cursor)}}}'


def _object(members: Mapping[str, str]) -> str:
    """An object as JSON, of the JSON of its members."""
    return f"{{{','.join(f'{dumps(name)}:{text}' for name, text in members.items())}}}"
