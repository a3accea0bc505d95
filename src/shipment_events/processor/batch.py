"""Process one batch: insert new events, compare known ones, quarantine broken ones, retry the rest."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from shipment_events.contract.envelope import Envelope, find_envelope_id
from shipment_events.contract.event import KNOWN_NAMES
from shipment_events.contract.outcome import InvalidEventError, Reason, shown
from shipment_events.function.log_lines import stack_trace
from shipment_events.function.pauses import pauses
from shipment_events.processor.records import (
    Conflict,
    Duplicate,
    Quarantined,
    Record,
    Retried,
    Settled,
    Stored,
)
from shipment_events.processor.retries import RetryPolicy
from shipment_events.queue.messages import MAX_BATCH_ENTRIES, DeadLetter, put_off, send_dead_letters
from shipment_events.table.item import ItemTimes, Write, prepare_write
from shipment_events.table.results import Inserted, InsertResult, Occupied, Rejected, Unavailable
from shipment_events.table.store import EventTable, slices

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# The bus delivers within seconds. An event that arrives later than this may have been stored before.
LATE_AFTER: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Pending:
    record: Record
    envelope: Envelope
    write: Write
    trouble: str = "NotTried"

    def may_lie_beside(self, now: datetime) -> bool:
        """Whether its own place may have been taken, and become free, since the event was stored.

        A fresh event is not worth a read. One of a replay, a redrive or a backlog is, and so is one that was
        received before or does not say when it came.
        """
        if self.write.is_conflict:
            return False
        accepted_at = self.envelope.accepted_at
        return (
            self.envelope.replay_name is not None
            or self.record.receive_count > 1
            or accepted_at is None
            or abs(now - accepted_at) > LATE_AFTER
        )


@dataclass(frozen=True, slots=True)
class BatchProcessor:
    """Gives every record of a batch exactly one outcome.

    Attributes:
        retention: how long the table keeps an event.
        queue_url: URL of the queue that the batch came from.
    """

    table: EventTable
    retention: timedelta
    sqs: "SQSClient"
    queue_url: str
    dead_letter_queue_url: str
    policy: RetryPolicy

    def process(self, records: Sequence[Record], seconds_left: Callable[[], float]) -> list[Settled]:
        """Settle the records.

        Args:
            seconds_left: returns the seconds until the function's timeout.

        Returns:
            One result per record, in no order. ``Retried`` records must be reported to Lambda as failed.
        """
        settled: list[Settled] = []
        pending: list[_Pending] = []
        for record in records:
            result = _read(record)
            if isinstance(result, _Pending):
                pending.append(result)
            else:
                settled.append(result)
        settled += self._write(pending, seconds_left)
        return self._put_off(self._quarantine(settled, seconds_left))

    def _write(self, pending: Sequence[_Pending], seconds_left: Callable[[], float]) -> list[Settled]:
        settled: list[Settled] = []
        give_up_at = time.monotonic() + self.policy.budget
        delays = pauses()
        while pending:
            now = datetime.now(UTC)
            results = self._attempt(pending, now, seconds_left)
            pending = []
            for one, result in results:
                step = _next_step(one, result, now)
                if isinstance(step, _Pending):
                    pending.append(step)
                else:
                    settled.append(step)
            if any(isinstance(result, Unavailable) for _, result in results):
                delay = next(delays)
                if time.monotonic() + delay > give_up_at or seconds_left() - delay < self.policy.reserve:
                    break
                time.sleep(delay)
        return settled + [Retried(one.record, one.envelope.id, one.trouble, one.write) for one in pending]

    def _attempt(
        self, pending: Sequence[_Pending], now: datetime, seconds_left: Callable[[], float]
    ) -> list[tuple[_Pending, InsertResult]]:
        """Each event with its result, in no order: those that lie beside their places, and the others."""
        late = [one for one in pending if one.may_lie_beside(now)]
        if not late:
            return self._insert(pending, now, seconds_left)
        results: list[tuple[_Pending, InsertResult]] = []
        trying = [one for one in pending if not one.may_lie_beside(now)]
        for one, beside in zip(late, self.table.find_beside([one.write for one in late]), strict=True):
            if beside is None:
                trying.append(one)
            else:
                results.append((one, beside))
        return results + self._insert(trying, now, seconds_left)

    def _insert(
        self, pending: Sequence[_Pending], now: datetime, seconds_left: Callable[[], float]
    ) -> list[tuple[_Pending, InsertResult]]:
        """Each event with its result. Events with the same key share one statement.

        A request must not have a key twice. The service would refuse it, or respond for only one of the two.
        """
        leaders: dict[tuple[str, str], _Pending] = {}
        for one in pending:
            leaders.setdefault(one.write.key, one)
        of_key: dict[tuple[str, str], InsertResult] = {}
        times = ItemTimes.of(now, self.retention)
        for part in slices([one.write for one in leaders.values()]):
            results: Sequence[InsertResult]
            if of_key and seconds_left() < self.policy.reserve:
                results = [Unavailable("OutOfTime")] * len(part)
            else:
                results = self.table.insert(part, times)
            of_key.update((write.key, result) for write, result in zip(part, results, strict=True))
        return [(one, _result_for(one, leaders[one.write.key], of_key[one.write.key])) for one in pending]

    def _quarantine(self, settled: Sequence[Settled], seconds_left: Callable[[], float]) -> list[Settled]:
        """Quarantine events. If that fails, the event is retried; SQS moves it after the last receive."""
        quarantined = [result for result in settled if isinstance(result, Quarantined)]
        if not quarantined:
            return list(settled)
        letters = [
            DeadLetter(result.record.body, result.reason, result.letter_detail) for result in quarantined
        ]
        failed = send_dead_letters(
            self.sqs, self.dead_letter_queue_url, letters, lambda: seconds_left() > self.policy.reserve
        )
        retried = {
            quarantined[index].record.message_id: quarantined[index].retried(f"quarantine: {why}")
            for index, why in failed.items()
        }
        return [retried.get(result.record.message_id, result) for result in settled]

    def _put_off(self, settled: Sequence[Settled]) -> list[Settled]:
        retried = [result for result in settled if isinstance(result, Retried)]
        kept: dict[str, Retried] = {}
        for start in range(0, len(retried), MAX_BATCH_ENTRIES):
            chunk = retried[start : start + MAX_BATCH_ENTRIES]
            waits = [
                (result.record.receipt_handle, self.policy.wait_in_queue(result.record.receive_count))
                for result in chunk
            ]
            for index, why in put_off(self.sqs, self.queue_url, waits).items():
                result = chunk[index]
                kept[result.record.message_id] = replace(result, detail=f"{result.detail}; put off: {why}")
        return [kept.get(result.record.message_id, result) for result in settled]


def _read(record: Record) -> "_Pending | Settled":
    try:
        envelope, write = prepare_write(record.body)
    except InvalidEventError as error:
        envelope_id = find_envelope_id(record.body)
        return Quarantined(record, envelope_id, error.reason, error.logged(KNOWN_NAMES), error.detail)
    except Exception as error:  # noqa: BLE001 - a defect of ours must not take the batch's other events along
        return Retried(record, find_envelope_id(record.body), stack_trace(error))
    return _Pending(record, envelope, write)


def _result_for(one: _Pending, leader: _Pending, result: InsertResult) -> InsertResult:
    if one is leader or isinstance(result, Unavailable | Occupied):
        return result
    if isinstance(result, Inserted):
        return Occupied(leader.write.content_hash)
    # The table refused the content of the leader. It may accept the content of this event.
    return Unavailable("KeySharedWithRejected")


def _next_step(one: _Pending, result: InsertResult, now: datetime) -> "_Pending | Settled":
    match result:
        case Inserted():
            kind = Conflict if one.write.is_conflict else Stored
            return kind(one.record, one.envelope, one.write, now)
        case Occupied(content_hash):
            if content_hash == one.write.content_hash:
                return Duplicate(one.record, one.envelope.id, one.write)
            return replace(one, write=one.write.beside())
        case Rejected(why):
            # SQS refuses an attribute without a value.
            found = shown(why, quote=False, limit=250) or "the table gave no reason"
            expected = "expected an item that the table takes"
            return Quarantined(one.record, one.envelope.id, Reason.UNSTORABLE, expected, found, one.write)
        case Unavailable(why):
            return replace(one, trouble=why)
