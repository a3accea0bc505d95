"""JSON Schema of the event, made from ``FIELDS``."""

import re
from typing import Any, Final

from shipment_events.contract.event import FIELDS, Field
from shipment_events.contract.limits import MAX_EVENT_TYPE_CHARACTERS
from shipment_events.contract.names import EVENT_TYPE_PREFIX

# [0-9] instead of \d, because \d matches more than the ten ASCII digits in some validators.
_TIMESTAMP_PATTERN: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]{1,18})?)?"
    "([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)$"
)


def event_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of the ``detail`` of an event.

    The processor also refuses what JSON Schema cannot express: impossible dates, numbers of more than 38
    digits, text that is not Unicode, and texts that are too long in bytes.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Shipment event",
        "description": "The detail of an EventBridge event on the shipment events bus.",
        "type": "object",
        "required": [name for name, field in FIELDS.items() if field.required],
        "properties": {name: _property(field) for name, field in FIELDS.items()},
        "additionalProperties": True,
    }


def _property(field: Field) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "text": {"type": "string"} | ({"minLength": 1} if field.max_bytes else {}),
        "timestamp": {"type": "string", "pattern": _TIMESTAMP_PATTERN},
        "event_type": {
            "type": "string",
            "pattern": "^" + re.escape(EVENT_TYPE_PREFIX),
            "minLength": len(EVENT_TYPE_PREFIX) + 1,
            "maxLength": MAX_EVENT_TYPE_CHARACTERS,
        },
        "object": {"type": "object"},
    }
    if field.kind == "any":
        return {"description": field.description}
    rules = kinds[field.kind]
    if not field.required:
        rules["type"] = [rules["type"], "null"]
    if field.max_bytes:
        rules["maxLength"] = field.max_bytes
    return {"description": field.description, **rules}
