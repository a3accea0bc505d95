"""Gives a process the share of a core that Lambda gives to a function of its memory.

Lambda bounds CPU time with the kernel's quota in periods of 20 ms: what a function does not use of a period
is gone, and one that has used it up stands still until the next. 1,769 MB are one core.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
https://github.com/pwrdrvr/lambda-throttling measures the periods.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

MB_OF_A_CORE: Final = 1769
PERIOD_SECONDS: Final = 0.02

_PERIOD_MICROSECONDS: Final = 20_000
_LEAST_QUOTA_MICROSECONDS: Final = 1_000
_CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
# Half of a scheduler's tick. Shorter sleeps cost more CPU time than they save.
_SHORTEST_LOOK: Final = 0.0005


def share_of(memory_mb: float) -> float:
    """Cores of a function."""
    return memory_mb / MB_OF_A_CORE


class CpuShare(Protocol):
    """Bounds the CPU time of processes.

    Attributes:
        how: for people.
    """

    how: str

    def add(self, pid: int) -> None:
        """Bound this process, too."""

    def set(self, cores: float) -> None:
        """Change the share."""

    def wait(self, pid: int, is_done: Callable[[float], bool]) -> None:
        """Wait while the process works.

        Args:
            is_done: waits at most so many seconds and says whether the work is done.
        """


@contextmanager
def cpu_share(cores: float) -> Iterator[CpuShare]:
    """The closest to Lambda's bound that this machine permits."""
    with contextlib.ExitStack() as stack:
        share: CpuShare
        if folder := _own_cgroup(_CGROUP_ROOT):
            stack.callback(_remove, folder)
            share = CgroupShare(folder)
        elif sys.platform == "linux":
            share = SignalShare()
        else:
            share = NoShare()
        share.set(cores)
        yield share


class CgroupShare:
    """The kernel's quota, which Lambda also uses, by version 2 or 1 of control groups."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_v2 = (folder / "cpu.max").exists()
        self.how = f"kernel quota (cgroup v{2 if self._is_v2 else 1})"

    def add(self, pid: int) -> None:
        """Bound this process, too."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def set(self, cores: float) -> None:
        """Change the share."""
        quota = max(_LEAST_QUOTA_MICROSECONDS, round(cores * _PERIOD_MICROSECONDS))
        if self._is_v2:
            (self._folder / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")
        else:
            (self._folder / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (self._folder / "cpu.cfs_quota_us").write_text(str(quota))

    def wait(self, pid: int, is_done: Callable[[float], bool]) -> None:
        """Wait while the process works."""
        while not is_done(60.0):
            os.kill(pid, 0)


class SignalShare:
    """Stops the process when it has used up its quota of a period, and continues it in the next."""

    how = "SIGSTOP when the quota of a period of 20 ms is used up (no control group may be made here)"

    def __init__(self) -> None:
        self._quota = PERIOD_SECONDS

    def add(self, pid: int) -> None:
        """Do nothing. A process is bounded while the caller waits for it."""

    def set(self, cores: float) -> None:
        """Change the share."""
        self._quota = cores * PERIOD_SECONDS

    def wait(self, pid: int, is_done: Callable[[float], bool]) -> None:
        """Wait while the process works."""
        used = _cpu_seconds(pid)
        limit = used + self._quota
        period_end = time.monotonic() + PERIOD_SECONDS
        while not is_done(max(_SHORTEST_LOOK, min(limit - used, period_end - time.monotonic()))):
            used = _cpu_seconds(pid)
            if used >= limit:
                os.kill(pid, signal.SIGSTOP)
                # An overrun reduces the next periods, as with the kernel's quota.
                while used >= limit:
                    time.sleep(max(0.0, period_end - time.monotonic()))
                    period_end += PERIOD_SECONDS
                    limit += self._quota
                os.kill(pid, signal.SIGCONT)
            elif time.monotonic() >= period_end:
                period_end += PERIOD_SECONDS
                limit = used + self._quota


class NoShare:
    """No bound. The results are those of a whole core, and say so."""

    how = "a whole core: this system bounds no CPU time"

    def add(self, pid: int) -> None:
        """Nothing."""

    def set(self, cores: float) -> None:
        """Nothing."""

    def wait(self, pid: int, is_done: Callable[[float], bool]) -> None:
        """Wait while the process works."""
        while not is_done(60.0):
            os.kill(pid, 0)


def _own_cgroup(root: Path) -> Path | None:
    """A new control group with a quota, or None if the machine does not allow one."""
    for parent, quota in ((root, "cpu.max"), (root / "cpu", "cpu.cfs_quota_us")):
        folder = parent / f"shipment-benchmark-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / quota).exists() and os.access(folder / quota, os.W_OK):
            return folder
        _remove(folder)
    return None


def _remove(folder: Path) -> None:
    # A process leaves its group a moment after it ended.
    for _ in range(50):
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.02)
        else:
            return
    sys.stderr.write(f"The control group {folder} is still in use and stays.\n")


def _cpu_seconds(pid: int) -> float:
    """CPU time of another process; the clock's number is Linux's: man 3 clock_getcpuclockid."""
    return time.clock_gettime((~pid << 3) | 2)
