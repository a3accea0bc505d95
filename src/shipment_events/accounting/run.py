"""Send a feed through the deployed pipeline and account for each of its events."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from threading import Event
from typing import Any, Final

from shipment_events.accounting.audit import audit_journal
from shipment_events.accounting.pace import Backlog, FeedProgress, at_rate, paced
from shipment_events.accounting.reconcile import Reconciliation
from shipment_events.contract.exact_json import loads
from shipment_events.contract.limits import MAX_EVENT_TYPE_CHARACTERS
from shipment_events.contract.outcome import InvalidEventError
from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.publishing.entries import MAX_REQUEST_BYTES, Entry, ensure_carried
from shipment_events.publishing.event_files import EventFileError, EventText
from shipment_events.publishing.journal import JournalRecord, JournalWriter
from shipment_events.publishing.publish_file import to_entry
from shipment_events.publishing.publisher import Accepted, Publisher
from shipment_events.queue.queue import PATIENCE_SECONDS, Drain, Queue
from shipment_events.table.store import EventTable

_POLL_SECONDS: Final = 0.2
# One pass over the dead letters can miss one, so they are read again before an event counts as lost.
_LOOKS: Final = 3
_SECONDS_BETWEEN_LOOKS: Final = 2.0


@dataclass(slots=True)
class FeedRun:
    """The result of a run.

    Attributes:
        refused_by_reason: number of lines that no bus accepts, for example text that is not a JSON object, by
            reason code.
        unsent_by_error: number of entries that the bus did not accept, by error code.
        input_error: why the feed could not be read to its end, or empty.
        drain: the result of waiting for the queue. If the queue did not become empty, no event counts as
            lost.
        delivery_seconds: how long EventBridge tries to deliver an event (see :class:`QueueTiming`).
        judged_at: when the events were looked for last.
        shipment_ids: number of accepted events by shipment.
    """

    reconciliation: Reconciliation = field(default_factory=Reconciliation)
    refused_by_reason: Counter[str] = field(default_factory=Counter)
    unsent_by_error: Counter[str] = field(default_factory=Counter)
    input_error: str = ""
    drain: Drain = field(default_factory=Drain)
    delivery_seconds: float = 0.0
    judged_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    shipment_ids: Counter[str] = field(default_factory=Counter)

    @property
    def is_decided(self) -> bool:
        """Whether an event that arrived was seen: the queue is empty, and every dead letter was read."""
        return self.drain.is_empty and not self.reconciliation.hidden_dead_letters

    @property
    def undelivered(self) -> list[JournalRecord]:
        """Missing events that EventBridge may still deliver."""
        return self.reconciliation.undelivered(self.judged_at, self.delivery_seconds)

    @property
    def delivery_ends_at(self) -> datetime | None:
        """When EventBridge has delivered or given up every missing event. None if no event is missing."""
        sent = [datetime.fromisoformat(record.sent_at) for record in self.undelivered]
        return max(sent) + timedelta(seconds=self.delivery_seconds) if sent else None

    @property
    def succeeded(self) -> bool:
        """Whether no event is missing, doubled, altered or unsent, and the feed was read to its end."""
        found = self.reconciliation
        return not (found.lost or found.doubled or found.altered or self.unsent_by_error or self.input_error)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON. Latencies are in milliseconds."""
        found = self.reconciliation
        seconds = _seconds(found)
        waiting = self.undelivered if self.is_decided else found.lost
        undecided = [record.envelope_id for record in waiting]
        lost = [record.envelope_id for record in found.lost if record not in waiting]
        ends_at = self.delivery_ends_at
        return {
            "published": found.published,
            "stored": found.stored,
            "duplicate": found.duplicate,
            "conflict": found.conflict,
            "quarantined": found.quarantined,
            "quarantined_by_reason": dict(sorted(found.quarantined_by_reason.items())),
            "lost": len(lost),
            "undecided": len(undecided),
            "delivery_ends_at": ends_at.isoformat(timespec="seconds") if ends_at else None,
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
            "lost_events": lost[:100],
            "undecided_events": undecided[:100],
            "doubled_events": found.doubled[:100],
            "altered_events": found.altered[:100],
            "input_error": self.input_error or None,
        }


class FeedRunner:
    """Sends feeds through a stage.

    Args:
        queue: the queue between bus and processor.
        publisher: a publisher for the stage's bus.
    """

    def __init__(
        self, table: EventTable, queue: Queue, dead_letters: DeadLetterQueue, publisher: Publisher
    ) -> None:
        self._publisher = publisher
        self._table = table
        self._queue = queue
        self._dead_letters = dead_letters

    def run(
        self,
        events: Iterable[EventText | None],
        journal_path: Path,
        *,
        rate: float | None = None,
        patience: float = PATIENCE_SECONDS,
        on_progress: Callable[[FeedProgress], None] = lambda _: None,
        stop: Event | None = None,
    ) -> FeedRun:
        """Publish a feed, wait until the queue is empty, and find where each event is.

        Invalid events are sent too if a bus accepts them, because a producer can send events without our
        publisher.

        Args:
            events: None among them means a pause (see :meth:`Publisher.send`).
            journal_path: file for the journal of the accepted events.
            rate: events a second. None sends as fast as the pipeline stores them.
            patience: waiting ends after this many seconds in which the queue does not get shorter.
            stop: as for :meth:`Publisher.send`.

        Raises:
            botocore.exceptions.ClientError: the table or a queue cannot be read.
        """
        run = FeedRun(delivery_seconds=self._queue.timing.delivery_seconds)
        stop = stop or Event()
        backlog = Backlog(self._queue, patience, on_progress, stop)
        entries = paced(_entries(events, run), backlog.hold_back)
        if rate is not None:
            entries = at_rate(entries, rate, stop)
        with (
            JournalWriter(journal_path) as journal,
            closing(self._publisher.send(entries, stop)) as receipts,
        ):
            for receipt in receipts:
                if isinstance(receipt, Accepted):
                    journal.write(JournalRecord.of(receipt))
                    run.shipment_ids.update(_shipment_id(receipt.entry))
                    backlog.note_accepted()
                else:
                    run.unsent_by_error[receipt.why] += 1
        run.drain = self._queue.wait_until_empty(
            patience=patience, poll_seconds=_POLL_SECONDS, on_progress=backlog.show
        )
        for _ in range(_LOOKS):
            run.reconciliation = audit_journal(journal_path, self._table, self._dead_letters)
            run.judged_at = datetime.now(UTC)
            if not run.reconciliation.lost:
                break
            self._queue.timing.clock.sleep(_SECONDS_BETWEEN_LOOKS)
        return run


def _entries(events: Iterable[EventText | None], run: FeedRun) -> Iterator[Entry | None]:
    try:
        for event in events:
            if event is None:
                yield None
                continue
            try:
                yield to_entry(event)
            except InvalidEventError as error:
                if careless := careless_entry(event):
                    yield careless
                else:
                    run.refused_by_reason[error.reason.value] += 1
    except EventFileError as error:
        # The events before the error are sent and accounted for.
        run.input_error = str(error)


def careless_entry(event: EventText) -> Entry | None:
    """The entry of a producer without validation, or None if the bus would refuse it.

    PutEvents accepts a JSON object of at most 1 MB. The local engine is less strict than AWS. A bus can drop
    one of two equal keys and can round a number, so such an event is refused too.
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
