"""The producer's journal: what the bus accepted, one JSON line an event.

It is the evidence that reconciliation holds against the table and the dead-letter queue, so it is written
from the bus's own answers and knows nothing of what happens afterwards.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TextIO

from shipment_events.publishing.publisher import Accepted


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


class JournalWriter:
    """Writes a journal; a context manager."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("a" if append else "w", encoding="utf-8")

    def write(self, record: JournalRecord) -> None:
        """Add a record."""
        self._file.write(json.dumps(asdict(record), separators=(",", ":")) + "\n")

    def __enter__(self) -> "JournalWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_journal(lines: Iterable[str]) -> Iterator[JournalRecord]:
    """Records of a journal.

    Raises:
        ValueError: a line is no record; the message names it.
    """
    for number, line in enumerate(lines, start=1):
        try:
            record = _record(line)
        except ValueError as error:
            raise ValueError(
                f"line {number} is no record of a journal: {error}. 'shipments publish --journal' writes one"
            ) from error
        yield record


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
