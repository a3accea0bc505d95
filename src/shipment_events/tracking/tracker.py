"""Process one batch of the stream: read the states, fold the events into them, announce, and then write.

Announced before written: a crash between the two repeats the changes, with the same ids, and loses none. The
version of a state decides who writes it, never the order of the records: AWS promises one for each item of
the table, and a shipment has many.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html

A partial failure makes Lambda send again all records from the lowest failed one on, those included that were
settled. So each step bears repeats.
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.processor.retries import pauses
from shipment_events.table.statements import Rejected, Unavailable
from shipment_events.table.store import EventTable
from shipment_events.tracking.announcer import Announcer
from shipment_events.tracking.changes import Change
from shipment_events.tracking.failures import Failure, report_failures
from shipment_events.tracking.news import UnfoldableError, news_of_item
from shipment_events.tracking.records import StreamRecord, Unfoldable, defect, read_record
from shipment_events.tracking.state import Reading, must_be_read
from shipment_events.tracking.step import Step, correct, fold_records
from shipment_events.tracking.store import (
    Found,
    Overtaken,
    ReadResult,
    ShipmentTable,
    Unreadable,
    WriteResult,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_EVENTS: Final = 100_000
"""Of one shipment that are read. They take about 150 MB of the function's memory."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an invocation tries.

    Attributes:
        budget: seconds of trying again.
        reserve: seconds that must be left before the function's timeout to send another request: enough for
            it, and for the report of failures.
    """

    budget: float = 10.0
    reserve: float = 20.0


@dataclass(slots=True)
class Tracking:
    """What became of a batch.

    Attributes:
        skipped: records that do not count: no INSERT, or the copy of a conflict.
        folded: whose shipments have states that hold them.
        unsettled: records that have to come again, with the reason.
        unfoldable: reported to the queue for failures.
        announced: changes that were put on the bus, repeats included.
        readings: shipments whose events were read.
        unreadable_events: events that such a reading had to leave out. Their own records were reported.
        lost_races: writes that came too late.
        settled_at: when all was done.
    """

    skipped: int = 0
    folded: list[StreamRecord] = field(default_factory=list)
    unsettled: list[tuple[str, str]] = field(default_factory=list)
    unfoldable: list[Unfoldable] = field(default_factory=list)
    announced: int = 0
    readings: int = 0
    unreadable_events: int = 0
    lost_races: int = 0
    settled_at: datetime = field(default_factory=_now)


@dataclass(slots=True)
class _Shipment:
    """A shipment of the batch on its way to its new state.

    Attributes:
        found: what the step was taken from.
        step: None where the shipment has to be read and folded, for the first time or again.
        unannounced: those changes of the step that are still to be put on the bus.
        lost: changes that were announced for steps which were not written.
        trouble: why the shipment is not settled.
        reason: why it can never be; empty where it may.
    """

    shipment_id: str
    records: list[StreamRecord] = field(default_factory=list)
    found: Found = field(default_factory=Found)
    step: Step | None = None
    unannounced: list[Change] = field(default_factory=list)
    lost: list[Change] = field(default_factory=list)
    trouble: str = "NotTried"
    reason: str = ""
    trace: str = ""
    is_settled: bool = False

    def take(self, found: Found, step: Step) -> None:
        """Take a step. One that changes nothing, as after a repeat, is settled without being written."""
        self.found, self.step, self.unannounced = found, step, list(step.changes)
        self.is_settled = not step.changes and step.tracked == found.tracked

    def give_up(self, reason: str, trace: str = "") -> None:
        """The shipment can never be folded or written."""
        self.reason, self.trace, self.is_settled = reason, trace, True

    def write_ended(self, result: WriteResult) -> None:
        """Go on after a write."""
        assert self.step is not None  # noqa: S101
        match result:
            case Unavailable(why):
                self.trouble = why
            case Rejected(why):
                self.give_up(f"expected a state that the table takes, got {ascii(why)[1:-1][:250]}")
            case Overtaken():
                self.trouble = "Overtaken"
                self.lost += self.step.changes
                self.step = None
            case _:
                self.is_settled = True


@dataclass(frozen=True, slots=True)
class Tracker:
    """Settles every record of a batch: folded, reported as unfoldable, or to come again.

    Attributes:
        sqs: client for the queue for failures.
        clock: tells the present, aware.
    """

    shipments: ShipmentTable
    events: EventTable
    announcer: Announcer
    sqs: "SQSClient"
    failures_queue_url: str
    patience: Patience = field(default_factory=Patience)
    clock: Callable[[], datetime] = _now

    def track(self, records: Sequence[Mapping[str, Any]], seconds_left: Callable[[], float]) -> Tracking:
        """Track the records of one batch.

        Args:
            records: as Lambda hands them over.
            seconds_left: until the function's own timeout.
        """
        tracking = Tracking()
        shipments: dict[str, _Shipment] = {}
        for record in map(read_record, records):
            if record is None:
                tracking.skipped += 1
            elif isinstance(record, Unfoldable):
                tracking.unfoldable.append(record)
            else:
                shipment = shipments.setdefault(record.shipment_id, _Shipment(record.shipment_id))
                shipment.records.append(record)
        self._settle(list(shipments.values()), tracking, seconds_left)
        for shipment in shipments.values():
            _conclude(shipment, tracking)
        self._report_failures(tracking)
        tracking.settled_at = self.clock()
        return tracking

    def _settle(
        self, pending: list[_Shipment], tracking: Tracking, seconds_left: Callable[[], float]
    ) -> None:
        """Take all shipments as far as it goes; what failed is tried again from where it stopped."""

        def has_time() -> bool:
            return seconds_left() > self.patience.reserve

        give_up_at = time.monotonic() + self.patience.budget
        delays = pauses()
        while True:
            self._fold([one for one in pending if one.step is None], tracking, has_time)
            self._announce([one for one in pending if one.unannounced], tracking, has_time)
            self._write(
                [one for one in pending if one.step and not one.unannounced and not one.is_settled],
                tracking,
                has_time,
            )
            pending = [one for one in pending if not one.is_settled]
            delay = next(delays)
            is_late = time.monotonic() + delay > give_up_at
            if not pending or is_late or seconds_left() - delay < self.patience.reserve:
                return
            time.sleep(delay)

    def _fold(self, shipments: Sequence[_Shipment], tracking: Tracking, has_time: Callable[[], bool]) -> None:
        found = self.shipments.read([one.shipment_id for one in shipments]) if shipments else {}
        for one in shipments:
            try:
                self._fold_one(one, found[one.shipment_id], tracking, has_time)
            except UnfoldableError as error:
                one.give_up(str(error))
            except (ClientError, BotoCoreError) as error:
                one.trouble = error_code(error)
            except Exception as error:  # noqa: BLE001 - a defect of ours must not stop the stream
                one.give_up(*defect(error))

    def _fold_one(
        self, one: _Shipment, found: ReadResult, tracking: Tracking, has_time: Callable[[], bool]
    ) -> None:
        if isinstance(found, Unavailable):
            one.trouble = found.why
            return
        if isinstance(found, Unreadable):
            one.give_up(found.why)
            return
        before, news = found.tracked, [record.news for record in one.records]
        reading = None
        if must_be_read(before.state if before else None, news):
            reading = self._read_events(one.shipment_id, tracking, has_time)
            if reading is None:
                one.trouble = "OutOfTime"
                return
        one.take(found, correct(fold_records(one.shipment_id, before, news, reading), one.lost))

    def _read_events(
        self, shipment_id: str, tracking: Tracking, has_time: Callable[[], bool]
    ) -> Reading | None:
        """All events of a shipment; None where time does not suffice.

        Raises:
            UnfoldableError: there are too many of them.
            botocore.exceptions.ClientError, BotoCoreError: they cannot be read now.
        """
        events, now = [], self.clock()
        for number, item in enumerate(self.events.items(shipment_id)):
            if not has_time():
                return None
            if number == MAX_EVENTS:
                raise UnfoldableError(f"expected at most {MAX_EVENTS} events of the shipment")
            try:
                news = news_of_item(item)
            except UnfoldableError:
                tracking.unreadable_events += 1
                continue
            if news:
                events.append(news)
        tracking.readings += 1
        return Reading.taken(events, now, self.shipments.retention)

    def _announce(
        self, shipments: Sequence[_Shipment], tracking: Tracking, has_time: Callable[[], bool]
    ) -> None:
        changes = [(one, change) for one in shipments for change in one.unannounced]
        failed = self.announcer.announce([change for _, change in changes], has_time)
        tracking.announced += len(changes) - len(failed)
        for one in shipments:
            one.unannounced = []
        for index, why in failed.items():
            one, change = changes[index]
            one.unannounced.append(change)
            one.trouble = f"not announced: {why}"

    def _write(
        self, shipments: Sequence[_Shipment], tracking: Tracking, has_time: Callable[[], bool]
    ) -> None:
        writes = [(one.step.tracked, one.found) for one in shipments if one.step]
        remaining = iter(shipments)
        results = self.shipments.write(writes)
        while has_time() and (part := next(results, None)):
            for result, one in zip(part, remaining, strict=False):
                one.write_ended(result)
                tracking.lost_races += isinstance(result, Overtaken)
        for one in remaining:
            one.trouble = "OutOfTime"

    def _report_failures(self, tracking: Tracking) -> None:
        """Report what can never be folded; a record that could not be reported comes again."""
        failures = [one.failure for one in tracking.unfoldable]
        failed = report_failures(self.sqs, self.failures_queue_url, failures)
        for index, why in sorted(failed.items(), reverse=True):
            one = tracking.unfoldable.pop(index)
            tracking.unsettled.append((one.sequence_number, f"failure not reported: {why}"))


def _conclude(one: _Shipment, tracking: Tracking) -> None:
    """Note what became of a shipment's records."""
    for record in one.records:
        if one.reason:
            failure = Failure(record.shipment_id, record.sort_key, one.reason)
            tracking.unfoldable.append(Unfoldable(record.sequence_number, failure, one.trace))
        elif one.is_settled:
            tracking.folded.append(record)
        else:
            tracking.unsettled.append((record.sequence_number, one.trouble))
