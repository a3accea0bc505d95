"""Rebuild the states of some shipments or of all, with several threads, until done or interrupted."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from queue import SimpleQueue
from threading import Event
from typing import Final

from shipment_events.contract.moments import now
from shipment_events.rebuilding.examined import Examined, Verdict
from shipment_events.rebuilding.examiner import Examiner
from shipment_events.rebuilding.histories import StoredHistory, histories
from shipment_events.table.scan import TableScan, TableSize
from shipment_events.table.store import EventTable
from shipment_events.tracking.announcer import Announcer
from shipment_events.tracking.store import ShipmentTable

_THREADS: Final = 4
# More than threads, because a segment can be larger than others.
_SEGMENTS: Final = 32
_MOST_SHIPMENTS: Final = 100
# Events of a batch are in memory together. Each takes one to nine kilobytes.
_MOST_EVENTS: Final = 2_000
_NAMED_TOGETHER: Final = 25


@dataclass(slots=True)
class Rebuilt:
    """Counts of a rebuild.

    Attributes:
        events: events read by the scan; 0 if shipments were named.
        verdicts: number of shipments by verdict.
        changes: changes that were announced, or would be.
        unfoldable: stored items that are not events.
        lost_races: how often another writer was first.
        interrupted: whether a person ended it early. What was done until then is done.
    """

    events: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    changes: int = 0
    unfoldable: int = 0
    lost_races: int = 0
    interrupted: bool = False

    @property
    def shipments(self) -> int:
        """The number of shipments that were compared."""
        return self.verdicts.total()

    def add(self, examined: Examined) -> None:
        """Count a shipment."""
        self.verdicts[examined.verdict] += 1
        self.changes += len(examined.changes)
        self.unfoldable += len(examined.unfoldable)
        self.lost_races += examined.lost_races

    def merge(self, other: "Rebuilt") -> None:
        """Add the counts of another rebuild."""
        self.events += other.events
        self.verdicts += other.verdicts
        self.changes += other.changes
        self.unfoldable += other.unfoldable
        self.lost_races += other.lost_races
        self.interrupted |= other.interrupted


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of a rebuild while it runs, in the thread that called it.

    Attributes:
        on_shipment: called with each shipment that is not simply ``SAME``.
        on_progress: called with the counts after each batch.
    """

    on_shipment: Callable[[Examined], None] = lambda _: None
    on_progress: Callable[[Rebuilt], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class _Batch:
    """A part of the work that is done."""

    examined: Sequence[Examined] = ()
    events: int = 0


_Job = Callable[[], Iterator[_Batch]]


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """Compares the states of a stage with its events, and writes the states that differ.

    It may run beside the tracker and beside another rebuild. A state that is right is not written. So an
    interrupted rebuild can be repeated.

    Attributes:
        clock: gives the current time, aware.
    """

    shipments: ShipmentTable
    events: EventTable
    scan: TableScan
    announcer: Announcer
    clock: Callable[[], datetime] = now
    sleep: Callable[[float], None] = time.sleep

    def size(self) -> TableSize:
        """The approximate size of the table that :meth:`rebuild_all` reads.

        Raises:
            botocore.exceptions.ClientError: the table cannot be described.
        """
        return self.scan.size()

    def rebuild(
        self,
        shipment_ids: Collection[str],
        *,
        dry_run: bool = False,
        announce: bool = False,
        listener: Listener | None = None,
    ) -> Rebuilt:
        """Rebuild these shipments.

        Args:
            dry_run: compare only. A difference is read again before it is reported.
            announce: announce the current status and estimate of a shipment if no one has announced them.
        """
        examiner = self._examiner(dry_run=dry_run, announce=announce)
        ids = list(dict.fromkeys(shipment_ids))
        parts = [ids[start : start + _NAMED_TOGETHER] for start in range(0, len(ids), _NAMED_TOGETHER)]
        return _run([_named(examiner, part) for part in parts], listener or Listener())

    def rebuild_all(
        self,
        *,
        dry_run: bool = False,
        announce: bool = False,
        listener: Listener | None = None,
    ) -> Rebuilt:
        """Rebuild all shipments that have events. The whole table of events is read once.

        The events of a shipment are read again only if its state differs from them.

        Args:
            dry_run, announce: as in :meth:`rebuild`.

        Raises:
            botocore.exceptions.ClientError: the table of events cannot be read.
        """
        examiner = self._examiner(dry_run=dry_run, announce=announce)
        jobs = [_segment(examiner, self.scan, number) for number in range(_SEGMENTS)]
        return _run(jobs, listener or Listener())

    def _examiner(self, *, dry_run: bool, announce: bool) -> Examiner:
        return Examiner(
            self.shipments,
            self.events,
            self.announcer,
            dry_run=dry_run,
            announce=announce,
            clock=self.clock,
            sleep=self.sleep,
        )


def _named(examiner: Examiner, ids: Sequence[str]) -> _Job:
    def job() -> Iterator[_Batch]:
        yield _Batch(examiner.examine(ids))

    return job


def _segment(examiner: Examiner, scan: TableScan, number: int) -> _Job:
    def job() -> Iterator[_Batch]:
        for part in _parts(histories(scan.segment(number, _SEGMENTS))):
            events = sum(history.items for history in part)
            # If the scan does not bring a shipment's events together, a part of them differs from the state.
            # Then all are read.
            read = {history.shipment_id: history for history in part}
            yield _Batch(examiner.examine(read, read) if read else (), events)

    return job


def _parts(found: Iterable[StoredHistory]) -> Iterator[list[StoredHistory]]:
    """Parts of at most a hundred shipments. The last shipment of a part can have many events."""
    part: list[StoredHistory] = []
    events = 0
    for history in found:
        part.append(history)
        events += history.items
        if len(part) == _MOST_SHIPMENTS or events >= _MOST_EVENTS:
            yield part
            part, events = [], 0
    if part:
        yield part


def _run(jobs: Sequence[_Job], listener: Listener) -> Rebuilt:
    """Do the jobs. After an interrupt or an error, only the batches under way are finished."""
    rebuilt, stop = Rebuilt(), Event()
    results: SimpleQueue[_Batch | BaseException | None] = SimpleQueue()

    def work(job: _Job) -> None:
        try:
            batches = job()
            while not stop.is_set() and (batch := next(batches, None)):
                results.put(batch)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that called
            results.put(error)
        results.put(None)

    def count(batch: _Batch) -> None:
        rebuilt.events += batch.events
        for examined in batch.examined:
            rebuilt.add(examined)
            if examined.verdict is not Verdict.SAME or examined.unfoldable:
                listener.on_shipment(examined)
        listener.on_progress(rebuilt)

    def collect(jobs_left: int) -> None:
        while jobs_left:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                jobs_left -= 1
            else:
                count(result)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="rebuild") as pool:
        for job in jobs:
            pool.submit(work, job)
        try:
            collect(len(jobs))
        except KeyboardInterrupt:
            rebuilt.interrupted = True
        finally:
            stop.set()
    if rebuilt.interrupted:
        # The batches that were under way have ended by now, too.
        while not results.empty():
            if isinstance(result := results.get(), _Batch):
                count(result)
    return rebuilt
