"""Every reason why an event is a dead letter, with its meaning, cause and remedy."""

from enum import Enum, StrEnum, auto
from typing import Final

from shipment_events.contract.outcome import Reason

_CARELESS_PRODUCER: Final = "The producer breaks the contract, or a deployment made the contract stricter."
_PAST_THE_BUS: Final = "Somebody sent a message to the queue instead of the bus."
_CORRECT: Final = (
    "Ask the producer for the right value. Correct the field and redrive the event, or discard it."
)
_PUBLISH_ANEW: Final = "Let the producer publish the event again, and discard this one."
_BY_PROCESSOR: Final = "message attribute `reason`"


class Repair(Enum):
    """What stores the event of a dead letter."""

    PUBLISH_AGAIN = auto()
    """The producer publishes it again. The body cannot be corrected."""
    SET_SOURCE = auto()
    """A redrive with the pipeline's source."""
    SET_FIELD = auto()
    """A redrive with another value of a field."""
    REDRIVE = auto()
    """A redrive of the event as it is."""


class DeadLetterReason(StrEnum):
    """A reason. Its value is the stable code that commands and dashboards show.

    The codes of quarantined events come from :class:`Reason`. The processor does not import this module.

    Attributes:
        meaning: what happened, as a sentence.
        cause: the likely cause, as a sentence.
        remedy: what to do, as a sentence.
        repair: the command that the remedy needs.
        told_by: what of the message gives the reason; :func:`~.letters.dead_letter` reads it.
    """

    meaning: str
    cause: str
    remedy: str
    repair: Repair
    told_by: str

    def __new__(  # noqa: PLR0917 - a member is a row of a table
        cls, code: str, meaning: str, cause: str, remedy: str, repair: Repair, told_by: str = _BY_PROCESSOR
    ) -> "DeadLetterReason":
        """Keep the rest as attributes of the code."""
        member = str.__new__(cls, code)
        member._value_ = str(code)
        member.meaning, member.cause, member.remedy = meaning, cause, remedy
        member.repair, member.told_by = repair, told_by
        return member

    INVALID_JSON = (
        Reason.INVALID_JSON,
        "The body of the message is not JSON, so no event can be read from it.",
        _PAST_THE_BUS,
        _PUBLISH_ANEW,
        Repair.PUBLISH_AGAIN,
    )
    DUPLICATE_KEY = (
        Reason.DUPLICATE_KEY,
        "An object of the event has the same key twice. A reader would lose one of the two values.",
        _CARELESS_PRODUCER,
        _PUBLISH_ANEW,
        Repair.PUBLISH_AGAIN,
    )
    INVALID_ENVELOPE = (
        Reason.INVALID_ENVELOPE,
        "The message is not an EventBridge envelope with an event in it.",
        _PAST_THE_BUS,
        _PUBLISH_ANEW,
        Repair.PUBLISH_AGAIN,
    )
    MISSING_FIELD = (
        Reason.MISSING_FIELD,
        "A required field of the event is missing.",
        _CARELESS_PRODUCER,
        _CORRECT,
        Repair.SET_FIELD,
    )
    INVALID_FIELD = (
        Reason.INVALID_FIELD,
        "A field of the event has a value that the contract does not allow.",
        _CARELESS_PRODUCER,
        _CORRECT,
        Repair.SET_FIELD,
    )
    INVALID_TIMESTAMP = (
        Reason.INVALID_TIMESTAMP,
        "The time of the event is not ISO 8601 with an offset or Z.",
        _CARELESS_PRODUCER,
        _CORRECT,
        Repair.SET_FIELD,
    )
    SOURCE_MISMATCH = (
        Reason.SOURCE_MISMATCH,
        "The source of the event is not the pipeline's source.",
        "An unmatched event was redriven unchanged, or somebody sent it to the queue instead of the bus.",
        "If it is a shipment event, correct the source and redrive it. Otherwise discard it.",
        Repair.SET_SOURCE,
    )
    EVENT_TYPE_MISMATCH = (
        Reason.EVENT_TYPE_MISMATCH,
        "The event's type differs from the detail-type of its envelope.",
        _CARELESS_PRODUCER,
        _CORRECT,
        Repair.SET_FIELD,
    )
    NUMBER_OUT_OF_RANGE = (
        Reason.NUMBER_OUT_OF_RANGE,
        "A number of the event has more digits than DynamoDB allows, or is too large or too small.",
        _CARELESS_PRODUCER,
        _CORRECT,
        Repair.SET_FIELD,
    )
    TOO_DEEP = (
        Reason.TOO_DEEP,
        "The event has more levels of nesting than DynamoDB allows.",
        _CARELESS_PRODUCER,
        _PUBLISH_ANEW,
        Repair.PUBLISH_AGAIN,
    )
    TOO_LARGE = (
        Reason.TOO_LARGE,
        "The event is larger than a DynamoDB item can be.",
        _CARELESS_PRODUCER,
        _PUBLISH_ANEW,
        Repair.PUBLISH_AGAIN,
    )
    INVALID_TEXT = (
        Reason.INVALID_TEXT,
        "A text of the event has half of a surrogate pair, which is not Unicode.",
        _CARELESS_PRODUCER,
        _CORRECT,
        Repair.SET_FIELD,
    )
    UNSTORABLE = (
        Reason.UNSTORABLE,
        "DynamoDB refused the item of the event.",
        "A defect of this pipeline: the contract allows something that DynamoDB does not.",
        "Report the detail and keep the dead letter. Redrive it after the correction.",
        Repair.REDRIVE,
    )
    DELIVERY_FAILED = (
        "delivery_failed",
        "EventBridge could not put the event into the queue and gave up.",
        "The queue was deleted, or its policy or its key was changed.",
        "Restore the queue, the policy or the key, then redrive.",
        Repair.REDRIVE,
        "EventBridge's message attribute `ERROR_CODE`",
    )
    RETRIES_EXHAUSTED = (
        "retries_exhausted",
        "The processor received the event as often as the queue allows and could not store it. The event"
        " itself may be valid.",
        "An outage or throttling of the table, or a failing deployment of the processor.",
        "Redrive after the cause is gone.",
        Repair.REDRIVE,
        "SQS's attribute `DeadLetterQueueSourceArn`",
    )
    UNMATCHED = (
        "unmatched",
        "The bus accepted the event, but no rule matches its source or detail-type.",
        "The producer is new, or misspells source or detail-type.",
        "If it is a shipment event, correct source or detail-type and redrive it. Otherwise discard it.",
        Repair.SET_SOURCE,
        "none of these",
    )

    @classmethod
    def named(cls, code: str) -> "DeadLetterReason | None":
        """The reason with this code; None for an unknown code."""
        return next((reason for reason in cls if reason.value == code), None)
