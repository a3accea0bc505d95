"""What a subscriber may rely on: each announced change follows the published schema of its kind."""

import json
from collections.abc import Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator

from shipment_events.contract.exact_json import dumps
from shipment_events.tracking.changes import Change, Kind
from tests.repository.documents import ROOT

FIELDS: Final = {
    "change_id", "shipment_id", "tracking_number", "carrier", "status", "previous_status", "first_time", "at",
    "event_id", "location", "estimated_delivery",
}  # fmt: skip
"""Those of the contract, all of them always there."""

_VALIDATORS: Final = {
    kind: Draft202012Validator(json.loads((ROOT / "schemas" / f"{kind}.schema.json").read_text()))
    for kind in Kind
}


def check(kind: str, detail: Mapping[str, Any]) -> None:
    """Check a detail as it comes from the bus."""
    assert set(detail) == FIELDS
    _VALIDATORS[Kind(kind)].validate(detail)


def check_change(change: Change) -> Change:
    """Check a change as it will be on the bus."""
    check(change.kind, json.loads(dumps(change.detail)))
    return change
