"""End a command that has an engine, so that its engine does not outlive it."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGHUP, signal.SIGTERM)


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a terminal that was closed, exit as an exception does.

    The first one is enough: the shell and the terminal may both send SIGHUP, and a second exit would end the
    clearing away of the first. A SIGHUP that is ignored, as by ``nohup``, stays ignored.
    """

    def leave(number: int, _: FrameType | None) -> None:
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    before = {number: signal.getsignal(number) for number in _ENDING}
    heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number] or signal.SIG_DFL)
