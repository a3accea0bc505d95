"""Every reason for which an event is a dead letter: what it means, what causes it and what to do about it."""

from enum import StrEnum
from typing import Final

from shipment_events.contract.outcome import Reason

_CARELESS_PRODUCER: Final = (
    "The producer sends what the contract forbids, or a deployment made the contract stricter."
)
_PAST_THE_BUS: Final = "Somebody wrote to the queue itself instead of the bus."
_CORRECT: Final = "Ask the producer what is right, correct the field and redrive it, or discard it."
_PUBLISH_ANEW: Final = "Let the producer publish the event anew, and discard this one."


class DeadLetterReason(StrEnum):
    """A reason; its value is the stable code that commands and dashboards show.

    The codes of the quarantine are those of :class:`Reason`, which the processor uses without this module.

    Attributes:
        meaning: what happened, a sentence.
        cause: what it likely comes from, a sentence.
        remedy: what to do about it, a sentence.
    """

    meaning: str
    cause: str
    remedy: str

    def __new__(cls, code: str, meaning: str, cause: str, remedy: str) -> "DeadLetterReason":
        """Keep the prose beside the code."""
        member = str.__new__(cls, code)
        member._value_ = str(code)
        member.meaning, member.cause, member.remedy = meaning, cause, remedy
        return member

    INVALID_JSON = (
        Reason.INVALID_JSON,
        "The body of the message is not JSON, so no event can be read from it.",
        _PAST_THE_BUS,
        _PUBLISH_ANEW,
    )
    DUPLICATE_KEY = (
        Reason.DUPLICATE_KEY,
        "An object of the event has the same key twice. A reader would lose one of the two values.",
        _CARELESS_PRODUCER,
        _PUBLISH_ANEW,
    )
    INVALID_ENVELOPE = (
        Reason.INVALID_ENVELOPE,
        "The message is not an EventBridge envelope with an event in it.",
        _PAST_THE_BUS,
        _PUBLISH_ANEW,
    )
    MISSING_FIELD = (
        Reason.MISSING_FIELD,
        "The event lacks a required field.",
        _CARELESS_PRODUCER,
        _CORRECT,
    )
    INVALID_FIELD = (
        Reason.INVALID_FIELD,
        "A field of the event has a value that the contract does not allow.",
        _CARELESS_PRODUCER,
        _CORRECT,
    )
    INVALID_TIMESTAMP = (
        Reason.INVALID_TIMESTAMP,
        "The time of the event is not ISO 8601 with an offset or Z.",
        _CARELESS_PRODUCER,
        _CORRECT,
    )
    SOURCE_MISMATCH = (
        Reason.SOURCE_MISMATCH,
        "The event is from another source than the pipeline's.",
        "An unmatched event was redriven as it was, or somebody wrote to the queue itself.",
        "Correct the source and redrive it if it is a shipment event; discard it otherwise.",
    )
    EVENT_TYPE_MISMATCH = (
        Reason.EVENT_TYPE_MISMATCH,
        "The event's type differs from the detail-type of its envelope.",
        _CARELESS_PRODUCER,
        _CORRECT,
    )
    NUMBER_OUT_OF_RANGE = (
        Reason.NUMBER_OUT_OF_RANGE,
        "A number of the event has more digits, or is larger or smaller, than DynamoDB keeps.",
        _CARELESS_PRODUCER,
        _CORRECT,
    )
    TOO_DEEP = (
        Reason.TOO_DEEP,
        "The event nests deeper than DynamoDB keeps.",
        _CARELESS_PRODUCER,
        _PUBLISH_ANEW,
    )
    TOO_LARGE = (
        Reason.TOO_LARGE,
        "The event is larger than a DynamoDB item can be.",
        _CARELESS_PRODUCER,
        _PUBLISH_ANEW,
    )
    INVALID_TEXT = (
        Reason.INVALID_TEXT,
        "A text of the event has half of a surrogate pair, which is not Unicode.",
        _CARELESS_PRODUCER,
        _CORRECT,
    )
    UNSTORABLE = (
        Reason.UNSTORABLE,
        "DynamoDB refused the item of the event.",
        "The contract allows something that DynamoDB does not: a defect of this pipeline.",
        "Report the detail, keep the dead letter, and redrive it after the correction.",
    )
    DELIVERY_FAILED = (
        "delivery_failed",
        "EventBridge could not put the event into the queue and gave up.",
        "The queue's policy or its key was changed, or the queue was gone.",
        "Restore queue, policy or key, then redrive.",
    )
    RETRIES_EXHAUSTED = (
        "retries_exhausted",
        "The processor received the event as often as the queue allows and could not store it. The event"
        " itself may be good.",
        "An outage or throttling of the table, or a deployment of the processor that fails.",
        "Redrive once the cause is gone.",
    )
    UNMATCHED = (
        "unmatched",
        "The bus accepted the event, but no rule takes its source or detail-type.",
        "A producer that is new, or misspells source or detail-type.",
        "Correct source or detail-type and redrive it if it is a shipment event; discard it otherwise.",
    )

    @classmethod
    def named(cls, code: str) -> "DeadLetterReason | None":
        """The reason with this code; None for a foreign text, which a message may hold."""
        return next((reason for reason in cls if reason.value == code), None)
