"""Finds the local engine's process, and ends it with all processes that it started."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import psutil

# The system derives the creation time from its clock, so a correction of the clock changes it a little.
_CLOCK_SECONDS: Final = 5.0
_KILL_SECONDS: Final = 5.0


def find(pid: int, created: float) -> psutil.Process | None:
    """The process with this id that was created at this time, in seconds since the epoch, while it runs.

    None if it has ended, or if its id went to another program.
    """
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if abs(process.create_time() - created) < _CLOCK_SECONDS and is_running(process):
            return process
    return None


def is_running(process: psutil.Process) -> bool:
    """False once a process has ended, even if it is a zombie. In a container, nobody may reap zombies."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def group_members(leader: int) -> list[psutil.Process]:
    """The running processes of a process group.

    Unlike :meth:`psutil.Process.children`, this finds processes whose parent has ended.
    """
    members = []
    for process in psutil.process_iter():
        # A process may end after it was listed.
        with suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == leader and is_running(process):
                members.append(process)
    return members


def end_group(process: psutil.Process, *, grace: float) -> bool:
    """Terminate a process, kill it after ``grace`` seconds, and kill the rest of its process group.

    The process must lead its group. Returns True if it did not have to be killed.
    """
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    polite = _wait([process], seconds=grace)
    members = group_members(process.pid)
    # One signal kills all, so that no process can start another. macOS answers EPERM if only zombies are
    # left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    _wait(members, seconds=_KILL_SECONDS)
    return polite


def _wait(processes: Sequence[psutil.Process], *, seconds: float) -> bool:
    """True once none of them runs. psutil's own wait would also wait until zombies are reaped."""
    deadline = time.monotonic() + seconds
    while any(map(is_running, processes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
