"""The walk over the dead-letter queue that reading, redriving and discarding use.

A standard queue of SQS may deliver a message several times, even after it was deleted. An empty response does
not prove that the queue is empty; :mod:`shipment_events.queue.timing` names the sources.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues-at-least-once-delivery.html
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from shipment_events.dead_letters.holds import Holds
from shipment_events.queue.messages import MAX_BATCH_ENTRIES
from shipment_events.queue.queue import Queue

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# Long enough to send and delete a batch. Short enough that nobody waits long after a command was killed.
HOLD_SECONDS: Final = 20
# Long enough for a short read by somebody else to end.
_OTHERS_SECONDS: Final = 5.0


class Walk:
    """Yields each message of a queue once and hides it from others until this is closed.

    SQS allows about 120,000 messages in flight per queue. A walk does not see more.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html

    Args:
        hold_seconds: how long a message stays hidden from others if this process is killed.
        before_receive: called before each receive, to limit the rate.

    Attributes:
        unseen: approximate number of messages that the queue still counted when the walk ended.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        hold_seconds: int = HOLD_SECONDS,
        before_receive: Callable[[], None] = lambda: None,
    ) -> None:
        self.unseen = 0
        self._queue = queue
        self._hold_seconds = hold_seconds
        self._before_receive = before_receive
        self._held = Holds(queue, hold_seconds)
        self._deleted: set[str] = set()
        self._lock = Lock()

    def __enter__(self) -> Self:
        self._held.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.__exit__(kind, error, trace)

    def batches(self, *, await_count: bool) -> "Iterator[list[MessageTypeDef]]":
        """Yield the messages, at most ten at a time. A receive without new messages yields an empty batch.

        Args:
            await_count: if the queue still counts messages at the end, look for them until the count is 0 or
                can no longer be out of date.

        Raises:
            botocore.exceptions.ClientError: the queue cannot be read.
        """
        timing = self._queue.timing
        now = timing.clock.now
        quiet = _Quiet(timing.empty_polls)
        deadline: float | None = None
        while True:
            self._before_receive()
            self._held.keep()
            messages = self._queue.receive(hold_seconds=self._hold_seconds)
            fresh, again = self._take(messages)
            yield fresh
            quiet.note(len(fresh), again, is_empty=not messages)
            comes_round = quiet.comes_round(len(self._held))
            if not (quiet.is_over or comes_round):
                deadline = None
                continue
            if deadline is None:
                deadline = now() + max(_OTHERS_SECONDS, timing.settling_seconds)
            self.unseen = max(0, self._queue.depth().total - len(self._held))
            if not (self.unseen and await_count) or comes_round or now() >= deadline:
                return

    def delete(self, message_ids: Sequence[str]) -> dict[str, str]:
        """Delete at most ten messages of this walk. Several threads may call this.

        Returns:
            The error by the id of each message that may still be in the queue.
        """
        handles = self._held.handles(message_ids)
        failed = {message_ids[index]: why for index, why in self._queue.delete(handles).items()}
        with self._lock:
            gone = [message_id for message_id in message_ids if message_id not in failed]
            last = dict(zip(gone, self._held.handles(gone), strict=True))
            self._deleted.update(gone)
            self._held.drop(gone)
        # Messages that were delivered again during the deletion have a new handle.
        used = dict(zip(message_ids, handles, strict=True))
        copies = [message_id for message_id in gone if last[message_id] != used[message_id]]
        for index, why in self._queue.delete([last[message_id] for message_id in copies]).items():
            failed[copies[index]] = why
        return failed

    def _take(self, messages: "Sequence[MessageTypeDef]") -> "tuple[list[MessageTypeDef], int]":
        """Hold the messages. Returns the new ones, and the number of messages that were already held.

        A deleted message that is delivered again is deleted again. If this fails, it will be delivered again.
        """
        fresh, copies, again = [], [], 0
        with self._lock:
            for message in messages:
                if message["MessageId"] in self._deleted:
                    copies.append(message["ReceiptHandle"])
                    continue
                if message["MessageId"] in self._held:
                    again += 1
                else:
                    fresh.append(message)
                self._held.add(message["MessageId"], message["ReceiptHandle"])
        self._queue.delete(copies)
        return fresh, again


@dataclass(slots=True)
class _Quiet:
    """Decides when a walk has seen every visible message.

    Attributes:
        enough: number of consecutive empty polls that ends a walk.
        in_a_row: empty polls since the last new message.
        in_a_trickle: empty polls with at most one receive's worth of new messages between two of them. New
            messages may arrive during the whole walk, and it must still end.
        came: new messages since the last empty poll.
        again: held messages that were delivered again since the last new message or empty poll.
    """

    enough: int
    in_a_row: int = 0
    in_a_trickle: int = 0
    came: int = 0
    again: int = 0

    @property
    def is_over(self) -> bool:
        """Whether no more new messages are expected."""
        return self.in_a_row >= self.enough or self.in_a_trickle >= 2 * self.enough

    def comes_round(self, held: int) -> bool:
        """Whether the held messages came twice more and no new one did: the queue does not hide them."""
        return self.again > 2 * (held + MAX_BATCH_ENTRIES)

    def note(self, fresh: int, again: int, *, is_empty: bool) -> None:
        """Count the messages of a receive."""
        if fresh:
            self.in_a_row = self.again = 0
            self.came += fresh
        self.again += again
        if is_empty:
            self.in_a_row += 1
            self.in_a_trickle = 1 if self.came > MAX_BATCH_ENTRIES else self.in_a_trickle + 1
            self.came = self.again = 0
