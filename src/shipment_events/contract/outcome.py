"""How the processor can settle an event it received, and why an event can never be stored."""

from enum import StrEnum


class Outcome(StrEnum):
    """Exactly one of these holds for each event of a batch; each is counted by a metric of its own."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"
    RETRIED = "retried"

    @property
    def metric(self) -> str:
        """Name of the CloudWatch metric that counts this outcome."""
        return self.value.capitalize()


class Reason(StrEnum):
    """Why an event can never be stored: the stable codes of quarantine."""

    INVALID_JSON = "invalid_json"
    DUPLICATE_KEY = "duplicate_key"
    INVALID_ENVELOPE = "invalid_envelope"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    INVALID_TIMESTAMP = "invalid_timestamp"
    EVENT_TYPE_MISMATCH = "event_type_mismatch"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    INVALID_TEXT = "invalid_text"
    UNSTORABLE = "unstorable"


class InvalidEventError(ValueError):
    """An event that can never be stored as it is.

    Attributes:
        reason: stable code, for machines and metrics.
        detail: which field, what was expected and what was found, for people.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
