"""The local engine's processes: which one it is, and how to end it with everything it started."""

import os
import signal
from contextlib import suppress
from typing import Final

import psutil

# The system derives the time from its clock, so that a correction of the clock moves it a little.
_CLOCK_SECONDS: Final = 5.0
_KILL_SECONDS: Final = 5.0


def find(pid: int, created: float) -> psutil.Process | None:
    """The process with this id that was created at this time, in seconds since the epoch, while it runs.

    None if it has ended, a zombie included, or if its id went to another program.
    """
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < _CLOCK_SECONDS
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def group_members(leader: int) -> list[psutil.Process]:
    """The processes of a process group that still run.

    Those that lost their parent are among them, which :meth:`psutil.Process.children` does not find.
    """
    members = []
    for process in psutil.process_iter():
        # A process may end between the listing and the question.
        with suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def end_group(process: psutil.Process, *, grace: float) -> bool:
    """Terminate a process, and after ``grace`` seconds kill it; kill what is left of its process group.

    The process must lead its group. Returns True if it ended by itself.
    """
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    _, stubborn = psutil.wait_procs([process], timeout=grace)
    members = group_members(process.pid)
    # At once, so that none can start another meanwhile. macOS answers EPERM if only zombies are left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    psutil.wait_procs(members, timeout=_KILL_SECONDS)
    return not stubborn
