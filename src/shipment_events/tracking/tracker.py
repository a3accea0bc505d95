"""Process one batch of the stream: read the states, fold the events, announce the changes, write the states.

Changes are announced before the states are written. A crash in between repeats them with the same ids, and
loses none. Each write checks the version of the state, because the order of records does not protect it: the
stream keeps the order of changes to one item, and a shipment has many items.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html

After a partial failure, Lambda retries all records from the lowest failed one, including settled ones. So
each step can be repeated.
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.contract.moments import now
from shipment_events.function.pauses import pauses
from shipment_events.table.results import Unavailable
from shipment_events.table.store import EventTable
from shipment_events.tracking.announcer import Announcer
from shipment_events.tracking.batch import Pending, Tracking
from shipment_events.tracking.failures import Failure, report_failures
from shipment_events.tracking.history import History, read_history
from shipment_events.tracking.news import UnfoldableError
from shipment_events.tracking.records import Unfoldable, defect, read_record
from shipment_events.tracking.state import Reading, must_be_read
from shipment_events.tracking.step import correct, fold_records
from shipment_events.tracking.store import (
    Overtaken,
    ReadResult,
    ShipmentTable,
    Unreadable,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an invocation tries.

    Attributes:
        budget: seconds for retries.
        reserve: seconds that must remain before the function's timeout to send another request. They suffice
            for the request and the report of failures.
        reading: seconds that must remain besides, to read events. Else a batch with many readings would end
            before one of its shipments is written, each time that it is retried.
    """

    budget: float = 10.0
    reserve: float = 20.0
    reading: float = 10.0

    def has_time(self, seconds_left: Callable[[], float]) -> Callable[[], bool]:
        """Whether there is time for another request."""
        return lambda: seconds_left() > self.reserve


@dataclass(frozen=True, slots=True)
class Tracker:
    """Settles each record of a batch: it is folded, reported as unfoldable, or retried.

    Attributes:
        sqs: client for the queue for failures.
        clock: gives the current time, aware.
    """

    shipments: ShipmentTable
    events: EventTable
    announcer: Announcer
    sqs: "SQSClient"
    failures_queue_url: str
    patience: Patience = field(default_factory=Patience)
    clock: Callable[[], datetime] = now

    def track(self, records: Sequence[Mapping[str, Any]], seconds_left: Callable[[], float]) -> Tracking:
        """Track the records of one batch.

        Args:
            records: the records of Lambda's event.
            seconds_left: gives the seconds until the function's timeout.
        """
        tracking = Tracking()
        shipments: dict[str, Pending] = {}
        for record in map(read_record, records):
            if record is None:
                tracking.skipped += 1
            elif isinstance(record, Unfoldable):
                tracking.unfoldable.append(record)
            else:
                shipment = shipments.setdefault(record.shipment_id, Pending(record.shipment_id))
                shipment.records.append(record)
        self._settle(list(shipments.values()), tracking, seconds_left)
        for shipment in shipments.values():
            shipment.conclude(tracking)
        self._report_failures(tracking, self.patience.has_time(seconds_left))
        tracking.settled_at = self.clock()
        return tracking

    def _settle(self, pending: list[Pending], tracking: Tracking, seconds_left: Callable[[], float]) -> None:
        """Fold, announce and write all shipments. A retry continues with the step that failed."""
        has_time = self.patience.has_time(seconds_left)
        give_up_at = time.monotonic() + self.patience.budget
        delays = pauses()
        while True:
            self._fold([one for one in pending if one.step is None], tracking, seconds_left)
            self._announce([one for one in pending if one.unannounced], tracking, has_time)
            ready = [one for one in pending if one.step and not one.unannounced and not one.is_settled]
            self._write(ready, tracking, has_time)
            pending = [one for one in pending if not one.is_settled]
            delay = next(delays)
            is_late = time.monotonic() + delay > give_up_at
            if not pending or is_late or seconds_left() - delay < self.patience.reserve:
                return
            time.sleep(delay)

    def _fold(
        self, shipments: Sequence[Pending], tracking: Tracking, seconds_left: Callable[[], float]
    ) -> None:
        def has_time() -> bool:
            return seconds_left() > self.patience.reserve + self.patience.reading

        found = self.shipments.read([one.shipment_id for one in shipments]) if shipments else {}
        for one in shipments:
            try:
                self._fold_one(one, found[one.shipment_id], tracking, has_time)
            except UnfoldableError as error:
                one.give_up(str(error))
            except (ClientError, BotoCoreError) as error:
                one.trouble = error_code(error)
            except Exception as error:  # noqa: BLE001 - a defect in our code must not stop the stream
                one.give_up(*defect(error))

    def _fold_one(
        self, one: Pending, found: ReadResult, tracking: Tracking, has_time: Callable[[], bool]
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
            now = self.clock()
            history = read_history(self.events, one.shipment_id, has_time)
            if history is None:
                one.trouble = "OutOfTime"
                return
            reading = Reading.taken(history.news, now, self.shipments.retention)
            tracking.readings += 1
            if why := self._report_unreadable(history, reading, tracking, has_time, is_first=before is None):
                one.trouble = why
                return
        step = correct(fold_records(one.shipment_id, before, news, reading), one.lost)
        if step.changes or step.tracked != before:
            one.take(step, self.shipments.statement(step.tracked, found))
        else:
            # The records are repeats, so nothing is new.
            one.is_settled = True

    def _report_unreadable(
        self,
        history: History,
        reading: Reading,
        tracking: Tracking,
        has_time: Callable[[], bool],
        *,
        is_first: bool,
    ) -> str:
        """Report the events that a reading left out. Returns why they may not be in the queue, or nothing.

        An event is reported with its own record. Only an event without a record to come is reported here:
        the first reading of the shipment finds it, and the stream has not had its record for a day. Later
        readings find the same events again, and the log names one of them.
        """
        if not history.left_out:
            return ""
        tracking.unreadable_events += history.left_out
        tracking.unreadable_event = tracking.unreadable_event or history.unreadable[0].failure
        failures = [
            one.failure
            for one in history.unreadable
            if is_first and (one.stored_at is None or one.stored_at < reading.records_since)
        ]
        if failures and history.left_out > len(history.unreadable):
            reason = f"expected events that can be folded, got {history.left_out} others; see the first"
            failures.append(Failure(failures[0].shipment_id, "", reason))
        failed = report_failures(self.sqs, self.failures_queue_url, failures, has_time)
        return next((f"failure not reported: {why}" for why in failed.values()), "")

    def _announce(
        self, shipments: Sequence[Pending], tracking: Tracking, has_time: Callable[[], bool]
    ) -> None:
        changes = [(one, change) for one in shipments for change in one.unannounced]
        failed = self.announcer.announce([change for _, change in changes], has_time)
        tracking.announced += len(changes) - len(failed)
        for one in shipments:
            one.unannounced = []
        for index, why in failed.items():
            one, change = changes[index]
            one.announcing_failed(change, why)

    def _write(self, shipments: Sequence[Pending], tracking: Tracking, has_time: Callable[[], bool]) -> None:
        remaining = iter(shipments)
        results = self.shipments.write([one.statement for one in shipments])
        while has_time() and (part := next(results, None)):
            for result, one in zip(part, remaining, strict=False):
                one.write_ended(result)
                tracking.lost_races += isinstance(result, Overtaken)
        for one in remaining:
            one.trouble = "OutOfTime"

    def _report_failures(self, tracking: Tracking, has_time: Callable[[], bool]) -> None:
        """Report records that can never be folded. A record that cannot be reported is retried."""
        failures = [one.failure for one in tracking.unfoldable]
        failed = report_failures(self.sqs, self.failures_queue_url, failures, has_time)
        for index, why in sorted(failed.items(), reverse=True):
            one = tracking.unfoldable.pop(index)
            tracking.unsettled.append((one.sequence_number, f"failure not reported: {why}"))
