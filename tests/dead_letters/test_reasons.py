"""The reasons: one enumeration, with prose for each, and recognised from the message."""

from typing import Any

import pytest

from shipment_events.contract.outcome import Reason
from shipment_events.dead_letters.letters import dead_letter
from shipment_events.dead_letters.reasons import DeadLetterReason


def test_every_code_of_the_quarantine_is_a_reason() -> None:
    assert {reason.value for reason in Reason} < {reason.value for reason in DeadLetterReason}


@pytest.mark.parametrize("reason", list(DeadLetterReason))
def test_every_reason_says_what_it_means_and_what_to_do(reason: DeadLetterReason) -> None:
    for sentence in (reason.meaning, reason.cause, reason.remedy):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert DeadLetterReason.named(reason.value) is reason


def test_foreign_text_is_no_reason() -> None:
    assert DeadLetterReason.named("x; rm -rf ~") is None


@pytest.mark.parametrize(
    ("attributes", "system", "reason"),
    [
        ({"reason": "too_deep", "detail": "d"}, {}, DeadLetterReason.TOO_DEEP),
        ({"ERROR_CODE": "NO_PERMISSIONS"}, {}, DeadLetterReason.DELIVERY_FAILED),
        ({}, {"DeadLetterQueueSourceArn": "arn:queue"}, DeadLetterReason.RETRIES_EXHAUSTED),
        ({}, {}, DeadLetterReason.UNMATCHED),
    ],
)
def test_reason_is_recognised_from_the_message(
    attributes: dict[str, str], system: dict[str, Any], reason: DeadLetterReason
) -> None:
    message: Any = {
        "MessageId": "m",
        "Body": "{}",
        "Attributes": system,
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    }
    found = dead_letter(message)
    assert found.reason == reason.value
    assert type(found.as_json()["reason"]) is str
