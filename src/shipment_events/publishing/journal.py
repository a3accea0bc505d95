"""The producer's journal: one JSON line for each event that the bus accepted.

Reconciliation compares the journal with the table and the dead-letter queue. The journal is written from the
responses of the bus alone.

A line means that the bus accepted the event. A missing line means nothing, because the producer may have died
before it got the response. Each line is given to the operating system at once, so a killed process loses no
line that it wrote. A power failure loses at most the lines of the last second.
"""

import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, TextIO

from shipment_events.errors import ShipmentEventsError
from shipment_events.publishing.line_files import EncodingError, open_lines, read_lines, sync
from shipment_events.publishing.publisher import Accepted


class JournalError(ShipmentEventsError, ValueError):
    """The file is not a journal. The message says in which line and why."""


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One accepted event.

    Attributes:
        envelope_id: the id that the bus gave to the event.
        sent_at: when the request was sent, UTC, ISO 8601.
        detail: the event as sent to the bus, JSON text.
    """

    envelope_id: str
    sent_at: str
    source: str
    detail_type: str
    detail: str

    @classmethod
    def of(cls, receipt: Accepted) -> "JournalRecord":
        """The record of a publisher's receipt."""
        entry = receipt.entry
        sent_at = receipt.sent_at.isoformat(timespec="microseconds")
        return cls(receipt.envelope_id, sent_at, entry.source, entry.detail_type, entry.detail)


# A sync takes milliseconds. After each line, it would limit the publisher to some hundred events per second.
# Once per second, it takes less than 1 % of the time.
_SYNC_SECONDS: Final = 1.0


class JournalWriter:
    """Writes a journal; a context manager."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = open_lines(path) if append else path.open("w", encoding="utf-8")
        self._synced_at = -math.inf

    def write(self, record: JournalRecord) -> None:
        """Add a record. If the last sync was a second ago, sync the file to disk.

        Raises:
            OSError: the file cannot be written.
        """
        self._file.write(json.dumps(asdict(record), separators=(",", ":")) + "\n")
        self._file.flush()
        if time.monotonic() >= self._synced_at + _SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        sync(self._file)
        self._synced_at = time.monotonic()

    def __enter__(self) -> "JournalWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            self._sync()


def read_journal(lines: Iterable[str]) -> Iterator[JournalRecord]:
    """Yield the records of a journal.

    Raises:
        JournalError: a line is not a record; the message names the line.
    """
    for number, line in enumerate(lines, start=1):
        try:
            record = _record(line)
        except ValueError as error:
            raise JournalError(
                f"line {number} is not a record of a journal: {error}",
                "'shipments publish --journal' writes one.",
            ) from error
        yield record


def read_journal_file(path: Path) -> Iterator[JournalRecord]:
    """Yield the records of a journal file.

    Raises:
        JournalError: a line is not a record, or the file is not UTF-8; the message names the file.
        OSError: the file cannot be read.
    """
    try:
        with read_lines(path) as lines:
            yield from read_journal(lines)
    except (JournalError, EncodingError) as error:
        raise JournalError(f"{path}: {error}", error.next_step) from error


def _record(line: str) -> JournalRecord:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ValueError("it is not JSON") from error
    names = [field.name for field in fields(JournalRecord)]
    if not isinstance(found, dict) or found.keys() != set(names):
        raise ValueError(f"it is not an object of {', '.join(names)}")
    if not all(isinstance(value, str) for value in found.values()):
        raise ValueError("its values are not all texts")
    record = JournalRecord(**found)
    try:
        sent_at = datetime.fromisoformat(record.sent_at)
    except ValueError as error:
        raise ValueError("sent_at is not a time") from error
    if sent_at.tzinfo is None:
        raise ValueError("sent_at has no offset")
    return record
