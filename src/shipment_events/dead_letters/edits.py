"""Changes of dead letters on their way back, and whether the processor would take the result."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shipment_events.contract.exact_json import dumps, loads
from shipment_events.contract.names import SOURCE
from shipment_events.contract.outcome import InvalidEventError, Reason
from shipment_events.dead_letters.letters import DeadLetterMessage
from shipment_events.table.item import prepare_write

_ENVELOPE_FIELDS: Final = ("source", "detail-type")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of an event on its way back.

    Attributes:
        field: of the event; dots lead into objects. ``source`` and ``detail-type`` are the envelope's.
        value: JSON value, numbers as ``Decimal``.
    """

    field: str
    value: Any

    def apply(self, envelope: dict[str, Any]) -> None:
        """Change the envelope.

        Raises:
            ValueError: the field cannot be reached.
        """
        path = [self.field] if self.field in _ENVELOPE_FIELDS else ["detail", *self.field.split(".")]
        parent: Any = envelope
        for name in path[:-1]:
            parent = parent.setdefault(name, {}) if isinstance(parent, dict) else None
        if not isinstance(parent, dict):
            raise ValueError(f"{self.field}: what it lies in is no object")
        parent[path[-1]] = self.value


def edited(body: str, edits: Sequence[Edit]) -> str:
    """The body with the edits, or as it is where there are none.

    Raises:
        ValueError: the body is no JSON object, or a field cannot be reached.
    """
    if not edits:
        return body
    envelope = loads(body)
    if not isinstance(envelope, dict):
        raise ValueError("the body is no JSON object")
    for edit in edits:
        edit.apply(envelope)
    return dumps(envelope)


def is_editable(body: str) -> bool:
    """Whether an edit can change the event: body and ``detail``, if there is one, are JSON objects."""
    try:
        edited(body, [Edit("event_id", "")])
    except ValueError:
        return False
    return True


def still_broken(body: str) -> str:
    """Why the processor would quarantine the event again, or empty."""
    try:
        prepare_write(body)
    except InvalidEventError as error:
        is_foreign = error.reason is Reason.SOURCE_MISMATCH
        return f"{error}; --set source={SOURCE} corrects it" if is_foreign else str(error)
    return ""


def broken_after(letters: Iterable[DeadLetterMessage], edits: Sequence[Edit]) -> Counter[str]:
    """Why the events would be quarantined again with these edits, and how many for that."""
    whys: Counter[str] = Counter()
    for letter in letters:
        try:
            whys[still_broken(edited(letter.body, edits))] += 1
        except ValueError as error:
            whys[str(error)] += 1
    del whys[""]
    return whys
