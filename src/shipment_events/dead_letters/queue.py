"""The dead-letter queue: read, redrive and discard dead letters. A copy of each exists at any moment.

``StartMessageMoveTask`` of SQS moves messages too, but it can neither select nor change them.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from threading import Lock
from typing import Final, TextIO

from shipment_events.dead_letters.edits import Edit, broken_after, edited
from shipment_events.dead_letters.exports import Decision, write_export
from shipment_events.dead_letters.letters import DeadLetterMessage, Reading, Selection, dead_letter
from shipment_events.dead_letters.settlement import Settlement, settle_dead_letters, until_interrupted
from shipment_events.dead_letters.walk import HOLD_SECONDS, Walk
from shipment_events.queue.messages import MAX_BATCH_ENTRIES
from shipment_events.queue.queue import Depth, Queue

CAME_BACK: Final = "its event was redriven just now, and it failed again or was in the queue twice"


class DeadLetterQueue:
    """The dead letters of a stage.

    Args:
        queue: the dead-letter queue.
        target: the queue to which a redrive sends events.
        hold_seconds: how long a message stays hidden from others if this process is killed. While the process
            runs, the time is extended.
    """

    def __init__(self, queue: Queue, target: Queue, *, hold_seconds: int = HOLD_SECONDS) -> None:
        self._queue = queue
        self._target = target
        self._hold_seconds = hold_seconds

    def depth(self) -> Depth:
        """The approximate number of dead letters.

        Raises:
            botocore.exceptions.ClientError: the queue cannot be read.
        """
        return self._queue.depth()

    def read(self) -> Reading:
        """Read every visible dead letter. All stay in the queue.

        Raises:
            botocore.exceptions.ClientError: the queue cannot be read.
        """
        return _read(self._queue)

    def sample(self, most: int) -> Reading:
        """Read about ``most`` of the visible dead letters, faster than :meth:`read`.

        Raises:
            botocore.exceptions.ClientError: the queue cannot be read.
        """
        return _read(self._queue.polled_for(1), most)

    def redrive(
        self,
        selection: Selection,
        *,
        edits: Sequence[Edit] = (),
        originals: TextIO | None = None,
        rate: float | None = None,
        on_progress: Callable[[Settlement], None] = lambda _: None,
    ) -> Settlement:
        """Send the selected dead letters to the queue again. Delete each after the queue has confirmed it.

        Sending an event twice is harmless, because it is stored once. An event that becomes a dead letter
        again during the redrive stays in the dead-letter queue; otherwise the redrive might never end.

        Args:
            edits: applied to each event first. If the selection has an id, it must match one dead letter.
            originals: gets each dead letter before it is sent.
            rate: dead letters per second; None for no limit.

        Raises:
            NotOneLetterError: there are edits, and the id matches several dead letters; nothing is sent.
            botocore.exceptions.ClientError: the dead-letter queue cannot be read.
            OSError: the originals cannot be written; a dead letter that is not written is not sent.
        """
        result = settle_dead_letters(
            self._walk(_Pace(rate)),
            selection,
            _Redrive(self._target, edits, originals),
            only_one=bool(edits) and selection.identifier is not None,
            on_progress=on_progress,
        )
        result.still_broken = broken_after(result.settled, edits)
        return result

    def redrive_export(
        self,
        letters: Iterable[DeadLetterMessage],
        notes: TextIO,
        *,
        edits: Sequence[Edit] = (),
        originals: TextIO | None = None,
        rate: float | None = None,
        on_progress: Callable[[Settlement], None] = lambda _: None,
    ) -> Settlement:
        """Send exported dead letters to the queue. The dead-letter queue does not change.

        ``edits``, ``originals`` and ``rate`` are as in :meth:`redrive`.

        Args:
            letters: the selected dead letters of an export.
            notes: the export itself. It gets a line for each dead letter before it is sent, so that an audit
                no longer counts the event as discarded.

        Raises:
            OSError: notes or originals cannot be written; a dead letter that is not written is not sent.
        """
        result = Settlement()
        pace = _Pace(rate)
        remaining = iter(letters)
        with until_interrupted(result):
            while batch := list(islice(remaining, MAX_BATCH_ENTRIES)):
                pace()
                for file in filter(None, (notes, originals)):
                    _write_decided(file, batch, edits)
                failed = _send_edited(self._target, batch, edits)
                result.failed += [(batch[index], why) for index, why in failed.items()]
                result.settled += [letter for index, letter in enumerate(batch) if index not in failed]
                on_progress(result)
        result.still_broken = broken_after(result.settled, edits)
        return result

    def discard(
        self,
        selection: Selection,
        export: TextIO,
        *,
        on_progress: Callable[[Settlement], None] = lambda _: None,
    ) -> Settlement:
        """Delete the selected dead letters, each after it is on disk.

        Raises:
            NotOneLetterError: the id matches several dead letters; nothing is deleted.
            botocore.exceptions.ClientError: the dead-letter queue cannot be read.
            OSError: the export cannot be written; a dead letter that is not written is not deleted.
        """
        lock = Lock()

        def keep(letters: Sequence[DeadLetterMessage]) -> Mapping[int, str]:
            with lock:
                write_export(export, letters, Decision.DISCARDED)
            return {}

        return settle_dead_letters(
            self._walk(),
            selection,
            keep,
            only_one=selection.identifier is not None,
            on_progress=on_progress,
        )

    def _walk(self, before_receive: Callable[[], None] = lambda: None) -> Walk:
        return Walk(self._queue, hold_seconds=self._hold_seconds, before_receive=before_receive)


def _read(queue: Queue, most: int | None = None) -> Reading:
    letters: list[DeadLetterMessage] = []
    with Walk(queue) as walk:
        for messages in walk.batches(await_count=False):
            letters += map(dead_letter, messages)
            if most is not None and len(letters) >= most:
                break
        return Reading(letters, walk.unseen)


class _Redrive:
    """Sends each event of the dead letters once. Several threads call it."""

    def __init__(self, target: Queue, edits: Sequence[Edit], originals: TextIO | None) -> None:
        self._target = target
        self._edits = edits
        self._originals = originals
        self._lock = Lock()
        self._redriven: set[str] = set()

    def __call__(self, letters: Sequence[DeadLetterMessage]) -> Mapping[int, str]:
        failed: dict[int, str] = {}
        order: list[int] = []
        with self._lock:
            for index, letter in enumerate(letters):
                if letter.identity in self._redriven:
                    failed[index] = CAME_BACK
                else:
                    order.append(index)
                    self._redriven.add(letter.identity)
            if self._originals:
                _write_decided(self._originals, letters, self._edits)
        unsent = _send_edited(self._target, [letters[index] for index in order], self._edits)
        with self._lock:
            self._redriven.difference_update(letters[order[position]].identity for position in unsent)
        return failed | {order[position]: why for position, why in unsent.items()}


def _write_decided(file: TextIO, letters: Sequence[DeadLetterMessage], edits: Sequence[Edit]) -> None:
    write_export(file, letters, Decision.REDRIVEN, {edit.field: edit.value for edit in edits})


def _send_edited(
    target: Queue, letters: Sequence[DeadLetterMessage], edits: Sequence[Edit]
) -> dict[int, str]:
    """Send the events with the edits. Returns the error by the index of each that may not be in the queue."""
    failed: dict[int, str] = {}
    bodies: dict[int, str] = {}
    for index, letter in enumerate(letters):
        try:
            bodies[index] = edited(letter.body, edits)
        except ValueError as error:
            failed[index] = str(error)
    order = list(bodies)
    for position, why in target.send(list(bodies.values())).items():
        failed[order[position]] = why
    return failed


class _Pace:
    """Limits a loop of batches to a rate of messages per second, if there is one."""

    def __init__(self, rate: float | None) -> None:
        self._seconds = MAX_BATCH_ENTRIES / rate if rate else 0.0
        self._next = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        time.sleep(max(0.0, self._next - now))
        self._next = max(self._next, now) + self._seconds
