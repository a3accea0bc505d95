"""Append lines to files, and read files of lines."""

import codecs
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from shipment_events.errors import ShipmentEventsError

_HEAD_BYTES: Final = 4
# UTF-32 first, because its byte order mark begins with that of UTF-16.
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
    """Open a file to append lines.

    If a killed command left the last line incomplete, a line end is added first. Lone surrogates are written
    as the bytes from which they were read.

    Raises:
        OSError: the file cannot be opened.
    """
    is_cut = path.is_file() and _is_cut(path)
    file = path.open("a", encoding="utf-8", errors="surrogateescape", newline="\n")
    if is_cut:
        file.write("\n")
    return file


class EncodingError(ShipmentEventsError, ValueError):
    """The file is not UTF-8. The message says how to convert it."""


@contextmanager
def read_lines(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 file to read its lines. A byte order mark is allowed.

    Raises:
        OSError: the file cannot be read.
        EncodingError: the file has another encoding.
    """
    with path.open("rb") as file:
        ensure_utf8(file.read(_HEAD_BYTES))
    with path.open(encoding="utf-8-sig") as lines:
        try:
            yield lines
        except UnicodeDecodeError as error:
            raise EncodingError(f"it is not UTF-8 ({error.reason}): convert it first") from None


def ensure_utf8(head: bytes) -> None:
    """Refuse UTF-16 and UTF-32, which PowerShell and spreadsheets write, by the first bytes.

    Without a byte order mark, the zero bytes show the encoding, because JSON begins with two ASCII
    characters.
    https://www.rfc-editor.org/rfc/rfc4627#section-3

    Raises:
        EncodingError: the text is UTF-16 or UTF-32.
    """
    zeros = tuple(byte == 0 for byte in head[:_HEAD_BYTES])
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), _ZEROS.get(zeros))
    if encoding:
        raise EncodingError(
            f"it is in {encoding}; expected UTF-8. Convert it: iconv -f {encoding} -t UTF-8 FILE > NEW"
        )


def sync(file: TextIO) -> None:
    """Flush the file and sync it to disk. A pipe or a device is only flushed.

    Raises:
        OSError: the file cannot be written.
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
