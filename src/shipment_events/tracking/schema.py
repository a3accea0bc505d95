"""JSON Schema of the events that announce changes, made from ``DETAIL``."""

from collections.abc import Mapping
from typing import Any, Final

from shipment_events.tracking.changes import DETAIL, Kind
from shipment_events.tracking.delays import CAN_STALL
from shipment_events.tracking.vocabulary import FINISHED, STATUSES

_NULL: Final[Mapping[str, Any]] = {"type": "null"}
_NOT_OF_A_STATUS: Final[Mapping[str, Mapping[str, Any]]] = {"previous_status": _NULL, "first_time": _NULL}

_OF_KIND: Final[Mapping[Kind, Mapping[str, Mapping[str, Any]]]] = {
    Kind.STATUS_CHANGED: {"first_time": {"type": "boolean"}},
    Kind.ESTIMATE_CHANGED: _NOT_OF_A_STATUS,
    Kind.STALLED: {
        **_NOT_OF_A_STATUS,
        "status": {"enum": [status for status in STATUSES if status in CAN_STALL]},
    },
    Kind.OVERDUE: {
        **_NOT_OF_A_STATUS,
        "status": {"enum": [*(status for status in STATUSES if status not in FINISHED), None]},
        "estimated_delivery": {**DETAIL["estimated_delivery"][1], "type": "string"},
    },
}
"""Stricter rules for fields of one kind."""


def change_schema(kind: Kind) -> dict[str, Any]:
    """The schema (draft 2020-12) of the ``detail`` of one kind of change.

    A later version may add fields.
    """
    stricter = _OF_KIND[kind]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.value,
        "description": "The detail of an EventBridge event on the shipment status bus.",
        "type": "object",
        "required": list(DETAIL),
        "properties": {
            name: {"description": description, **stricter.get(name, rules)}
            for name, (description, rules) in DETAIL.items()
        },
        "additionalProperties": True,
    }
