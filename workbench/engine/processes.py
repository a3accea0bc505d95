"""Processes by id: whether one still lives, and how to end it with everything it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def command_line(pid: int) -> str | None:
    """Command line of a running process; None if there is none, or only a zombie."""
    if sys.platform == "linux":
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return raw.replace(b"\0", b" ").decode(errors="replace").strip() or None
    listing = subprocess.run(  # noqa: S603 - no shell, and the id is a number
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    text = listing.stdout.strip()
    return None if not text or text.endswith("<defunct>") else text


def group_members(group: int) -> list[int]:
    """Ids of the processes of a process group that still run, zombies not among them."""
    return [pid for pid, pgid, state in _processes() if pgid == group and state[0] not in "ZX"]


def end_group(leader: int, *, grace: float) -> bool:
    """End a process and its whole group: politely, then after ``grace`` seconds by force.

    Returns True if the leader left by itself. ``leader`` must head a process group of its own.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGTERM)
    left = _wait(lambda: leader not in group_members(leader), leader, seconds=grace)
    # Function workers are in the group too and must not outlive the engine. macOS answers EPERM for a group
    # of which only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    _wait(lambda: not group_members(leader), leader, seconds=5)
    return left


def _wait(condition: Callable[[], bool], child: int, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    # Only the process that started it can, and need, take the engine off the system's list.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, os.WNOHANG)
    return True


def _processes() -> Iterator[tuple[int, int, str]]:
    """Id, group and state of every process."""
    if sys.platform == "linux":
        for stat in Path("/proc").glob("[0-9]*/stat"):
            # A process may end between the listing and the reading.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                # The name before the last parenthesis may itself contain spaces and parentheses.
                state, _, group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
                yield int(stat.parent.name), int(group), state
        return
    listing = subprocess.run(  # nosec B603 - no shell, nothing variable
        ["/bin/ps", "-axo", "pid=,pgid=,state="], capture_output=True, text=True, check=True
    )
    for line in listing.stdout.splitlines():
        pid, pgid, state = line.split()
        yield int(pid), int(pgid), state
