"""Dead letters in a file: on each line one as :meth:`DeadLetterMessage.as_json` gives it, and its decision.

``changes`` are JSON in a text, like ``body``: so their numbers survive any reader.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TextIO

from shipment_events.contract.exact_json import dumps, loads
from shipment_events.dead_letters.letters import DeadLetterMessage
from shipment_events.errors import ShipmentEventsError
from shipment_events.publishing.line_files import open_lines, read_lines, sync

_DECISION: Final = "decision"
_CHANGES: Final = "changes"


class LetterExportError(ShipmentEventsError):
    """A file that is no export of dead letters; the message says in which line and why."""


class Decision(StrEnum):
    """What became of a dead letter after it was written to a file."""

    NONE = ""
    """Nothing: it was copied."""
    DISCARDED = "discarded"
    REDRIVEN = "redriven"


@dataclass(frozen=True, slots=True)
class Exported:
    """A dead letter of a file.

    Attributes:
        changes: of its fields on the way back, by name as ``redrive --set`` takes it; numbers as ``Decimal``.
    """

    letter: DeadLetterMessage
    decision: Decision = Decision.NONE
    changes: Mapping[str, Any] = field(default_factory=dict)


def open_export(path: Path) -> TextIO:
    """A file of dead letters to be added to; see :func:`open_lines`."""
    return open_lines(path)


def write_export(
    file: TextIO,
    letters: Sequence[DeadLetterMessage],
    decision: Decision = Decision.NONE,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Add one JSON line a dead letter, and return when they are on disk.

    Args:
        changes: as in :class:`Exported`.

    Raises:
        OSError: they cannot be written.
    """
    decided = {_DECISION: decision.value} if decision else {}
    if changes:
        decided[_CHANGES] = dumps(dict(changes))
    file.writelines(json.dumps(letter.as_json() | decided) + "\n" for letter in letters)
    sync(file)


def read_export(path: Path) -> Iterator[Exported]:
    """Dead letters of a file, one at a time.

    Raises:
        LetterExportError: a line is no exported dead letter, or the file is no UTF-8.
        OSError: the file cannot be read.
    """
    try:
        with read_lines(path) as lines:
            for number, line in enumerate(lines, start=1):
                yield _exported(path, number, line)
    except ValueError as error:
        raise LetterExportError(f"{path}: {error}") from error


def read_letters(path: Path) -> list[DeadLetterMessage]:
    """Each dead letter of a file once, however often it says what became of it.

    Raises:
        as :func:`read_export`.
    """
    return list({found.letter.message_id: found.letter for found in read_export(path)}.values())


def _exported(path: Path, number: int, line: str) -> Exported:
    try:
        fields = json.loads(line)
        decision = Decision(fields.pop(_DECISION, Decision.NONE))
        changes = loads(fields.pop(_CHANGES, "{}"))
        return Exported(DeadLetterMessage.from_json(fields), decision, changes)
    except (ValueError, TypeError, KeyError) as error:
        raise LetterExportError(
            f"{path}, line {number}: no exported dead letter ({error!r}). Take it out, or mend it."
        ) from error
