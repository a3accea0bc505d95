"""Files of lines that are added to, by one command after the other."""

import os
import stat
from pathlib import Path
from typing import TextIO


def open_lines(path: Path) -> TextIO:
    """Open a file to add lines to it; what a killed command wrote half gets a line of its own.

    Text that came from bytes that are no UTF-8 goes out as these bytes.

    Raises:
        OSError: it cannot be opened.
    """
    is_cut = path.is_file() and _is_cut(path)
    file = path.open("a", encoding="utf-8", errors="surrogateescape", newline="\n")
    if is_cut:
        file.write("\n")
    return file


def sync(file: TextIO) -> None:
    """Return when all that was written is on disk; a pipe or a device has none.

    Raises:
        OSError: it cannot be written.
    """
    file.flush()
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        os.fsync(file.fileno())


def _is_cut(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
