"""End a command that sends events without losing what it took."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType


@contextmanager
def graceful_stop(stop: Event) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM set ``stop``. A second one raises ``KeyboardInterrupt`` at once.

    An exception could hit between the response of the bus and the line of the journal. So the first signal
    only asks the command to end.
    """
    is_asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_asked
        if is_asked:
            raise KeyboardInterrupt
        is_asked = True
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
