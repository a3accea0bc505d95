"""The folder of a drill: one drill at a time has it, and the proxies' log is there."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from workbench.engine.errors import LocalEngineError

LOCK: Final = "drill.lock"


@contextmanager
def only_drill_of(folder: Path) -> Iterator[None]:
    """Keep a second drill from removing the engine and replacing the files of the first.

    Raises:
        LocalEngineError: another drill has the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise LocalEngineError(
                f"Process {lock.read()} runs a drill in {folder}.", "Wait for its end, or stop it."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def log_of_proxies(path: Path) -> Iterator[None]:
    """Log the proxies' messages about cut connections to a file, not to the terminal."""
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    loggers = [logging.getLogger(name) for name in ("aiohttp", "asyncio", "microburst")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
        handler.close()
