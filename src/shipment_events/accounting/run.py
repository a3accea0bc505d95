"""Send a feed through the deployed pipeline and account for every event of it."""

import json
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final

from shipment_events.accounting.audit import audit_journal
from shipment_events.accounting.reconcile import Reconciliation
from shipment_events.contract.event import MAX_EVENT_TYPE_CHARACTERS
from shipment_events.contract.exact_json import loads
from shipment_events.contract.outcome import InvalidEventError
from shipment_events.publishing.event_files import EventFileError, EventText
from shipment_events.publishing.journal import JournalRecord, JournalWriter
from shipment_events.publishing.publish_file import to_entry
from shipment_events.publishing.publisher import (
    Accepted,
    Publisher,
    Unsent,
    ensure_carried,
)
from shipment_events.publishing.put_events import MAX_REQUEST_BYTES, Entry
from shipment_events.queue.drain import PATIENCE_SECONDS, Drain, wait_until_empty
from shipment_events.queue.messages import depth
from shipment_events.queue.timing import AWS_TIMING, QueueTiming
from shipment_events.table.store import EventTable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_POLL_SECONDS: Final = 0.2
_PACE_ENTRIES: Final = 200
_PACE_SECONDS: Final = 0.05
_MAX_WAITING: Final = 400
# A walk over the dead letters may miss one, so they are read again before an event is called lost.
_LOOKS: Final = 3
_SECONDS_BETWEEN_LOOKS: Final = 2.0


@dataclass(slots=True)
class FeedProgress:
    """How far a run is, for whoever watches."""

    accepted: int = 0
    waiting: int = 0


@dataclass(slots=True)
class FeedRun:
    """A run's result.

    Attributes:
        refused_by_reason: lines that no bus would take (no JSON object), by reason code.
        unsent_by_error: entries that the bus did not take, by error code.
        input_error: why the feed could not be read to its end, or empty.
        drain: how the wait for the queue ended; where it did not become empty, no event is called lost.
        shipment_ids: of the accepted events.
    """

    reconciliation: Reconciliation = field(default_factory=Reconciliation)
    refused_by_reason: Counter[str] = field(default_factory=Counter)
    unsent_by_error: Counter[str] = field(default_factory=Counter)
    input_error: str = ""
    drain: Drain = field(default_factory=Drain)
    shipment_ids: Counter[str] = field(default_factory=Counter)

    @property
    def is_decided(self) -> bool:
        """Whether an event that was not found is nowhere: none is on its way, and no dead letter hidden."""
        return self.drain.is_empty and not self.reconciliation.hidden_dead_letters

    @property
    def succeeded(self) -> bool:
        """Nothing lost, doubled, altered, unsent or unread, and no event on its way."""
        found = self.reconciliation
        return not (found.lost or found.doubled or found.altered or self.unsent_by_error or self.input_error)

    def as_json(self) -> dict[str, Any]:
        """The report, for machines; times in milliseconds."""
        found = self.reconciliation
        seconds = _seconds(found)
        ids = [record.envelope_id for record in found.lost[:100]]
        return {
            "published": found.published,
            "stored": found.stored,
            "duplicate": found.duplicate,
            "conflict": found.conflict,
            "quarantined": found.quarantined,
            "quarantined_by_reason": dict(sorted(found.quarantined_by_reason.items())),
            "lost": len(found.lost) if self.is_decided else 0,
            "undecided": 0 if self.is_decided else len(found.lost),
            "doubled": len(found.doubled),
            "waiting": self.drain.waiting,
            "hidden_dead_letters": found.hidden_dead_letters,
            "altered": len(found.altered),
            "unexpected": found.unexpected,
            "refused": self.refused_by_reason.total(),
            "refused_by_reason": dict(sorted(self.refused_by_reason.items())),
            "unsent": self.unsent_by_error.total(),
            "unsent_by_error": dict(sorted(self.unsent_by_error.items())),
            "seconds": round(seconds, 3),
            "events_per_second": round(found.published / seconds, 1) if seconds else 0.0,
            "latency_ms": _percentiles(found.latencies_ms),
            "lost_events": ids if self.is_decided else [],
            "undecided_events": [] if self.is_decided else ids,
            "doubled_events": found.doubled[:100],
            "altered_events": found.altered[:100],
            "input_error": self.input_error or None,
        }


def run_feed(
    events: Iterable[EventText],
    *,
    publisher: Publisher,
    table: EventTable,
    sqs: "SQSClient",
    queue_url: str,
    dead_letter_queue_url: str,
    journal_path: Path,
    timing: QueueTiming = AWS_TIMING,
    rate: float | None = None,
    patience: float = PATIENCE_SECONDS,
    on_progress: Callable[[FeedProgress], None] = lambda _: None,
) -> FeedRun:
    """Publish a feed, wait until the queue is empty, and find where each event is.

    Broken events go out too, as a producer without our publisher would send them, as far as a bus takes them.

    Args:
        journal_path: gets the journal of what the bus accepted.
        rate: events a second, or None for as fast as the pipeline stores them.
        patience: seconds in which the queue does not get shorter, after which waiting ends.

    Raises:
        botocore.exceptions.ClientError: table or queues cannot be read.
    """
    run = FeedRun()
    progress = FeedProgress()

    clock = timing.clock

    def show(waiting: int) -> None:
        progress.waiting = waiting
        on_progress(progress)

    def hold_back() -> bool:
        """Wait while too many are in the queue; False where nothing moved for too long."""
        changed_at = clock.now()
        while (waiting := depth(sqs, queue_url)) > _MAX_WAITING:
            if waiting != progress.waiting:
                changed_at = clock.now()
            elif clock.now() - changed_at > patience:
                return False
            show(waiting)
            clock.sleep(_PACE_SECONDS)
        show(waiting)
        return True

    entries = _paced(_entries(events, run), hold_back)
    sending = publisher.send(entries) if rate is None else _send_at_rate(publisher, entries, rate)
    with JournalWriter(journal_path) as journal, closing(sending) as receipts:
        for receipt in receipts:
            if isinstance(receipt, Accepted):
                journal.write(JournalRecord.of(receipt))
                run.shipment_ids.update(_shipment_id(receipt.entry))
                progress.accepted += 1
                on_progress(progress)
            else:
                run.unsent_by_error[receipt.why] += 1
    run.drain = wait_until_empty(
        sqs, queue_url, timing, patience=patience, poll_seconds=_POLL_SECONDS, on_progress=show
    )
    for _ in range(_LOOKS):
        run.reconciliation = audit_journal(journal_path, table, sqs, dead_letter_queue_url, timing)
        if not run.reconciliation.lost:
            break
        clock.sleep(_SECONDS_BETWEEN_LOOKS)
    return run


def _entries(events: Iterable[EventText], run: FeedRun) -> Iterator[Entry]:
    try:
        for event in events:
            try:
                yield to_entry(event)
            except InvalidEventError as error:
                if careless := careless_entry(event):
                    yield careless
                else:
                    run.refused_by_reason[error.reason.value] += 1
    except EventFileError as error:
        # What was read before is sent and accounted for.
        run.input_error = str(error)


def _paced(entries: Iterator[Entry], hold_back: Callable[[], bool]) -> Iterator[Entry]:
    """Entries, held back while many wait in the queue: what is measured is the pipeline, not a backlog."""
    is_moving = True
    for number, entry in enumerate(entries, start=1):
        yield entry
        if is_moving and number % _PACE_ENTRIES == 0:
            is_moving = hold_back()


def careless_entry(event: EventText) -> Entry | None:
    """The event as a producer without validation would send it, or None where the bus would refuse it.

    PutEvents takes a JSON object of at most 1 MB; the local engine is less strict than AWS. Of a key that
    comes twice a bus may keep one only, so it is refused like a number that a bus may round.
    """
    if event.is_cut:
        return None
    try:
        detail = loads(event.text)
        ensure_carried(detail)
        event.text.encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(detail, dict):
        return None
    event_type = detail.get("event_type")
    if not (isinstance(event_type, str) and 0 < len(event_type) <= MAX_EVENT_TYPE_CHARACTERS):
        event_type = "shipment.unknown"
    entry = Entry(event.position, event_type, event.text)
    return entry if entry.size <= MAX_REQUEST_BYTES else None


def _shipment_id(entry: Entry) -> list[str]:
    shipment_id = json.loads(entry.detail).get("shipment_id")
    return [shipment_id] if isinstance(shipment_id, str) and shipment_id else []


def _send_at_rate(
    publisher: Publisher, entries: Iterator[Entry], rate: float
) -> Generator[Accepted | Unsent, None, None]:
    step = max(1, min(10, int(rate / 20)))
    start = time.monotonic()
    sent = 0
    while batch := list(islice(entries, step)):
        time.sleep(max(0.0, start + sent / rate - time.monotonic()))
        sent += len(batch)
        yield from publisher.send(batch)


def _seconds(found: Reconciliation) -> float:
    if found.first_sent_at is None or found.last_stored_at is None:
        return 0.0
    return (found.last_stored_at - found.first_sent_at).total_seconds()


def _percentiles(latencies: list[float]) -> dict[str, float | None]:
    if len(latencies) < 2:
        only = round(latencies[0], 1) if latencies else None
        return {"p50": only, "p99": only}
    cuts = quantiles(latencies, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1)}
