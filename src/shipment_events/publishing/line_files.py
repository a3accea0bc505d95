"""Files of lines: opened to be added to, by one command after the other, and to be read."""

import codecs
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from shipment_events.errors import ShipmentEventsError

_HEAD_BYTES: Final = 4
# The longer marks first: that of UTF-32 begins as that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_ZEROS: Final[Mapping[tuple[bool, ...], str]] = {
    (False, True, False, True): "UTF-16LE",
    (True, False, True, False): "UTF-16BE",
    (False, True, True, True): "UTF-32LE",
    (True, True, True, False): "UTF-32BE",
}


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


class EncodingError(ShipmentEventsError, ValueError):
    """A file is not in UTF-8; the message says how to convert it."""


@contextmanager
def read_lines(path: Path) -> Iterator[TextIO]:
    """Open a file of UTF-8 to read its lines, with a byte order mark or without.

    Raises:
        OSError: it cannot be read.
        EncodingError: it is in another encoding.
    """
    with path.open("rb") as file:
        ensure_utf8(file.read(_HEAD_BYTES))
    with path.open(encoding="utf-8-sig") as lines:
        try:
            yield lines
        except UnicodeDecodeError as error:
            raise EncodingError(f"it is no UTF-8 ({error.reason}): convert it first") from None


def ensure_utf8(head: bytes) -> None:
    """Refuse a text in UTF-16 or UTF-32 by its first bytes, as PowerShell and spreadsheets write them.

    Without a byte order mark it is known by its zeros, as JSON begins with two ASCII characters.
    https://www.rfc-editor.org/rfc/rfc4627#section-3

    Raises:
        EncodingError: it is in one of them.
    """
    zeros = tuple(byte == 0 for byte in head[:_HEAD_BYTES])
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), _ZEROS.get(zeros))
    if encoding:
        raise EncodingError(
            f"it is in {encoding}; expected UTF-8. Convert it: iconv -f {encoding} -t UTF-8 FILE > NEW"
        )


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
