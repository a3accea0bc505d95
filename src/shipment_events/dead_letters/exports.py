"""Dead letters in a file: on each line one as :meth:`DeadLetterMessage.as_json` gives it, and its decision.

``changes`` are JSON in a text, like ``body``: so their numbers survive any reader.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TextIO

from shipment_events.contract.exact_json import dumps, loads
from shipment_events.dead_letters.letters import DeadLetterMessage

_DECISION: Final = "decision"
_CHANGES: Final = "changes"


class LetterExportError(Exception):
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
    """A file of dead letters to be added to; what a killed command wrote half gets a line of its own.

    Raises:
        OSError: it cannot be opened.
    """
    is_cut = path.exists() and _is_cut(path)
    file = path.open("a", encoding="utf-8")
    if is_cut:
        file.write("\n")
    return file


def _is_cut(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


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
    file.flush()
    if file.seekable():
        os.fsync(file.fileno())


def read_export(path: Path) -> Iterator[Exported]:
    """Dead letters of a file, one at a time.

    Raises:
        LetterExportError: a line is no exported dead letter.
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield _exported(line)
            except (ValueError, TypeError, KeyError) as error:
                raise LetterExportError(
                    f"{path}, line {number}: no exported dead letter ({error!r}). Take it out, or mend it."
                ) from error


def _exported(line: str) -> Exported:
    fields = json.loads(line)
    decision = Decision(fields.pop(_DECISION, Decision.NONE))
    changes = loads(fields.pop(_CHANGES, "{}"))
    return Exported(DeadLetterMessage.from_json(fields), decision, changes)
