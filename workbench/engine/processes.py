"""The local engine's processes: which one it is, and how to end it with everything it started."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import psutil

# The system derives the time from its clock, so that a correction of the clock moves it a little.
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
    """False once a process has ended, even if it is a zombie: in a container, nobody may ever reap it."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def group_members(leader: int) -> list[psutil.Process]:
    """The processes of a process group that still run.

    Those that lost their parent are among them, which :meth:`psutil.Process.children` does not find.
    """
    members = []
    for process in psutil.process_iter():
        # A process may end between the listing and the question.
        with suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == leader and is_running(process):
                members.append(process)
    return members


def end_group(process: psutil.Process, *, grace: float) -> bool:
    """Terminate a process, and after ``grace`` seconds kill it; kill what is left of its process group.

    The process must lead its group. Returns True if it ended by itself.
    """
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    polite = _wait([process], seconds=grace)
    members = group_members(process.pid)
    # At once, so that none can start another meanwhile. macOS answers EPERM if only zombies are left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    _wait(members, seconds=_KILL_SECONDS)
    return polite


def _wait(processes: Sequence[psutil.Process], *, seconds: float) -> bool:
    """True once none of them runs. psutil's own wait goes on until a zombie has been reaped."""
    deadline = time.monotonic() + seconds
    while any(map(is_running, processes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
