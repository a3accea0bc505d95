"""Send a feed through the deployed pipeline and account for each of its events."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Final

from shipment_events.accounting.audit import audit_journal, shipment_id_of
from shipment_events.accounting.feed_run import FeedRun
from shipment_events.accounting.pace import Backlog, FeedProgress, at_rate, paced
from shipment_events.accounting.read_side import ReadSide
from shipment_events.contract.exact_json import loads
from shipment_events.contract.limits import MAX_EVENT_TYPE_CHARACTERS
from shipment_events.contract.outcome import InvalidEventError
from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.publishing.entries import MAX_REQUEST_BYTES, Entry, ensure_carried
from shipment_events.publishing.event_files import EventFileError, EventText
from shipment_events.publishing.journal import JournalRecord, JournalWriter
from shipment_events.publishing.publish_file import to_entry
from shipment_events.publishing.publisher import Accepted, Publisher
from shipment_events.queue.queue import PATIENCE_SECONDS, Queue
from shipment_events.table.store import EventTable

_POLL_SECONDS: Final = 0.2
# One pass over the dead letters can miss one, so they are read again before an event counts as lost.
_LOOKS: Final = 3
_SECONDS_BETWEEN_LOOKS: Final = 2.0


class FeedRunner:
    """Sends feeds through a stage.

    Args:
        queue: the queue between bus and processor.
        publisher: a publisher for the stage's bus.
        read_side: None if the stage does not track shipments.
    """

    def __init__(
        self,
        table: EventTable,
        queue: Queue,
        dead_letters: DeadLetterQueue,
        publisher: Publisher,
        *,
        read_side: ReadSide | None = None,
    ) -> None:
        self._read_side = read_side
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
        with JournalWriter(journal_path) as journal:
            self._publish(entries, journal, backlog, run, stop)
        run.drain = self._queue.wait_until_empty(
            patience=patience, poll_seconds=_POLL_SECONDS, on_progress=backlog.show
        )
        if self._read_side:
            # First of all, because it measures how soon the states are right.
            run.read_side = self._read_side.account(
                list(reversed(run.shipment_ids)),
                lambda event: event.correlation_id in run.envelope_ids,
                on_progress=backlog.show_behind,
            )
        self._audit(journal_path, run)
        return run

    def _publish(
        self,
        entries: Iterator[Entry | None],
        journal: JournalWriter,
        backlog: Backlog,
        run: FeedRun,
        stop: Event,
    ) -> None:
        with closing(self._publisher.send(entries, stop)) as receipts:
            for receipt in receipts:
                if isinstance(receipt, Accepted):
                    journal.write(JournalRecord.of(receipt))
                    run.note_accepted(receipt.envelope_id, shipment_id_of(receipt.entry.detail))
                    backlog.note_accepted()
                else:
                    run.unsent_by_error[receipt.why] += 1

    def _audit(self, journal_path: Path, run: FeedRun) -> None:
        for _ in range(_LOOKS):
            run.reconciliation = audit_journal(journal_path, self._table, self._dead_letters)
            run.judged_at = datetime.now(UTC)
            if not run.reconciliation.lost:
                break
            self._queue.timing.clock.sleep(_SECONDS_BETWEEN_LOOKS)


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
