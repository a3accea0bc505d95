"""The one walk over a queue of dead letters: reading, redriving and discarding go through it.

A standard queue of SQS delivers a message at least once, even after it was deleted, and an empty answer does
not prove that the queue is empty; :mod:`shipment_events.queue.timing` has the sources.
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

# Long enough for a batch to be sent and deleted, short enough that after a killed command nobody waits long.
HOLD_SECONDS: Final = 20
# A look of somebody else is over by then.
_OTHERS_SECONDS: Final = 5.0


class Walk:
    """Messages of a queue, each handed out once and hidden from others until this is closed.

    SQS hides about 120,000 messages of a queue at a time; a walk does not see what lies beyond.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html

    Args:
        hold_seconds: for which others do not see a message if this process is killed.
        before_receive: called before each request for messages, to keep to a rate.

    Attributes:
        unseen: messages that were not handed out, by the count when the walk ended; approximate.
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
        """The messages, at most ten at a time; an empty batch for each receive that brought none.

        Args:
            await_count: at the end, where the count says that there are more, look for them until the count
                agrees or cannot be out of date any more.

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
        """Delete at most ten messages of this walk; safe to call from several threads.

        Returns:
            Why, by the id of each message that may still be there.
        """
        handles = self._held.handles(message_ids)
        failed = {message_ids[index]: why for index, why in self._queue.delete(handles).items()}
        with self._lock:
            gone = [message_id for message_id in message_ids if message_id not in failed]
            last = dict(zip(gone, self._held.handles(gone), strict=True))
            self._deleted.update(gone)
            self._held.drop(gone)
        # Delivered once more meanwhile.
        used = dict(zip(message_ids, handles, strict=True))
        copies = [message_id for message_id in gone if last[message_id] != used[message_id]]
        for index, why in self._queue.delete([last[message_id] for message_id in copies]).items():
            failed[copies[index]] = why
        return failed

    def _take(self, messages: "Sequence[MessageTypeDef]") -> "tuple[list[MessageTypeDef], int]":
        """Hold the messages; returns those that are new, and how many are held already.

        What was deleted and is delivered again is deleted again. Where that fails, it comes back by itself.
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
    """Tells when a walk has seen what is visible.

    Attributes:
        enough: empty polls in a row that end a walk.
        in_a_row: empty polls since a new message came.
        in_a_trickle: empty polls since more messages came between two of them than one receive brings:
            in an incident new ones keep coming, and a walk must end nevertheless.
        came: new messages since the last empty poll.
        again: messages that are held already and came once more, since a new one came or none.
    """

    enough: int
    in_a_row: int = 0
    in_a_trickle: int = 0
    came: int = 0
    again: int = 0

    @property
    def is_over(self) -> bool:
        """Nothing more is to be expected."""
        return self.in_a_row >= self.enough or self.in_a_trickle >= 2 * self.enough

    def comes_round(self, held: int) -> bool:
        """Whether all that is held came by twice and nothing new did: the queue does not hide it."""
        return self.again > 2 * (held + MAX_BATCH_ENTRIES)

    def note(self, fresh: int, again: int, *, is_empty: bool) -> None:
        """Note what a receive brought."""
        if fresh:
            self.in_a_row = self.again = 0
            self.came += fresh
        self.again += again
        if is_empty:
            self.in_a_row += 1
            self.in_a_trickle = 1 if self.came > MAX_BATCH_ENTRIES else self.in_a_trickle + 1
            self.came = self.again = 0
