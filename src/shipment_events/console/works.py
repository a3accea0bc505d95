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
class Work:
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
        """Take the progress of a settlement. Ends it if the work was asked to stop.

        The settlement takes an interrupt as the wish of a person: it finishes what it has begun, makes the
        other dead letters visible again and reports what it did.
        """
        self.done = len(result.settled) + len(result.failed) + len(result.undeleted)
        if self.is_stopping and not result.interrupted:
            raise KeyboardInterrupt

    @property
    def missing(self) -> int:
        """Selected dead letters that were not seen: somebody else has settled or holds them."""
        return max(0, self.total - self.done)


class BusyError(ShipmentEventsError):
    """Another work goes on.

    Attributes:
        work: that one.
    """

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work


class Works:
    """One at a time, so that two browsers do not change the same dead letters."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._works: deque[Work] = deque(maxlen=_KEPT)
        self._thread: Thread | None = None
        self._count = 0

    def begin(self, verb: str, total: int, act: Callable[[Work], None], file: Path | None = None) -> Work:
        """Begin a work in a thread of its own.

        Raises:
            BusyError: another one goes on.
        """
        with self._lock:
            if self._works and self._works[-1].ended is None:
                raise BusyError(self._works[-1])
            self._count += 1
            work = Work(self._count, verb, total, file)
            self._works.append(work)
            self._thread = Thread(target=_run, args=(work, act), name="console-work")
            self._thread.start()
        return work

    def find(self, number: int) -> Work | None:
        """The work with this number; None if there is none, or it was long ago."""
        with self._lock:
            return next((work for work in self._works if work.number == number), None)

    def last(self) -> Work | None:
        """The work that began last."""
        with self._lock:
            return self._works[-1] if self._works else None

    def end(self) -> None:
        """Stop the change that goes on, and wait until it has ended. A reading may go on."""
        work = self.last()
        if work and self._thread and work.ended is None and work.verb != "read":
            work.is_stopping = True
            self._thread.join()


def _run(work: Work, act: Callable[[Work], None]) -> None:
    try:
        act(work)
    except KeyboardInterrupt:
        work.why = "It was stopped before it began."
    except Exception as error:
        known = explained(error)
        if known is None and not isinstance(error, OSError):
            logging.getLogger(__name__).exception("a work of the console failed")
        work.why = str(known or error) or type(error).__name__
        work.next_step = known.next_step if known else ""
    finally:
        work.ended = datetime.now(UTC)
