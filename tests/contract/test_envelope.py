"""The envelope: what is read of it, what is left out, and which body is none."""

import json
from datetime import UTC, datetime
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.contract.envelope import find_envelope_id, open_envelope
from shipment_events.contract.outcome import Reason
from tests.contract.json_values import JSON_VALUES, spell
from tests.contract.refusals import assert_fit_for_an_attribute, refusal

EVENT: Final = {
    "shipment_id": "S-1",
    "event_timestamp": "2025-03-01T14:05:00+01:00",
    "event_type": "shipment.departed",
}
ENVELOPE: Final = {
    "version": "0",
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "time": "2025-03-01T13:05:01Z",
    "source": "shipment.service",
    "detail-type": "shipment.departed",
    "detail": EVENT,
}


def test_envelope_is_opened() -> None:
    opened, detail = open_envelope(json.dumps(ENVELOPE))
    assert opened.id == "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
    assert opened.time == "2025-03-01T13:05:01Z"
    assert opened.detail_type == "shipment.departed"
    assert opened.replay_name is None
    assert opened.accepted_at == datetime(2025, 3, 1, 13, 5, 1, tzinfo=UTC)
    assert detail == EVENT


def test_envelope_of_a_replay_says_so() -> None:
    opened, _ = open_envelope(json.dumps(ENVELOPE | {"replay-name": "after-outage"}))
    assert opened.replay_name == "after-outage"


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        ("", Reason.INVALID_JSON, "expected JSON"),
        ("not JSON", Reason.INVALID_JSON, "expected JSON"),
        ("[]", Reason.INVALID_ENVELOPE, "body: expected an EventBridge envelope, got an array"),
        ("{}", Reason.INVALID_ENVELOPE, "detail-type: expected a text, it is missing"),
        (
            '{"detail-type":1,"detail":{}}',
            Reason.INVALID_ENVELOPE,
            "detail-type: expected a text, got a number",
        ),
        (
            '{"detail-type":"shipment.x"}',
            Reason.INVALID_ENVELOPE,
            "detail: expected an object, it is missing",
        ),
        (
            '{"detail-type":"","detail":"{}"}',
            Reason.INVALID_ENVELOPE,
            "detail: expected an object, got a text",
        ),
        ('{"detail-type":"","detail":null}', Reason.INVALID_ENVELOPE, "detail: expected an object, got null"),
        (json.dumps(EVENT), Reason.INVALID_ENVELOPE, "detail-type"),
        (
            json.dumps(ENVELOPE | {"source": "aws.s3"}),
            Reason.SOURCE_MISMATCH,
            "source: expected shipment.service, got 'aws.s3'",
        ),
        (
            json.dumps(ENVELOPE | {"source": ["shipment.service"]}),
            Reason.SOURCE_MISMATCH,
            "source: expected shipment.service, got an array",
        ),
        (
            '{"detail-type":"shipment.x","detail":{}}',
            Reason.SOURCE_MISMATCH,
            "source: expected shipment.service, it is missing",
        ),
    ],
)
def test_body_that_is_no_envelope_is_refused(body: str, reason: Reason, says: str) -> None:
    error = refusal(lambda: open_envelope(body))
    assert (error.reason, says in error.detail) == (reason, True), error


@pytest.mark.parametrize("strange", [None, 1, "ü", "x" * 1601, ["id"], {}])
def test_label_of_an_envelope_that_the_bus_would_not_write_is_left_out(strange: object) -> None:
    opened, _ = open_envelope(json.dumps(ENVELOPE | {"id": strange, "time": strange, "replay-name": strange}))
    assert (opened.id, opened.time, opened.replay_name) == ("", "", None)
    assert opened.accepted_at is None
    assert find_envelope_id(json.dumps(ENVELOPE | {"id": strange})) == ""


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"id":"abc","id":"def"}', "def"),
        ('{"id":"abc","detail":NaN}', "abc"),
        ('{"id":"abc"', ""),
        ('["id"]', ""),
        ("[" * 100_000, ""),
        ('{"id":"abc","n":' + "1" * 5000 + "}", ""),
    ],
)
def test_id_of_a_refused_body_is_found_where_there_is_one(body: str, found: str) -> None:
    assert find_envelope_id(body) == found


@given(st.text(max_size=30) | JSON_VALUES.map(lambda value: spell(value, Random(0))))
def test_any_body_is_an_envelope_or_refused(body: str) -> None:
    error = refusal(lambda: open_envelope(body))
    assert_fit_for_an_attribute(error)
    assert find_envelope_id(body).isascii()
