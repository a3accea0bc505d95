"""Readings and changes of dead letters, which go on while the browser shows their progress."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import Final

from shipment_events.aws_errors import explained
from shipment_events.dead_letters.settlement import Settlement
from shipment_events.errors import ShipmentEventsError

_KEPT: Final = 50


@dataclass(slots=True)
class Job:
    """One reading, redrive or discard.

    Attributes:
        verb: ``read``, ``redriven`` or ``discarded``.
        total: how many dead letters it is about.
        file: the copies; None for a reading.
        result: of a redrive or a discard.
        why: why it failed; empty if it did not.
        is_stopping: whether it was asked to stop.
    """

    number: int
    verb: str
    total: int
    file: Path | None = None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    result: Settlement | None = None
    why: str = ""
    next_step: str = ""
    done: int = 0
    is_stopping: bool = False

    def note(self, result: Settlement) -> None:
        """Take the progress of a settlement. Ends it if the job was asked to stop.

        The settlement takes an interrupt as the wish of a person: it finishes what it has begun, makes the
        other dead letters visible again and reports what it did.
        """
        self.done = len(result.settled) + len(result.failed) + len(result.undeleted)
        if self.is_stopping and not result.interrupted:
            raise KeyboardInterrupt

    @property
    def tenths(self) -> int:
        """How much is done, in whole tenths."""
        return self.done * 10 // self.total

    @property
    def missing(self) -> int:
        """Selected dead letters that were not seen: somebody else has settled or holds them."""
        return max(0, self.total - self.done)


class BusyError(ShipmentEventsError):
    """Another job is running.

    Attributes:
        job: that one.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job


class Jobs:
    """One at a time, so that two browsers do not change the same dead letters."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._jobs: deque[Job] = deque(maxlen=_KEPT)
        self._thread: Thread | None = None
        self._count = 0

    def begin(self, verb: str, total: int, act: Callable[[Job], None], file: Path | None = None) -> Job:
        """Begin a job in a thread of its own.

        Raises:
            BusyError: another one is running.
        """
        with self._lock:
            if self._jobs and self._jobs[-1].ended is None:
                raise BusyError(self._jobs[-1])
            self._count += 1
            job = Job(self._count, verb, total, file)
            self._jobs.append(job)
            self._thread = Thread(target=_run, args=(job, act), name="console-job")
            self._thread.start()
        return job

    def find(self, number: int) -> Job | None:
        """The job with this number; None if there is none, or it was long ago."""
        with self._lock:
            return next((job for job in self._jobs if job.number == number), None)

    def last(self) -> Job | None:
        """The job that began last."""
        with self._lock:
            return self._jobs[-1] if self._jobs else None

    def end(self) -> None:
        """Stop the change that is running, and wait until it has ended. A reading is not waited for."""
        job = self.last()
        if job and self._thread and job.ended is None and job.verb != "read":
            job.is_stopping = True
            self._thread.join()


def _run(job: Job, act: Callable[[Job], None]) -> None:
    try:
        act(job)
    except KeyboardInterrupt:
        job.why = "It was stopped before it began."
    except Exception as error:
        known = explained(error)
        if known is None and not isinstance(error, OSError):
            logging.getLogger(__name__).exception("a job of the console failed")
        job.why = str(known or error) or type(error).__name__
        job.next_step = known.next_step if known else ""
    finally:
        job.ended = datetime.now(UTC)
