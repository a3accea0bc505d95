"""The published JSON Schema: generated, up to date, and of one mind with the parser."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shipment_events.cli.schema import schema as command
from shipment_events.contract.event import parse_event
from shipment_events.contract.outcome import InvalidEventError
from shipment_events.contract.schema import event_schema
from tests.contract.json_values import FIELD_NAMES, JSON_VALUES, details

FILE: Final = Path(__file__).resolve().parents[2] / "schemas" / "shipment-event.schema.json"
VALIDATOR: Final = Draft202012Validator(event_schema())


def is_accepted(detail: object) -> bool:
    try:
        parse_event(detail)
    except InvalidEventError:
        return False
    return True


def test_file_is_what_the_command_prints() -> None:
    """After a change of the contract: make docs"""
    printed = CliRunner().invoke(command).output
    assert FILE.read_text() == printed
    assert json.loads(printed) == event_schema()


def test_schema_is_one() -> None:
    Draft202012Validator.check_schema(event_schema())


def test_schema_describes_every_field() -> None:
    properties = event_schema()["properties"]
    assert tuple(properties) == FIELD_NAMES
    assert all(rules["description"].endswith(".") for rules in properties.values())


# Times that differ in form only: that a date exists, a schema cannot say.
_TIMES: Final = [
    "2025-03-01T14:05:00+01:00",
    "2025-03-01T14:05Z",
    "2025-03-01t14:05:00.123z",
    "2025-03-01 14:05:00,5+0100",
    "2025-03-01T14:05:59+01",
    "2025-03-01T14:05:00.123456789012345678Z",
    "2025-03-01T14:05:00.1234567890123456789Z",
    "2025-03-01T14:05:00",
    "2025-03-01T14:05:60Z",
    "2025-03-01T24:00:00Z",
    "2025-03-01T14:60:00Z",
    "2025-03-01",
    "2025-3-1T14:05Z",
    "2025-03-01T14Z",
    "2025-03-01T14:05:00.Z",
    "2025-03-01T14:05.5Z",
    "2025-03-01T14:05:00+24:00",
    "2025-03-01T14:05:00+1:00",
    "2025-03-01_14:05Z",
    " 2025-03-01T14:05Z",
    "2025-03-01T14:05:00 Z",
    "٢٠٢٥-03-01T14:05Z",
    "20250301T140500Z",
    "now",
    "",
]
_TYPES: Final = [
    "shipment.",
    "shipment.x",
    "shipmentx",
    "Shipment.x",
    "order.x",
    " shipment.x",
    "shipment",
    "",
    "shipment." + "x" * 119,
    "shipment." + "x" * 120,
    "shipment." + "𐍈" * 119,
]
_LENGTHS = st.sampled_from(["", "x", "x" * 900, "x" * 901, "x" * 2048, "x" * 2049])
_ANYTHING: st.SearchStrategy[Any] = st.none() | st.just({}) | JSON_VALUES


@st.composite
def doubtful_details(draw: st.DrawFn) -> dict[str, Any]:
    """An event with one field at a border, of another type, or gone."""
    detail = draw(details())
    name = draw(st.sampled_from(FIELD_NAMES))
    if draw(st.integers(0, 9)) == 0:
        detail.pop(name, None)
        return detail
    at_the_border = {
        "event_timestamp": st.sampled_from(_TIMES),
        "event_type": st.sampled_from(_TYPES),
    }.get(name, _LENGTHS)
    return detail | {name: draw(at_the_border | _ANYTHING)}


@settings(max_examples=80)
@given(doubtful_details())
def test_schema_and_parser_are_of_one_mind(detail: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(detail) == is_accepted(detail)


@pytest.mark.parametrize(
    ("field", "value"),
    [("event_timestamp", time) for time in _TIMES] + [("event_type", event_type) for event_type in _TYPES],
)
def test_schema_knows_every_form_of_time_and_type(field: str, value: str) -> None:
    detail = {
        "shipment_id": "S-1",
        "event_timestamp": "2025-03-01T14:05:00+01:00",
        "event_type": "shipment.x",
        field: value,
    }
    assert VALIDATOR.is_valid(detail) == is_accepted(detail)


@pytest.mark.parametrize("value", [None, [], "", 1, True])
def test_neither_takes_what_is_no_object(value: object) -> None:
    assert not VALIDATOR.is_valid(value)
    assert not is_accepted(value)
