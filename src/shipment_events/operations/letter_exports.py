"""Dead letters in a file: a JSON line each, what :meth:`DeadLetterMessage.as_json` gives."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from shipment_events.operations.dead_letters import DeadLetterMessage


class LetterExportError(Exception):
    """A file that is no export of dead letters; the message says in which line and why."""


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


def write_export(file: TextIO, letters: Sequence[DeadLetterMessage]) -> None:
    """Add one JSON line a dead letter, and return when they are on disk.

    Raises:
        OSError: they cannot be written.
    """
    file.writelines(json.dumps(letter.as_json()) + "\n" for letter in letters)
    file.flush()
    if file.seekable():
        os.fsync(file.fileno())


def read_export(path: Path) -> Iterator[DeadLetterMessage]:
    """Dead letters of a file, one at a time.

    Raises:
        LetterExportError: a line is no exported dead letter.
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield DeadLetterMessage.from_json(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise LetterExportError(
                    f"{path}, line {number}: no exported dead letter ({error!r}). Take it out, or mend it."
                ) from error
