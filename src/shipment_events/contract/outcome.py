"""The outcomes of an event, and the reasons why an event can never be stored."""

import re
from collections.abc import Container
from enum import StrEnum
from typing import Final

from shipment_events.errors import ShipmentEventsError

# Logs show this instead of a name that the producer chose.
_FOREIGN_NAME: Final = "*"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_*-]{1,80}")
_MAX_PATH_CHARACTERS: Final = 160


class Outcome(StrEnum):
    """Each event of a batch gets exactly one outcome. Each outcome has its own metric."""

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
    """Why an event can never be stored. The codes are stable."""

    INVALID_JSON = "invalid_json"
    DUPLICATE_KEY = "duplicate_key"
    INVALID_ENVELOPE = "invalid_envelope"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    INVALID_TIMESTAMP = "invalid_timestamp"
    SOURCE_MISMATCH = "source_mismatch"
    EVENT_TYPE_MISMATCH = "event_type_mismatch"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    INVALID_TEXT = "invalid_text"
    UNSTORABLE = "unstorable"


class InvalidEventError(ShipmentEventsError, ValueError):
    """An event that can never be stored as it is.

    Args:
        expected: what was expected. Logs show it, so it holds no text of the event: only types, sizes and
            positions.
        path: names and array indexes that lead to the field; empty for the whole event.
        found: what was found instead. It may quote the event by :func:`shown`.

    Attributes:
        reason: stable code for machines and metrics.
        path: as given.
        detail: field, what was expected and what was found, for people who may see the event.
    """

    def __init__(
        self, reason: Reason, expected: str, *, path: tuple[str | int, ...] = (), found: str = ""
    ) -> None:
        self.reason = reason
        self._expected = expected
        self.path = path
        where = f"{dotted(path)}: " if path else ""
        self.detail = f"{where}{expected}{found}"
        super().__init__(f"{reason.value}: {self.detail}")

    def logged(self, names: Container[str]) -> str:
        """The field and what was expected, without any text of the event.

        Args:
            names: names of the contract. Any other name is the producer's own text and shown as ``*``.
        """
        if not self.path:
            return self._expected
        known = tuple(part if isinstance(part, int) or part in names else _FOREIGN_NAME for part in self.path)
        return f"{dotted(known)}: {self._expected}"


def dotted(path: tuple[str | int, ...]) -> str:
    """The path of a value for people: ``location.lines[2]``. A name that is not a plain word is quoted."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{_name(part)}" for part in path]
    text = "".join(parts).removeprefix(".")
    return text if len(text) <= _MAX_PATH_CHARACTERS else f"{text[:_MAX_PATH_CHARACTERS]}..."


def _name(part: str) -> str:
    return part if _PLAIN_NAME.fullmatch(part) else shown(part)


def shown(value: str, *, quote: bool = True, limit: int = 80) -> str:
    """Text from outside, made safe and short enough for a report or a message attribute."""
    short = value if len(value) <= limit else f"{value[:limit]}..."
    return ascii(short) if quote else ascii(short)[1:-1]
