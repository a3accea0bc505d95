"""Process one batch: write what is new, compare what is not, quarantine the hopeless, put off the rest."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from traceback import format_exception
from typing import TYPE_CHECKING

from shipment_events.contract.event import Envelope, find_envelope_id, open_envelope, parse_event
from shipment_events.contract.outcome import InvalidEventError, Outcome, Reason
from shipment_events.processor.records import Record, Settled
from shipment_events.processor.retries import RetryPolicy
from shipment_events.queue.messages import MAX_BATCH_ENTRIES, DeadLetter, put_off, send_dead_letters
from shipment_events.table.item import Write, ensure_fits
from shipment_events.table.store import (
    MAX_STATEMENTS,
    EventTable,
    Inserted,
    InsertResult,
    Occupied,
    Rejected,
    Unavailable,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class _Pending:
    record: Record
    envelope: Envelope
    write: Write
    trouble: str = "NotTried"

    def settle(
        self,
        outcome: Outcome,
        *,
        reason: Reason | None = None,
        detail: str | None = None,
        stored_at: datetime | None = None,
    ) -> Settled:
        return Settled(
            self.record,
            outcome,
            self.envelope.id,
            envelope=self.envelope,
            event=self.write.event,
            reason=reason,
            detail=detail,
            stored_at=stored_at,
        )


@dataclass(frozen=True, slots=True)
class BatchProcessor:
    """Settles every record of a batch as exactly one outcome.

    Attributes:
        queue_url: where the batch came from.
    """

    table: EventTable
    sqs: "SQSClient"
    queue_url: str
    dead_letter_queue_url: str
    policy: RetryPolicy

    def process(self, records: Sequence[Record], seconds_left: Callable[[], float]) -> list[Settled]:
        """Settle the records.

        Args:
            seconds_left: until the function's own timeout.

        Returns:
            One result a record, in no order. ``RETRIED`` ones must be reported to Lambda as failed.
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
        return self._put_off(self._quarantine(settled))

    def _write(self, pending: Sequence[_Pending], seconds_left: Callable[[], float]) -> list[Settled]:
        settled: list[Settled] = []
        give_up_at = time.monotonic() + self.policy.budget
        delays = self.policy.delays()
        while pending:
            now = datetime.now(UTC)
            results = self._insert(pending, now)
            waiting: list[_Pending] = []
            for one, result in zip(pending, results, strict=True):
                step = _next_step(one, result, now)
                if isinstance(step, Settled):
                    settled.append(step)
                else:
                    waiting.append(step)
            pending = waiting
            if any(isinstance(result, Unavailable) for result in results):
                delay = next(delays)
                if time.monotonic() + delay > give_up_at or seconds_left() - delay < self.policy.reserve:
                    break
                time.sleep(delay)
        return settled + [one.settle(Outcome.RETRIED, detail=one.trouble) for one in pending]

    def _insert(self, pending: Sequence[_Pending], now: datetime) -> list[InsertResult]:
        """Result of each event, in the same order; events that share a key share a statement.

        One request must not hold a key twice: the service would refuse it, or answer for one of the two.
        """
        leaders: dict[tuple[str, str], _Pending] = {}
        for one in pending:
            leaders.setdefault(one.write.key, one)
        of_key: dict[tuple[str, str], InsertResult] = {}
        distinct = list(leaders.values())
        for start in range(0, len(distinct), MAX_STATEMENTS):
            chunk = distinct[start : start + MAX_STATEMENTS]
            results = self.table.insert([one.write for one in chunk], now)
            of_key.update((one.write.key, result) for one, result in zip(chunk, results, strict=True))
        return [_result_for(one, leaders[one.write.key], of_key[one.write.key]) for one in pending]

    def _quarantine(self, settled: Sequence[Settled]) -> list[Settled]:
        """Send what can never succeed; what could not be sent is retried, and SQS moves it in the end."""
        quarantined = [result for result in settled if result.outcome is Outcome.QUARANTINED]
        if not quarantined:
            return list(settled)
        letters = [
            DeadLetter(result.record.body, result.reason or Reason.UNSTORABLE, result.detail or "")
            for result in quarantined
        ]
        failed = send_dead_letters(self.sqs, self.dead_letter_queue_url, letters)
        retried = {quarantined[i].record.message_id: f"quarantine: {why}" for i, why in failed.items()}
        return [
            replace(result, outcome=Outcome.RETRIED, detail=retried[result.record.message_id])
            if result.record.message_id in retried
            else result
            for result in settled
        ]

    def _put_off(self, settled: Sequence[Settled]) -> list[Settled]:
        retried = [result for result in settled if result.outcome is Outcome.RETRIED]
        kept: dict[str, str] = {}
        for start in range(0, len(retried), MAX_BATCH_ENTRIES):
            chunk = retried[start : start + MAX_BATCH_ENTRIES]
            waits = [
                (result.record.receipt_handle, self.policy.wait_in_queue(result.record.receive_count))
                for result in chunk
            ]
            failed = put_off(self.sqs, self.queue_url, waits)
            kept.update((chunk[i].record.message_id, why) for i, why in failed.items())
        return [
            replace(result, detail=f"{result.detail}; put off: {kept[result.record.message_id]}")
            if result.record.message_id in kept
            else result
            for result in settled
        ]


def _read(record: Record) -> "_Pending | Settled":
    try:
        envelope = open_envelope(record.body)
        event = parse_event(envelope.detail, detail_type=envelope.detail_type)
        ensure_fits(event)
    except InvalidEventError as error:
        correlation_id = find_envelope_id(record.body)
        return Settled(record, Outcome.QUARANTINED, correlation_id, reason=error.reason, detail=error.detail)
    except Exception as error:  # noqa: BLE001 - a defect of ours must not take the batch's other events along
        trace = "".join(format_exception(error))
        return Settled(record, Outcome.RETRIED, find_envelope_id(record.body), detail=trace)
    return _Pending(record, envelope, Write(event, event.sort_key, envelope.id))


def _result_for(one: _Pending, leader: _Pending, result: InsertResult) -> InsertResult:
    if one is leader or isinstance(result, Unavailable | Occupied):
        return result
    if isinstance(result, Inserted):
        return Occupied(leader.write.event.content_hash)
    # The table refused the leader's content, which tells nothing of this one's.
    return Unavailable("KeySharedWithRejected")


def _next_step(one: _Pending, result: InsertResult, now: datetime) -> "_Pending | Settled":
    match result:
        case Inserted():
            outcome = Outcome.CONFLICT if one.write.is_conflict else Outcome.STORED
            return one.settle(outcome, stored_at=now)
        case Occupied(content_hash):
            if content_hash == one.write.event.content_hash:
                return one.settle(Outcome.DUPLICATE)
            return replace(one, write=one.write.beside())
        case Rejected(why):
            # SQS refuses an attribute without a value.
            detail = ascii(why)[1:-1][:250] or "the table gave no reason"
            return one.settle(Outcome.QUARANTINED, reason=Reason.UNSTORABLE, detail=detail)
        case Unavailable(why):
            return replace(one, trouble=why)
