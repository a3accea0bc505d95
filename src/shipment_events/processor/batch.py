"""Process one batch: write what is new, compare what is not, quarantine the hopeless, put off the rest."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from traceback import format_tb
from typing import TYPE_CHECKING, Final

from shipment_events.contract.event import KNOWN_NAMES, Envelope, find_envelope_id
from shipment_events.contract.outcome import InvalidEventError, Outcome, Reason
from shipment_events.processor.records import Record, Settled
from shipment_events.processor.retries import RetryPolicy
from shipment_events.queue.messages import MAX_BATCH_ENTRIES, DeadLetter, put_off, send_dead_letters
from shipment_events.table.item import Write, prepare_write
from shipment_events.table.statements import Rejected, Unavailable
from shipment_events.table.store import (
    EventTable,
    Inserted,
    InsertResult,
    Occupied,
    slices,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# The bus delivers within seconds. What comes later than this may have been stored before.
LATE_AFTER: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Pending:
    record: Record
    envelope: Envelope
    write: Write
    trouble: str = "NotTried"

    def may_lie_beside(self, now: datetime) -> bool:
        """Whether its own place may have been taken, and become free, since the event was stored.

        A fresh event is not worth a read. One of a replay, a redrive or a backlog is, and so is one that does
        not say when it came.
        """
        if self.write.is_conflict:
            return False
        accepted_at = self.envelope.accepted_at
        return (
            self.envelope.replay_name is not None
            or accepted_at is None
            or abs(now - accepted_at) > LATE_AFTER
        )

    def settle(
        self,
        outcome: Outcome,
        *,
        reason: Reason | None = None,
        detail: str | None = None,
        letter_detail: str | None = None,
        stored_at: datetime | None = None,
    ) -> Settled:
        return Settled(
            self.record,
            outcome,
            self.envelope.id,
            envelope=self.envelope,
            write=self.write,
            reason=reason,
            detail=detail,
            letter_detail=letter_detail,
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
            results = self._attempt(pending, now, seconds_left)
            pending = []
            for one, result in results:
                step = _next_step(one, result, now)
                if isinstance(step, Settled):
                    settled.append(step)
                else:
                    pending.append(step)
            if any(isinstance(result, Unavailable) for _, result in results):
                delay = next(delays)
                if time.monotonic() + delay > give_up_at or seconds_left() - delay < self.policy.reserve:
                    break
                time.sleep(delay)
        return settled + [one.settle(Outcome.RETRIED, detail=one.trouble) for one in pending]

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
        """Each event with its result; events that share a key share a statement.

        One request must not hold a key twice: the service would refuse it, or answer for one of the two.
        """
        leaders: dict[tuple[str, str], _Pending] = {}
        for one in pending:
            leaders.setdefault(one.write.key, one)
        of_key: dict[tuple[str, str], InsertResult] = {}
        for part in slices([one.write for one in leaders.values()]):
            results: Sequence[InsertResult]
            if of_key and seconds_left() < self.policy.reserve:
                results = [Unavailable("OutOfTime")] * len(part)
            else:
                results = self.table.insert(part, now)
            of_key.update((write.key, result) for write, result in zip(part, results, strict=True))
        return [(one, _result_for(one, leaders[one.write.key], of_key[one.write.key])) for one in pending]

    def _quarantine(self, settled: Sequence[Settled]) -> list[Settled]:
        """Send what can never succeed; what could not be sent is retried, and SQS moves it in the end."""
        quarantined = [result for result in settled if result.outcome is Outcome.QUARANTINED]
        if not quarantined:
            return list(settled)
        letters = [
            DeadLetter(result.record.body, result.reason or Reason.UNSTORABLE, result.letter_detail or "")
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
        envelope, write = prepare_write(record.body)
    except InvalidEventError as error:
        return Settled(
            record,
            Outcome.QUARANTINED,
            find_envelope_id(record.body),
            reason=error.reason,
            detail=error.logged(KNOWN_NAMES),
            letter_detail=error.detail,
        )
    except Exception as error:  # noqa: BLE001 - a defect of ours must not take the batch's other events along
        # Without its message, which may hold text of the event.
        trace = "".join([*format_tb(error.__traceback__), type(error).__name__])
        return Settled(record, Outcome.RETRIED, find_envelope_id(record.body), detail=trace)
    return _Pending(record, envelope, write)


def _result_for(one: _Pending, leader: _Pending, result: InsertResult) -> InsertResult:
    if one is leader or isinstance(result, Unavailable | Occupied):
        return result
    if isinstance(result, Inserted):
        return Occupied(leader.write.content_hash)
    # The table refused the leader's content, which tells nothing of this one's.
    return Unavailable("KeySharedWithRejected")


def _next_step(one: _Pending, result: InsertResult, now: datetime) -> "_Pending | Settled":
    match result:
        case Inserted():
            outcome = Outcome.CONFLICT if one.write.is_conflict else Outcome.STORED
            return one.settle(outcome, stored_at=now)
        case Occupied(content_hash):
            if content_hash == one.write.content_hash:
                return one.settle(Outcome.DUPLICATE)
            return replace(one, write=one.write.beside())
        case Rejected(why):
            # SQS refuses an attribute without a value.
            found = ascii(why)[1:-1][:250] or "the table gave no reason"
            return one.settle(
                Outcome.QUARANTINED,
                reason=Reason.UNSTORABLE,
                detail="expected an item that the table takes",
                letter_detail=found,
            )
        case Unavailable(why):
            return replace(one, trouble=why)
