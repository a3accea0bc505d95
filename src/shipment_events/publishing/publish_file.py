"""Publish a file of events: the good ones go out, each broken one is named, what was not sent is kept."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TextIO

from shipment_events.contract.outcome import InvalidEventError, Reason
from shipment_events.publishing.event_files import MAX_EVENT_BYTES, EventText
from shipment_events.publishing.journal import JournalRecord, JournalWriter
from shipment_events.publishing.line_files import open_lines
from shipment_events.publishing.publisher import Accepted, Publisher, Unsent, prepare_text
from shipment_events.publishing.put_events import Entry


@dataclass(slots=True)
class Publication:
    """What became of a file's events.

    Attributes:
        valid: events that keep the contract.
        accepted: of these, those that the bus took; none in a dry run.
        unsent_by_error: of these, those that it did not take.
        refused_by_reason: events that break the contract, by reason code.
    """

    valid: int = 0
    accepted: int = 0
    unsent_by_error: Counter[str] = field(default_factory=Counter)
    refused_by_reason: Counter[str] = field(default_factory=Counter)

    @property
    def unsent(self) -> int:
        """Events that keep the contract and are not on the bus."""
        return self.unsent_by_error.total()

    @property
    def refused(self) -> int:
        """Events that break the contract."""
        return self.refused_by_reason.total()


class KeptEvents:
    """A file that keeps what a publication did not send, one JSON text a line; made when the first comes.

    Args:
        path: what it holds already is kept too, unless it is one of the inputs: those were read, so it holds
            in the end what is left of them.
        inputs: files that are published.
    """

    def __init__(self, path: Path, inputs: Iterable[str] = ()) -> None:
        self._path = path
        self._input = next((name for name in inputs if _is_same(path, Path(name))), None)
        self._target = path if self._input is None else path.with_name(f"{path.name}.partial")
        self._file: TextIO | None = None
        self._is_whole = True

    def replaces(self, name: str) -> bool:
        """Whether this is to hold what is left of an input: all that is not sent, the broken events too."""
        return name == self._input

    def leave(self, name: str) -> None:
        """Do not replace an input, because something of it could not be read."""
        self._is_whole &= name != self._input

    def add(self, text: str) -> None:
        """Keep an event; bytes that are no UTF-8 come out as they came in."""
        if self._file is None:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            if self._target != self._path:
                # Left by a command that was killed.
                self._target.unlink(missing_ok=True)
            self._file = open_lines(self._target)
        # Within JSON a line's end can only be white space between the tokens.
        self._file.write(text.replace("\r\n", " ").replace("\n", " ") + "\n")
        # Of what came from standard input it is the only copy.
        self._file.flush()

    def __enter__(self) -> "KeptEvents":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        self._file.close()
        if self._target == self._path:
            return
        if kind is None and self._is_whole:
            self._target.replace(self._path)
        else:
            # The input was not read to its end and is still all there is.
            self._target.unlink()


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def to_entry(event: EventText) -> Entry:
    """Validate one event of a file.

    Raises:
        InvalidEventError: it breaks the contract.
    """
    if event.is_cut:
        raise InvalidEventError(
            Reason.TOO_LARGE, f"expected at most {MAX_EVENT_BYTES} bytes in a {event.unit}"
        )
    return prepare_text(event.text, event.position)


def publish_events(
    events: Iterable[EventText],
    publisher: Publisher | None,
    *,
    on_refused: Callable[[EventText, InvalidEventError], None],
    on_unsent: Callable[[Unsent], None],
    journal: JournalWriter | None = None,
    publication: Publication | None = None,
) -> Publication:
    """Publish what is valid.

    Args:
        publisher: None for a dry run, which validates and sends nothing.
        on_refused: told of each broken event as it is met.
        on_unsent: told of each event that the bus did not take.
        publication: counts into this, so that a caller can watch.

    Raises:
        EventFileError: the events cannot be read on; those before are published and counted.
    """
    counts = publication or Publication()
    entries = _prepare(events, counts, on_refused)
    if publisher is None:
        for _ in entries:
            pass
        return counts
    # Closed at once where this is interrupted, and not when the interpreter ends.
    with closing(publisher.send(entries)) as receipts:
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
    events: Iterable[EventText],
    counts: Publication,
    on_refused: Callable[[EventText, InvalidEventError], None],
) -> Iterator[Entry]:
    for event in events:
        try:
            entry = to_entry(event)
        except InvalidEventError as error:
            counts.refused_by_reason[error.reason.value] += 1
            on_refused(event, error)
        else:
            counts.valid += 1
            yield entry
