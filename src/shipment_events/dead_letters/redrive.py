"""Bring dead letters back to the queue, or discard them: never without a copy somewhere.

``StartMessageMoveTask`` of SQS would move messages too, but it can neither choose nor change them.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TextIO

from shipment_events.contract.event import open_envelope, parse_event
from shipment_events.contract.exact_json import dumps, loads
from shipment_events.contract.outcome import InvalidEventError
from shipment_events.dead_letters.exports import Decision, write_export
from shipment_events.dead_letters.letters import (
    HOLD_SECONDS,
    DeadLetterMessage,
    Selection,
    Settlement,
    interruptible,
    settle_dead_letters,
)
from shipment_events.queue.messages import MAX_BATCH_ENTRIES, send_bodies

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

CAME_BACK: Final = "its event was redriven just now: it failed again, or was here twice"
_ENVELOPE_FIELDS: Final = ("source", "detail-type")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of an event on its way back.

    Attributes:
        field: of the event; dots lead into objects. ``source`` and ``detail-type`` are the envelope's.
        value: JSON value, numbers as ``Decimal``.
    """

    field: str
    value: Any

    def apply(self, envelope: dict[str, Any]) -> None:
        """Change the envelope.

        Raises:
            ValueError: the field cannot be reached.
        """
        path = [self.field] if self.field in _ENVELOPE_FIELDS else ["detail", *self.field.split(".")]
        parent: Any = envelope
        for name in path[:-1]:
            parent = parent.setdefault(name, {}) if isinstance(parent, dict) else None
        if not isinstance(parent, dict):
            raise ValueError(f"{self.field}: what it lies in is no object")
        parent[path[-1]] = self.value


def redrive(
    client: "SQSClient",
    dead_letter_queue_url: str,
    queue_url: str,
    selection: Selection,
    *,
    edits: Sequence[Edit] = (),
    originals: TextIO | None = None,
    rate: float | None = None,
    hold_seconds: int = HOLD_SECONDS,
    on_progress: Callable[[Settlement], None] = lambda _: None,
) -> Settlement:
    """Send the selected dead letters to the queue again, and delete each once the queue has confirmed it.

    Sending one twice is harmless, since an event is stored once whatever happens. One that comes back
    meanwhile is left in the dead-letter queue: sent again at once, it would go round for ever.

    Args:
        edits: applied to each event first; ``originals`` then gets every dead letter as it was.
        rate: dead letters a second, or None for as fast as the queues take them.
        hold_seconds: as in :func:`settle_dead_letters`.

    Raises:
        botocore.exceptions.ClientError: the dead-letter queue cannot be read.
        OSError: the originals cannot be written; nothing is sent then.
    """

    lock = Lock()
    redriven: set[str] = set()

    def send(letters: Sequence[DeadLetterMessage]) -> Mapping[int, str]:
        failed: dict[int, str] = {}
        order: list[int] = []
        with lock:
            for index, letter in enumerate(letters):
                if letter.identity in redriven:
                    failed[index] = CAME_BACK
                else:
                    order.append(index)
                    redriven.add(letter.identity)
            if originals:
                _write_decided(originals, letters, edits)
        unsent = _send_edited(client, queue_url, [letters[index] for index in order], edits)
        with lock:
            redriven.difference_update(letters[order[position]].identity for position in unsent)
        return failed | {order[position]: why for position, why in unsent.items()}

    result = settle_dead_letters(
        client,
        dead_letter_queue_url,
        selection,
        send,
        hold_seconds=hold_seconds,
        before_receive=_Pace(rate) if rate else lambda: None,
        on_progress=on_progress,
    )
    result.still_broken = broken_after(result.settled, edits)
    return result


def redrive_export(
    client: "SQSClient",
    queue_url: str,
    letters: Iterable[DeadLetterMessage],
    *,
    edits: Sequence[Edit] = (),
    originals: TextIO | None = None,
    rate: float | None = None,
    on_progress: Callable[[Settlement], None] = lambda _: None,
) -> Settlement:
    """Send exported dead letters to the queue; the dead-letter queue is left as it is.

    Args:
        letters: those of an export that are meant.
        edits: as in :func:`redrive`; likewise ``originals``.
        rate: dead letters a second, or None for as fast as the queue takes them.

    Raises:
        OSError: the originals cannot be written; what is not in them is not sent.
    """
    result = Settlement()
    pace = _Pace(rate) if rate else None
    remaining = iter(letters)
    with interruptible(result):
        while batch := list(islice(remaining, MAX_BATCH_ENTRIES)):
            if pace:
                pace()
            if originals:
                _write_decided(originals, batch, edits)
            failed = _send_edited(client, queue_url, batch, edits)
            result.failed += [(batch[index], why) for index, why in failed.items()]
            result.settled += [letter for index, letter in enumerate(batch) if index not in failed]
            on_progress(result)
    result.still_broken = broken_after(result.settled, edits)
    return result


def discard(
    client: "SQSClient",
    dead_letter_queue_url: str,
    selection: Selection,
    export: TextIO,
    *,
    on_progress: Callable[[Settlement], None] = lambda _: None,
) -> Settlement:
    """Delete the selected dead letters, each after it is on disk.

    Raises:
        botocore.exceptions.ClientError: the dead-letter queue cannot be read.
        OSError: the export cannot be written; what is not in it is not deleted.
    """

    lock = Lock()

    def keep(letters: Sequence[DeadLetterMessage]) -> Mapping[int, str]:
        with lock:
            write_export(export, letters, Decision.DISCARDED)
        return {}

    return settle_dead_letters(client, dead_letter_queue_url, selection, keep, on_progress=on_progress)


def edited(body: str, edits: Sequence[Edit]) -> str:
    """The body with the edits, or as it is where there are none.

    Raises:
        ValueError: the body is no JSON object, or a field cannot be reached.
    """
    if not edits:
        return body
    envelope = loads(body)
    if not isinstance(envelope, dict):
        raise ValueError("the body is no JSON object")
    for edit in edits:
        edit.apply(envelope)
    return dumps(envelope)


def still_broken(body: str) -> str:
    """Why this version of the contract would quarantine the event again, or empty."""
    try:
        envelope = open_envelope(body)
        parse_event(envelope.detail, detail_type=envelope.detail_type)
    except InvalidEventError as error:
        return str(error)
    return ""


def _write_decided(file: TextIO, letters: Sequence[DeadLetterMessage], edits: Sequence[Edit]) -> None:
    write_export(file, letters, Decision.REDRIVEN, {edit.field: edit.value for edit in edits})


def broken_after(letters: Iterable[DeadLetterMessage], edits: Sequence[Edit]) -> Counter[str]:
    """Why the events would be quarantined again with these edits, and how many for that."""
    whys: Counter[str] = Counter()
    for letter in letters:
        try:
            whys[still_broken(edited(letter.body, edits))] += 1
        except ValueError as error:
            whys[str(error)] += 1
    del whys[""]
    return whys


def _send_edited(
    client: "SQSClient", queue_url: str, letters: Sequence[DeadLetterMessage], edits: Sequence[Edit]
) -> dict[int, str]:
    """Send the events with their edits; returns why, for the index of each that may not be in the queue."""
    failed: dict[int, str] = {}
    bodies: dict[int, str] = {}
    for index, letter in enumerate(letters):
        try:
            bodies[index] = edited(letter.body, edits)
        except ValueError as error:
            failed[index] = str(error)
    order = list(bodies)
    for position, why in send_bodies(client, queue_url, list(bodies.values())).items():
        failed[order[position]] = why
    return failed


class _Pace:
    """Holds a loop of batches back to a rate of messages a second."""

    def __init__(self, rate: float) -> None:
        self._seconds = MAX_BATCH_ENTRIES / rate
        self._next = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        time.sleep(max(0.0, self._next - now))
        self._next = max(self._next, now) + self._seconds
