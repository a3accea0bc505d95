"""Peak memory of a process."""

import re
import resource
import sys
from pathlib import Path


def peak_resident_bytes() -> int:
    """Most memory that this process has had so far.

    Linux hands ``ru_maxrss`` on from the process that started this one, so it is asked in another way.
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
