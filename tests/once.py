"""What the worker processes of a test session make once and share."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def shared_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder of this test session that all its workers see."""
    own = tmp_path_factory.getbasetemp()
    # pytest-xdist gives each worker a folder below the session's.
    folder = (own.parent if own.name.startswith("popen-") else own) / name
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def one_worker_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until no other worker holds the lock file."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
