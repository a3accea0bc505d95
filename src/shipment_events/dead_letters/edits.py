"""Changes of dead letters before a redrive, and whether the processor would accept the result."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from shipment_events.contract.exact_json import dumps, loads
from shipment_events.contract.names import SOURCE
from shipment_events.contract.outcome import InvalidEventError, Reason
from shipment_events.dead_letters.letters import DeadLetterMessage
from shipment_events.table.item import prepare_write

ENVELOPE_FIELDS: Final = ("source", "detail-type")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of an event before its redrive.

    Attributes:
        field: name of the event's field. A dot goes into an object: ``location.country``. ``source`` and
            ``detail-type`` are fields of the envelope.
        value: JSON value, numbers as ``Decimal``.
    """

    field: str
    value: Any

    @classmethod
    def of_text(cls, field: str, text: str) -> Self:
        """An edit from what a person wrote. ``text`` is JSON; anything else is the value itself.

        Raises:
            ValueError: the field, or a part of it, has no name.
        """
        if not all(field.split(".")):
            raise ValueError(f"{field!r}: expected the name of a field")
        try:
            return cls(field, loads(text))
        except ValueError:
            return cls(field, text)

    @property
    def path(self) -> tuple[str, ...]:
        """Names that lead from the envelope to the field."""
        return (self.field,) if self.field in ENVELOPE_FIELDS else ("detail", *self.field.split("."))

    def apply(self, envelope: dict[str, Any]) -> None:
        """Change the envelope.

        Raises:
            ValueError: the field cannot be reached.
        """
        path = self.path
        parent: Any = envelope
        for name in path[:-1]:
            parent = parent.setdefault(name, {}) if isinstance(parent, dict) else None
        if not isinstance(parent, dict):
            raise ValueError(f"{self.field}: its parent is not an object")
        parent[path[-1]] = self.value


def edited(body: str, edits: Sequence[Edit]) -> str:
    """The body with the edits. Without edits, the body is returned unchanged.

    Raises:
        ValueError: the body is not a JSON object, or a field cannot be reached.
    """
    if not edits:
        return body
    envelope = loads(body)
    if not isinstance(envelope, dict):
        raise ValueError("the body is not a JSON object")
    for edit in edits:
        edit.apply(envelope)
    return dumps(envelope)


def is_editable(body: str) -> bool:
    """Whether an edit can change the event. The body, and its ``detail`` if present, must be JSON objects."""
    try:
        edited(body, [Edit("event_id", "")])
    except ValueError:
        return False
    return True


def problem_of(body: str) -> InvalidEventError | None:
    """Why the processor would quarantine the event. None if it would not."""
    try:
        prepare_write(body)
    except InvalidEventError as error:
        return error
    return None


def field_to_correct(problem: InvalidEventError | None) -> str:
    """The field that a correction begins with, as an edit names it. Empty if an edit cannot reach it."""
    if problem is None or not problem.path or problem.path[0] in ("body", "detail", "event"):
        return ""
    if problem.path[0] in ENVELOPE_FIELDS and problem.reason is not Reason.SOURCE_MISMATCH:
        # The event has a field of this name, too, and an edit would change the envelope's.
        return ""
    names = [part for part in problem.path if isinstance(part, str) and _can_be_typed(part)]
    return ".".join(names) if len(names) == len(problem.path) else ""


def _can_be_typed(name: str) -> bool:
    """Whether a person can write the producer's name into a form, as a part of a field with dots."""
    return name.isprintable() and name == name.strip() != "" and "." not in name


def still_broken(body: str) -> str:
    """Why the processor would quarantine the event again, for people. Empty if it would not."""
    problem = problem_of(body)
    if problem is None:
        return ""
    is_foreign = problem.reason is Reason.SOURCE_MISMATCH
    return f"{problem}; --set source={SOURCE} corrects it" if is_foreign else str(problem)


def broken_after(letters: Iterable[DeadLetterMessage], edits: Sequence[Edit]) -> Counter[str]:
    """Count the events that would be quarantined again with these edits, by cause."""
    whys: Counter[str] = Counter()
    for letter in letters:
        try:
            whys[still_broken(edited(letter.body, edits))] += 1
        except ValueError as error:
            whys[str(error)] += 1
    del whys[""]
    return whys
