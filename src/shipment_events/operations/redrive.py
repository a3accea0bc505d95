"""Bring dead letters back to the queue, or discard them: never without a copy somewhere.

``StartMessageMoveTask`` of SQS would move messages too, but it can neither choose nor change them, and it
returns only those that SQS itself moved to the dead-letter queue, not those that a sender put there, as the
processor and EventBridge do.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TextIO

from shipment_events.event import open_envelope, parse_event
from shipment_events.exact_json import dumps, loads
from shipment_events.operations.dead_letters import (
    HOLD_SECONDS,
    DeadLetterMessage,
    Selection,
    Settlement,
    settle_dead_letters,
)
from shipment_events.outcome import InvalidEventError
from shipment_events.queues import send_bodies

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
        bodies: dict[int, str] = {}
        with lock:
            for index, letter in enumerate(letters):
                if letter.identity in redriven:
                    failed[index] = CAME_BACK
                    continue
                try:
                    bodies[index] = edited(letter.body, edits)
                except ValueError as error:
                    failed[index] = str(error)
                else:
                    redriven.add(letter.identity)
            if originals:
                write_export(originals, letters)
        order = list(bodies)
        for position, why in send_bodies(client, queue_url, list(bodies.values())).items():
            failed[order[position]] = why
        return failed

    return settle_dead_letters(
        client,
        dead_letter_queue_url,
        selection,
        send,
        hold_seconds=hold_seconds,
        before_receive=_Pace(rate) if rate else lambda: None,
        on_progress=on_progress,
    )


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
            write_export(export, letters)
        return {}

    return settle_dead_letters(client, dead_letter_queue_url, selection, keep, on_progress=on_progress)


def open_export(path: Path) -> TextIO:
    """A file of dead letters to be added to; what a killed command wrote half gets a line of its own.

    Raises:
        OSError: it cannot be opened.
    """
    is_cut = path.exists() and path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"
    file = path.open("a", encoding="utf-8")
    if is_cut:
        file.write("\n")
    return file


def write_export(file: TextIO, letters: Sequence[DeadLetterMessage]) -> None:
    """Add one JSON line a dead letter, and return when they are on disk.

    Raises:
        OSError: they cannot be written.
    """
    file.writelines(json.dumps(letter.as_json()) + "\n" for letter in letters)
    file.flush()
    if file.seekable():
        os.fsync(file.fileno())


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


class _Pace:
    """Holds a loop of batches back to a rate of messages a second."""

    def __init__(self, rate: float) -> None:
        self._seconds = 10 / rate
        self._next = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        time.sleep(max(0.0, self._next - now))
        self._next = max(self._next, now) + self._seconds
