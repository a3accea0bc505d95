"""The drill's judge: each kind of wrong place is found and named."""

import json
from datetime import UTC, datetime
from typing import Any

from shipment_events.dead_letters.letters import DeadLetterMessage
from shipment_events.publishing.journal import JournalRecord
from workbench.drill.verdict import SentEvent, judge, unique_letters


def sent(name: str, expected: str | None = None, **detail: Any) -> SentEvent:
    text = json.dumps({"shipment_id": name, **detail})
    record = JournalRecord(name, "2026-01-01T00:00:00+00:00", "shipment.service", "shipment.x", text)
    return SentEvent(record, expected)


def letter(envelope_id: str, reason: str, shipment_id: str = "") -> DeadLetterMessage:
    body = json.dumps({"id": envelope_id, "detail": {"shipment_id": shipment_id or envelope_id}})
    return DeadLetterMessage(
        message_id=f"m-{envelope_id}", envelope_id=envelope_id, reason=reason, detail="",
        shipment_id=shipment_id, event_id="", sent_at=datetime.now(UTC), receives=1, body=body,
    )  # fmt: skip


def test_everything_in_its_place_is_no_finding() -> None:
    found = judge([sent("a"), sent("b", "invalid_field")], [letter("b", "invalid_field")])
    assert (found.misjudged, found.phantoms) == ([], [])


def test_a_good_event_in_the_dead_letter_queue_is_named() -> None:
    found = judge([sent("a")], [letter("a", "retries_exhausted")])
    assert found.misjudged == ["a: retries_exhausted, expected to be stored"]


def test_a_wrong_reason_is_named() -> None:
    found = judge([sent("a", "too_deep")], [letter("a", "invalid_field")])
    assert found.misjudged == ["a: invalid_field, expected too_deep"]


def test_a_broken_event_that_is_not_quarantined_is_named() -> None:
    found = judge([sent("a", "too_deep")], [])
    assert found.misjudged == ["a: not quarantined, expected too_deep"]


def test_a_dead_letter_of_nothing_that_was_sent_is_a_phantom() -> None:
    found = judge([sent("a")], [letter("x", "invalid_field")])
    assert found.phantoms == ["x: invalid_field, and nothing like it was sent"]


def test_a_resend_whose_first_answer_was_lost_is_no_phantom() -> None:
    letters = [letter("a", "too_deep"), letter("unknown", "too_deep", "a")]
    found = judge([sent("a", "too_deep")], letters)
    assert (found.misjudged, found.phantoms) == ([], [])


def test_exact_repeats_alone_are_one_letter() -> None:
    twice, other = letter("a", "too_deep"), letter("a", "invalid_field")
    unique, repeats = unique_letters([twice, twice, other])
    assert (unique, repeats) == ([twice, other], 1)
