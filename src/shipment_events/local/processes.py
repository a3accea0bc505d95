"""Processes by id: whether one still lives, and how to end it with everything it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def command_line(pid: int) -> str | None:
    """Command line of a running process; None if there is none, or only a zombie."""
    if sys.platform == "linux":
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return raw.replace(b"\0", b" ").decode(errors="replace").strip() or None
    listing = subprocess.run(  # noqa: S603
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    text = listing.stdout.strip()
    return None if not text or text.endswith("<defunct>") else text


def end_group(leader: int, *, grace: float) -> bool:
    """End a process and its whole group: politely, then after ``grace`` seconds by force.

    Returns True if the leader left by itself. ``leader`` must head a process group of its own.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGTERM)
    left = _wait_until_gone(leader, seconds=grace)
    # Function workers are in the group too and must not outlive the engine. macOS answers EPERM for a group
    # of which only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    _wait_until_gone(leader, seconds=5)
    return left


def _wait_until_gone(pid: int, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _gone(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _gone(pid: int) -> bool:
    # Collects a child of this very process, which would stay a zombie otherwise; no other process is one.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return command_line(pid) is None
