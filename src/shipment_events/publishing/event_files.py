"""Read events from NDJSON, JSON arrays, gzipped files and standard input."""

import codecs
import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeAlias, cast

from shipment_events.errors import ShipmentEventsError
from shipment_events.publishing.line_files import EncodingError, ensure_utf8

# Longer than any valid event. It limits the memory that a file of another format can take.
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_WHITE_SPACE: Final = " \t\r\n"
_AFTER_ELEMENT: Final = frozenset(" \t\r\n,]")
_scan: Final = json.JSONDecoder().raw_decode

Watch: TypeAlias = Callable[[BinaryIO, int], BinaryIO]
_Stream: TypeAlias = "io.BufferedReader[Any] | gzip.GzipFile"


class EventFileError(ShipmentEventsError):
    """The rest of a file cannot be read. The message says where and why."""


@dataclass(frozen=True, slots=True)
class EventText:
    """One event of a file, not yet parsed.

    Attributes:
        position: line of an NDJSON file, or element of an array, from 1.
        text: JSON, or any other text. Bytes that are not UTF-8 are lone surrogates, which validation refuses.
        is_cut: the text is only the beginning of a line that is longer than any valid event.
    """

    position: int
    text: str
    unit: Literal["line", "element"] = "line"
    is_cut: bool = False


def read_events(path: str, watch: Watch | None = None) -> Iterator[EventText]:
    """Yield the events of a file in order.

    Args:
        path: path of the file, or ``-`` for standard input.
        watch: wraps the opened file to show the progress; it gets the file and its size in bytes.

    Raises:
        EventFileError: the file cannot be opened or unpacked, or an array is broken.
    """
    try:
        with _open(path, watch) as stream:
            yield from _events(stream)
    except EventFileError as error:
        raise EventFileError(f"{path}: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise EventFileError(f"{path}: {why}") from error


@contextmanager
def _open(path: str, watch: Watch | None) -> "Iterator[_Stream]":
    with ExitStack() as stack:
        # Raw streams, because a second buffer may wait for many lines of a pipe before it returns one.
        if path == "-":
            raw = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
        else:
            raw = stack.enter_context(Path(path).open("rb", buffering=0))
        if watch and path != "-":
            raw = watch(raw, Path(path).stat().st_size)
        stream = io.BufferedReader(cast("io.RawIOBase", raw))
        # Closing the reader would also close standard input.
        stack.callback(stream.detach)
        is_packed = stream.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
        unpacked = stack.enter_context(gzip.GzipFile(fileobj=stream)) if is_packed else stream
        try:
            ensure_utf8(unpacked.peek(4))
        except EncodingError as error:
            raise EventFileError(str(error)) from error
        yield unpacked


def _events(stream: _Stream) -> Iterator[EventText]:
    lines = _lines(stream)
    first = next(lines, None)
    if first is None:
        return
    if not first.text.startswith("["):
        yield from chain([first], lines)
    elif not _is_whole(first):
        yield from _ArrayReader(first.text, stream).elements()
    # A complete array in the first line is the whole file. If more lines follow, it is a broken event.
    elif second := next(lines, None):
        yield from chain([first, second], lines)
    else:
        yield from _ArrayReader(first.text, stream).elements()


def _is_whole(event: EventText) -> bool:
    try:
        json.loads(event.text)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(stream: _Stream) -> Iterator[EventText]:
    """Yield lines that are not blank. A line that is too long is cut, unless it begins an array."""
    position = 0
    is_first = True
    while line := stream.readline(MAX_EVENT_BYTES):
        position += 1
        is_cut = len(line) == MAX_EVENT_BYTES and not line.endswith(b"\n")
        if position == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        text = line.decode("utf-8", "surrogateescape").lstrip(_WHITE_SPACE)
        if is_cut and not (is_first and text.startswith("[")):
            while (rest := stream.readline(MAX_EVENT_BYTES)) and not rest.endswith(b"\n"):
                pass
        if not is_cut:
            text = text.rstrip(_WHITE_SPACE)
        if text or is_cut:
            is_first = False
            yield EventText(position, text, is_cut=is_cut)


class _ArrayReader:
    """Yields the elements of an array. The array begins with ``head`` and continues in ``stream``."""

    def __init__(self, head: str, stream: _Stream) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._stream = stream
        # The head may end within a character, so its bytes go through the decoder again.
        self._text = self._decoder.decode(head.encode("utf-8", "surrogateescape"))
        self._at = 1

    def elements(self) -> Iterator[EventText]:
        position = 0
        while (mark := self._next_mark()) != "]":
            position += 1
            if position > 1:
                if mark != ",":
                    raise _broken(position, "expected a comma before it" if mark else "the file ends here")
                self._at += 1
                self._next_mark()
            yield EventText(position, self._element(position), unit="element")
        self._at += 1
        if self._next_mark():
            raise EventFileError(f"element {position} is the last of the array, but more text follows")

    def _next_mark(self) -> str:
        """The next character that is not white space; empty at the end of the file."""
        while True:
            while self._at < len(self._text):
                if (mark := self._text[self._at]) not in _WHITE_SPACE:
                    return mark
                self._at += 1
            if not self._read_on():
                return ""

    def _element(self, position: int) -> str:
        while True:
            try:
                _, end = _scan(self._text, self._at)
                why = ""
            except (ValueError, RecursionError) as error:
                end, why = 0, error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            # A number at the end of the text may continue in the next chunk.
            is_closed = self._text[end - 1] in '}]"' or self._text[end : end + 1] in _AFTER_ELEMENT
            if not why and is_closed:
                break
            if len(self._text) - self._at > MAX_EVENT_BYTES:
                raise _broken(position, why or f"longer than {MAX_EVENT_BYTES:,} characters")
            if not self._read_on():
                if why:
                    raise _broken(position, why)
                break
        start, self._at = self._at, end
        return self._text[start:end]

    def _read_on(self) -> bool:
        """Read more text; False at the end. Doubling the text keeps the time for a long element linear."""
        while part := self._stream.read(max(_CHUNK_BYTES, len(self._text) - self._at)):
            if more := self._decoder.decode(part):
                self._text = self._text[self._at :] + more
                self._at = 0
                return True
        return False


def _broken(position: int, why: str) -> EventFileError:
    return EventFileError(f"element {position}: the array is broken here ({why}); the rest was not read")
