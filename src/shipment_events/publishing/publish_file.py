"""Publish a file of events: send the valid ones, report the broken ones, keep what was not sent."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import TextIO

from shipment_events.contract.outcome import InvalidEventError, Reason
from shipment_events.publishing.entries import Entry, prepare_text
from shipment_events.publishing.event_files import MAX_EVENT_BYTES, EventText
from shipment_events.publishing.journal import JournalRecord, JournalWriter
from shipment_events.publishing.line_files import open_lines
from shipment_events.publishing.publisher import Accepted, Publisher, Unsent


@dataclass(slots=True)
class Publication:
    """What became of a file's events.

    Attributes:
        valid: events that keep the contract.
        accepted: valid events that the bus accepted; 0 in a dry run.
        unsent_by_error: valid events that the bus did not accept, by error code.
        refused_by_reason: events that break the contract, by reason code.
    """

    valid: int = 0
    accepted: int = 0
    unsent_by_error: Counter[str] = field(default_factory=Counter)
    refused_by_reason: Counter[str] = field(default_factory=Counter)

    @property
    def unsent(self) -> int:
        """Valid events that the bus did not accept."""
        return self.unsent_by_error.total()

    @property
    def refused(self) -> int:
        """Events that break the contract."""
        return self.refused_by_reason.total()


class KeptEvents:
    """A file for events that were not sent, one JSON text per line. It is created for the first event.

    Args:
        path: events are appended to this file. If it is the input, it is replaced at the end by the events
            that were not sent. It must not be one of several inputs, because their events would go with it if
            it is not replaced.
        inputs: files that are published.
    """

    def __init__(self, path: Path, inputs: Iterable[str] = ()) -> None:
        self._path = path
        self._input = next((name for name in inputs if _is_same(path, Path(name))), None)
        self._target = path if self._input is None else path.with_name(f"{path.name}.partial")
        self._file: TextIO | None = None
        self._is_whole = True

    def replaces(self, name: str) -> bool:
        """Whether this file replaces an input. Then it must hold the input's broken events, too."""
        return name == self._input

    def leave(self, name: str) -> None:
        """Do not replace an input, because a part of it could not be read."""
        self._is_whole &= name != self._input

    def add(self, text: str) -> None:
        """Add an event. Bytes that are not UTF-8 are written unchanged."""
        file = self._opened()
        # In JSON, a line end can only be white space between tokens.
        file.write(text.replace("\r\n", " ").replace("\n", " ") + "\n")
        # Events from standard input have no other copy.
        file.flush()

    def _opened(self) -> TextIO:
        if self._file is None:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            if self._target != self._path:
                # A killed command left this file.
                self._target.unlink(missing_ok=True)
            self._file = open_lines(self._target)
        return self._file

    def __enter__(self) -> "KeptEvents":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        replaces_input = self._target != self._path and kind is None and self._is_whole
        if replaces_input:
            # Even if no event is left: the events that were sent must not be in the file any more.
            self._opened().close()
            self._target.replace(self._path)
        elif self._file is not None:
            self._file.close()
            if self._target != self._path:
                # The input was not read to its end, so it must stay.
                self._target.unlink()


def is_input(path: Path, inputs: Iterable[str]) -> bool:
    """Whether the path is that of an input, by whatever name."""
    return any(_is_same(path, Path(name)) for name in inputs)


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def to_entry(event: EventText) -> Entry:
    """Validate one event of a file.

    Raises:
        InvalidEventError: the event breaks the contract.
    """
    if event.is_cut:
        raise InvalidEventError(
            Reason.TOO_LARGE, f"expected at most {MAX_EVENT_BYTES} bytes in a {event.unit}"
        )
    return prepare_text(event.text, event.position)


def publish_events(
    events: Iterable[EventText | None],
    publisher: Publisher | None,
    *,
    on_refused: Callable[[EventText, InvalidEventError], None],
    on_unsent: Callable[[Unsent], None],
    journal: JournalWriter | None = None,
    publication: Publication | None = None,
    stop: Event | None = None,
) -> Publication:
    """Publish the valid events.

    Args:
        events: None among them means a pause (see :meth:`Publisher.send`).
        publisher: None for a dry run, which validates and sends nothing.
        on_refused: called for each broken event.
        on_unsent: called for each event that the bus did not accept.
        publication: the counts are added to it while events are sent, so that a caller can watch them.
        stop: as for :meth:`Publisher.send`.

    Raises:
        EventFileError: the rest of the events cannot be read. The events before are published and counted.
    """
    counts = publication or Publication()
    entries = _prepare(events, counts, on_refused)
    if publisher is None:
        for _ in entries:
            pass
        return counts
    # An interrupt must close the generator at once, and not when the interpreter ends.
    with closing(publisher.send(entries, stop)) as receipts:
        for receipt in receipts:
            if isinstance(receipt, Accepted):
                counts.accepted += 1
                if journal:
                    journal.write(JournalRecord.of(receipt))
            else:
                counts.unsent_by_error[receipt.why] += 1
                on_unsent(receipt)
    return counts


def _prepare(
    events: Iterable[EventText | None],
    counts: Publication,
    on_refused: Callable[[EventText, InvalidEventError], None],
) -> Iterator[Entry | None]:
    for event in events:
        if event is None:
            yield None
            continue
        try:
            entry = to_entry(event)
        except InvalidEventError as error:
            counts.refused_by_reason[error.reason.value] += 1
            on_refused(event, error)
        else:
            counts.valid += 1
            yield entry
