"""Notice when a source of events pauses, and stop reading it."""

import os
import stat
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Final, TypeVar

T = TypeVar("T")

LINGER_SECONDS: Final = 0.2
"""How long a request waits for more events. A person who watches does not notice it."""
_AHEAD: Final = 10


class _End:
    """Follows the last item. ``error`` is what the source raised."""

    error: Exception | None = None


def may_pause(path: str) -> bool:
    """Whether reading may wait for a producer: ``-`` (standard input), a pipe or a device, but not a file."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode if path == "-" else Path(path).stat().st_mode
    except OSError:
        # Standard input that is no file of the system, or a path that reading will complain about.
        return path == "-"
    return not stat.S_ISREG(mode)


def interruptible(path: str, items: Iterable[T], stop: threading.Event) -> Iterator[T | None]:
    """Yield the items of a file until ``stop`` is set, and ``None`` while the file pauses.

    Args:
        path: where the items come from; see :func:`may_pause`.

    Raises:
        Exception: what ``items`` raises, after the items before it.
    """
    if may_pause(path):
        yield from with_pauses(items, stop)
        return
    for item in items:
        if stop.is_set():
            return
        yield item


def with_pauses(
    items: Iterable[T], stop: threading.Event, seconds: float = LINGER_SECONDS
) -> Iterator[T | None]:
    """Yield the items, and ``None`` each time that the next one does not come within ``seconds``.

    A thread reads the items, because a read of a pipe cannot be given a time limit on every system. If the
    iteration ends while the thread waits for its source, the thread stays until the process ends.

    Args:
        stop: once it is set, the iteration ends with the items that the thread has passed on.

    Raises:
        Exception: what ``items`` raises, after the items before it.
    """
    queue: Queue[T | _End] = Queue(_AHEAD)
    given_up = threading.Event()
    threading.Thread(target=_read, args=(items, queue, given_up, stop), name="read", daemon=True).start()
    try:
        while True:
            try:
                item = queue.get(timeout=seconds)
            except Empty:
                if stop.is_set():
                    return
                yield None
                continue
            if isinstance(item, _End):
                if item.error:
                    raise item.error
                return
            yield item
    finally:
        given_up.set()


def _read(
    items: Iterable[T], queue: "Queue[T | _End]", given_up: threading.Event, stop: threading.Event
) -> None:
    end = _End()
    try:
        for item in items:
            if not _put(queue, item, given_up):
                return
            if stop.is_set():
                break
    except Exception as error:  # noqa: BLE001 - raised again by the thread that takes the items
        end.error = error
    _put(queue, end, given_up)


def _put(queue: "Queue[T | _End]", item: "T | _End", given_up: threading.Event) -> bool:
    """Put an item. False if nobody takes items any more."""
    while not given_up.is_set():
        try:
            queue.put(item, timeout=LINGER_SECONDS)
        except Full:
            continue
        return True
    return False
