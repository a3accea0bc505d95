"""Read events from files as producers write them: NDJSON, a JSON array, either of them gzipped, or stdin."""

import codecs
import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, cast

# More than any event can have; it bounds the memory that a file of another kind could take.
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_WHITE_SPACE: Final = " \t\r\n"

Watch: TypeAlias = Callable[[BinaryIO, int], BinaryIO]
_Stream: TypeAlias = "io.BufferedReader[Any] | gzip.GzipFile"


class EventFileError(Exception):
    """A file that cannot be read on; the message says where and why."""


@dataclass(frozen=True, slots=True)
class EventText:
    """One event of a file, not yet parsed.

    Attributes:
        position: line of an NDJSON file, or element of an array, from 1.
        text: JSON, or whatever stands there instead.
    """

    position: int
    text: str


def read_events(path: str, watch: Watch | None = None) -> Iterator[EventText]:
    """Events of a file in order, one at a time.

    Args:
        path: of the file, or ``-`` for standard input.
        watch: wraps the opened file, given its size in bytes, to see how far it is read.

    Raises:
        EventFileError: the file cannot be opened or unpacked, or an array is broken.
    """
    try:
        with _open(path, watch) as stream:
            head = stream.peek(_CHUNK_BYTES).removeprefix(codecs.BOM_UTF8).lstrip()
            yield from _elements(stream) if head.startswith(b"[") else _lines(stream)
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise EventFileError(f"{path}: {why}") from error


@contextmanager
def _open(path: str, watch: Watch | None) -> "Iterator[_Stream]":
    with ExitStack() as stack:
        raw = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
        if watch and path != "-":
            raw = watch(raw, Path(path).stat().st_size)
        stream = io.BufferedReader(cast("io.RawIOBase", raw))
        # Closing the reader would close standard input with it.
        stack.callback(stream.detach)
        if stream.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC):
            yield stack.enter_context(gzip.GzipFile(fileobj=stream))
        else:
            yield stream


def _lines(stream: _Stream) -> Iterator[EventText]:
    position = 0
    while line := stream.readline(MAX_EVENT_BYTES):
        position += 1
        if position == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        whole = line.endswith(b"\n") or len(line) < MAX_EVENT_BYTES
        while not whole:
            rest = stream.readline(MAX_EVENT_BYTES)
            whole = rest.endswith(b"\n") or len(rest) < MAX_EVENT_BYTES
        # What is no UTF-8 becomes lone surrogates, which validation refuses by name.
        text = line.decode("utf-8", "surrogateescape").strip(_WHITE_SPACE)
        if text:
            yield EventText(position, text)


def _elements(stream: _Stream) -> Iterator[EventText]:
    find_end = json.JSONDecoder().raw_decode
    text = codecs.getreader("utf-8-sig")(stream, "surrogateescape")
    buffer = text.read(_CHUNK_BYTES).lstrip(_WHITE_SPACE)[1:]
    position = 0
    while True:
        buffer = buffer.lstrip(_WHITE_SPACE)
        if position and buffer.startswith(","):
            buffer = buffer[1:].lstrip(_WHITE_SPACE)
        elif buffer.startswith("]"):
            if buffer[1:].strip(_WHITE_SPACE):
                raise EventFileError(f"after element {position}: more text after the array's end")
            return
        try:
            _, end = find_end(buffer)
        except (ValueError, RecursionError) as error:
            more = text.read(_CHUNK_BYTES)
            if not more or len(buffer) > MAX_EVENT_BYTES:
                raise EventFileError(
                    f"element {position + 1}: the array is broken here ({error}); what follows was not read"
                ) from error
            buffer += more
            continue
        if end == len(buffer) and (more := text.read(_CHUNK_BYTES)):
            # A number at the end of the buffer may go on in the next chunk.
            buffer += more
            continue
        position += 1
        yield EventText(position, buffer[:end])
        buffer = buffer[end:]
        if not buffer.strip(_WHITE_SPACE):
            buffer = text.read(_CHUNK_BYTES)
