"""Publish a file of events: the good ones go out, each broken one is named, what was not sent is kept."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shipment_events.operations.event_files import EventText
from shipment_events.operations.journal import JournalRecord, JournalWriter
from shipment_events.outcome import InvalidEventError
from shipment_events.publisher import Accepted, Entry, Publisher, prepare_text


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


def publish_events(
    events: Iterable[EventText],
    publisher: Publisher | None,
    *,
    on_refused: Callable[[EventText, InvalidEventError], None],
    unsent_path: Path,
    journal: JournalWriter | None = None,
    publication: Publication | None = None,
) -> Publication:
    """Publish what is valid.

    Args:
        publisher: None for a dry run, which validates and sends nothing.
        on_refused: told of each broken event as it is met.
        unsent_path: gets the events that the bus did not take, ready to be published again; it is not
            touched where there are none.
        publication: counts into this, so that a caller can watch.
    """
    counts = publication or Publication()
    entries = _prepare(events, counts, on_refused)
    if publisher is None:
        for _ in entries:
            pass
        return counts
    unsent: list[str] = []
    for receipt in publisher.send(entries):
        if isinstance(receipt, Accepted):
            counts.accepted += 1
            if journal:
                journal.write(JournalRecord.of(receipt))
        else:
            counts.unsent_by_error[receipt.why] += 1
            unsent.append(receipt.entry.detail)
    if unsent:
        unsent_path.write_text("".join(f"{text}\n" for text in unsent), encoding="utf-8")
    return counts


def _prepare(
    events: Iterable[EventText],
    counts: Publication,
    on_refused: Callable[[EventText, InvalidEventError], None],
) -> Iterator[Entry]:
    for event in events:
        try:
            entry = prepare_text(event.text, event.position)
        except InvalidEventError as error:
            counts.refused_by_reason[error.reason.value] += 1
            on_refused(event, error)
        else:
            counts.valid += 1
            yield entry
