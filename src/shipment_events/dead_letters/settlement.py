"""Do something for each selected dead letter and delete it, without losing one."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from shipment_events.dead_letters.letters import (
    DeadLetterMessage,
    Selection,
    dead_letter,
    require_one,
)
from shipment_events.dead_letters.walk import Walk

_CONCURRENCY: Final = 4


@dataclass(slots=True)
class Settlement:
    """What became of the dead letters that a command went through.

    Attributes:
        settled: done and deleted.
        failed: why, for each that was not done; all of these are left in the queue.
        undeleted: why, for each that was done and is still in the queue.
        passed_over: not selected, left there.
        unseen: how many more the queue counted at the end, longer than its count can be out of date; others
            hold them, so they were perhaps selected. Approximate.
        interrupted: ended by a person before all were gone through; the others are left in the queue.
        still_broken: why, of those that were sent and break the contract as this package knows it.
    """

    settled: list[DeadLetterMessage] = field(default_factory=list)
    failed: list[tuple[DeadLetterMessage, str]] = field(default_factory=list)
    undeleted: list[tuple[DeadLetterMessage, str]] = field(default_factory=list)
    passed_over: int = 0
    unseen: int = 0
    interrupted: bool = False
    still_broken: Counter[str] = field(default_factory=Counter)

    @property
    def succeeded(self) -> bool:
        """All that was selected is done."""
        return not (self.failed or self.undeleted or self.unseen or self.interrupted)


Settle = Callable[[Sequence[DeadLetterMessage]], Mapping[int, str]]


def settle_dead_letters(
    walk: Walk,
    selection: Selection,
    settle: Settle,
    *,
    only_one: bool = False,
    on_progress: Callable[[Settlement], None] = lambda _: None,
) -> Settlement:
    """Hand the selected dead letters to ``settle``, at most ten at a time, and delete those it has done.

    A message is hidden from other operators while it is worked on. It is deleted only after ``settle``
    returned, so wherever this is interrupted or killed, the message becomes visible again by itself, and
    what was done for it is done once more.

    Args:
        walk: over the dead-letter queue, not yet begun.
        settle: does what is to be done, and says why for the index of each that it could not do. It is
            called from several threads at once.
        only_one: the selection is to take exactly one: ``settle`` gets it when all have been looked at.

    Raises:
        NotOneLetterError: the selection takes several where it is to take one; nothing is done.
        botocore.exceptions.ClientError: the queue cannot be read.
    """
    result = Settlement()
    # Once more around all: to be interrupted while letters are put back leaves the rest to their holds.
    with interruptible(result), walk, _Workers(walk, settle, result) as workers:
        chosen: list[DeadLetterMessage] = []
        for messages in walk.batches(await_count=selection.identifier is None):
            letters = list(map(dead_letter, messages))
            work = list(filter(selection.takes, letters))
            result.passed_over += len(letters) - len(work)
            if only_one:
                chosen += work
            elif work:
                workers.begin(work)
            if not messages:
                workers.finish()
            on_progress(result)
        if chosen:
            workers.begin(require_one(chosen, selection))
            workers.finish()
        # Which letters others hold does not matter where the one that an id names was there.
        if selection.identifier is None or not (result.settled or result.failed or result.undeleted):
            result.unseen = walk.unseen
        on_progress(result)
    return result


@contextmanager
def interruptible(result: Settlement) -> Iterator[None]:
    """End a walk early where a person interrupts it, and let it say how far it came."""
    try:
        yield
    except KeyboardInterrupt:
        result.interrupted = True


class _Workers:
    """Settles batches in several threads; leaving waits for what is under way, an interrupt included."""

    def __init__(self, walk: Walk, settle: Settle, result: Settlement) -> None:
        self._walk = walk
        self._settle = settle
        self._result = result
        self._under_way: set[Future[Settlement]] = set()
        self._pool = ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="settle")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._pool:
            self.finish()

    def begin(self, work: list[DeadLetterMessage]) -> None:
        """Settle at most ten; waits while all threads are at work."""
        self._under_way.add(self._pool.submit(self._settle_batch, work))
        if len(self._under_way) >= _CONCURRENCY:
            self._collect()

    def finish(self) -> None:
        """Wait until all is settled that was begun."""
        while self._under_way:
            self._collect()

    def _collect(self) -> None:
        """Wait for a batch, and move what is done from those under way to the result."""
        done, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
        for future in done:
            # Taken out first: an interrupt in between must not count it twice.
            self._under_way.remove(future)
            batch = future.result()
            self._result.settled += batch.settled
            self._result.failed += batch.failed
            self._result.undeleted += batch.undeleted

    def _settle_batch(self, work: list[DeadLetterMessage]) -> Settlement:
        failed = self._settle(work)
        done = [letter for index, letter in enumerate(work) if index not in failed]
        undeleted = self._walk.delete([letter.message_id for letter in done]) if done else {}
        return Settlement(
            settled=[letter for letter in done if letter.message_id not in undeleted],
            failed=[(work[index], why) for index, why in failed.items()],
            undeleted=[
                (letter, undeleted[letter.message_id]) for letter in done if letter.message_id in undeleted
            ],
        )
