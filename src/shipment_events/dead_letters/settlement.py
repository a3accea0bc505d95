"""Settle each selected dead letter and delete it, without losing one."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol, Self

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
    """The result of a redrive or a discard.

    Attributes:
        settled: dead letters that were settled and deleted.
        failed: dead letters that were not settled, each with the error. They are still in the queue.
        undeleted: dead letters that were settled but may still be in the queue, each with the error.
        passed_over: number of dead letters that were not selected.
        unseen: how many more the queue counted at the end. Other commands hold them, so some may be selected.
            Approximate.
        interrupted: whether a person ended the command early. The other dead letters are still in the queue.
        still_broken: errors of the sent events that break the contract of this version, counted.
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
        """Whether every selected dead letter is settled and deleted."""
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
    """Give the selected dead letters to ``settle``, at most ten at a time, and delete the settled ones.

    A message is hidden from other operators meanwhile. It is deleted only after ``settle`` has returned. If
    this is interrupted or killed before, the message becomes visible again and is settled once more.

    Args:
        walk: a walk over the dead-letter queue that has not begun.
        settle: settles dead letters. It returns the error by the index of each that it could not settle.
            Several threads call it.
        only_one: the selection must match at most one dead letter. ``settle`` gets it after the whole walk.

    Raises:
        NotOneLetterError: ``only_one`` is set and the selection matches several; nothing is done.
        botocore.exceptions.ClientError: the queue cannot be read.
    """
    result = Settlement()
    # An interrupt during the exit of the walk is caught too. The messages are visible after their holds.
    with until_interrupted(result), walk, _Workers(walk, settle, result) as workers:
        chosen: list[DeadLetterMessage] = []
        missing = set(selection.message_ids or ())
        for messages in walk.batches(await_count=selection.identifier is None):
            work = [letter for letter in map(dead_letter, messages) if selection.takes(letter)]
            result.passed_over += len(messages) - len(work)
            if only_one:
                chosen += work
            elif work:
                workers.begin(work)
            if not messages:
                workers.finish()
            on_progress(result)
            missing.difference_update(letter.message_id for letter in work)
            if selection.message_ids and not missing:
                workers.finish()
                break
        if chosen:
            workers.begin(require_one(chosen, selection))
            workers.finish()
        # If the dead letter with the given id was found, hidden ones do not matter.
        if selection.identifier is None or not (result.settled or result.failed or result.undeleted):
            result.unseen = walk.unseen
        on_progress(result)
    return result


class _Interruptible(Protocol):
    interrupted: bool


@contextmanager
def until_interrupted(result: _Interruptible) -> Iterator[None]:
    """Turn an interrupt into a result: what was done until then is reported."""
    try:
        yield
    except KeyboardInterrupt:
        result.interrupted = True


class _Workers:
    """Settles batches in several threads. The exit waits for batches under way, even after an interrupt."""

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
        """Settle at most ten dead letters. Waits while all threads are busy."""
        self._under_way.add(self._pool.submit(self._settle_batch, work))
        if len(self._under_way) >= _CONCURRENCY:
            self._collect()

    def finish(self) -> None:
        """Wait until every begun batch is settled."""
        while self._under_way:
            self._collect()

    def _collect(self) -> None:
        """Wait for a batch, and add the finished batches to the result."""
        done, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
        for future in done:
            # Removed first, so that an interrupt at this point does not count the batch twice.
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
