"""The producer's journal: what the bus accepted, one JSON line an event.

It is the evidence that reconciliation holds against the table and the dead-letter queue, so it is written
from the bus's own answers and knows nothing of what happens afterwards.

A line promises that the bus accepted the event. A missing line promises nothing: an answer may be on its way
when the producer dies. Each line is handed to the operating system at once, so a process that is killed loses
none that it wrote; a machine that loses power loses at most those of the last second of writing.
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
    """A file that is no journal; the message says in which line and why."""


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One accepted event.

    Attributes:
        envelope_id: id that the bus gave it.
        sent_at: when the request was sent, UTC, ISO 8601.
        detail: the event as it was put on the bus, JSON text.
    """

    envelope_id: str
    sent_at: str
    source: str
    detail_type: str
    detail: str

    @classmethod
    def of(cls, receipt: Accepted) -> "JournalRecord":
        """Record of a publisher's receipt."""
        entry = receipt.entry
        sent_at = receipt.sent_at.isoformat(timespec="microseconds")
        return cls(receipt.envelope_id, sent_at, entry.source, entry.detail_type, entry.detail)


# A wait for the disk takes milliseconds: for each line, it would hold the publisher to some hundred events a
# second; once a second, it takes some thousandths of the time.
_SYNC_SECONDS: Final = 1.0


class JournalWriter:
    """Writes a journal; a context manager."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = open_lines(path) if append else path.open("w", encoding="utf-8")
        self._synced_at = -math.inf

    def write(self, record: JournalRecord) -> None:
        """Add a record; if the last wait for the disk is a second ago, return when it is there.

        Raises:
            OSError: it cannot be written.
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
    """Records of a journal.

    Raises:
        JournalError: a line is no record; the message names it.
    """
    for number, line in enumerate(lines, start=1):
        try:
            record = _record(line)
        except ValueError as error:
            raise JournalError(
                f"line {number} is no record of a journal: {error}",
                "'shipments publish --journal' writes one.",
            ) from error
        yield record


def read_journal_file(path: Path) -> Iterator[JournalRecord]:
    """Records of the journal at a path.

    Raises:
        JournalError: a line is no record, or the file is no UTF-8; the message names the file.
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
        raise ValueError("sent_at is no time") from error
    if sent_at.tzinfo is None:
        raise ValueError("sent_at has no offset")
    return record
