"""Files of dead letters. Each line is :meth:`DeadLetterMessage.as_json` with the decision.

``changes`` and ``body`` are JSON inside a text, so that every reader keeps their numbers exact.
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
    """The file is not an export of dead letters. The message says in which line and why."""


class Decision(StrEnum):
    """What a command did with a dead letter after it wrote it to the file."""

    NONE = ""
    """The dead letter stayed in the queue."""
    DISCARDED = "discarded"
    REDRIVEN = "redriven"


@dataclass(frozen=True, slots=True)
class Exported:
    """A dead letter of a file.

    Attributes:
        changes: new value of each field that a redrive changed, named as in ``redrive --set``; numbers as
            ``Decimal``.
    """

    letter: DeadLetterMessage
    decision: Decision = Decision.NONE
    changes: Mapping[str, Any] = field(default_factory=dict)


def open_export(path: Path) -> TextIO:
    """Open a file to append dead letters; see :func:`open_lines`."""
    return open_lines(path)


def write_export(
    file: TextIO,
    letters: Sequence[DeadLetterMessage],
    decision: Decision = Decision.NONE,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Append one JSON line for each dead letter, and sync the file to disk.

    Args:
        changes: as in :class:`Exported`.

    Raises:
        OSError: the file cannot be written.
    """
    decided = {_DECISION: decision.value} if decision else {}
    if changes:
        decided[_CHANGES] = dumps(dict(changes))
    file.writelines(json.dumps(letter.as_json() | decided) + "\n" for letter in letters)
    sync(file)


def read_export(path: Path) -> Iterator[Exported]:
    """Yield the dead letters of a file.

    Raises:
        LetterExportError: a line is not an exported dead letter, or the file is not UTF-8.
        OSError: the file cannot be read.
    """
    try:
        with read_lines(path) as lines:
            for number, line in enumerate(lines, start=1):
                yield _exported(path, number, line)
    except ValueError as error:
        raise LetterExportError(f"{path}: {error}") from error


def read_letters(path: Path) -> list[DeadLetterMessage]:
    """Each dead letter of a file once, even if the file has several lines for it.

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
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise LetterExportError(
            f"{path}, line {number}: not an exported dead letter ({error!r}). Correct or remove the line."
        ) from error
