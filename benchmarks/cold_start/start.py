"""Starts a handler in a fresh process, and measures its time and its imports."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processor.variables import function_variables

# The process sees only the site-packages of this environment, and not our own installed package.
_PROGRAM: Final = """
import sys, time
sys.path.insert(0, {path!r})
wall, cpu = time.perf_counter(), time.process_time()
import {module}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
assert callable({module}.handler)
import json
print(json.dumps([wall, cpu, len(sys.modules)]))
"""
FUNCTION_ENVIRONMENT: Final = {
    **function_variables("https://queues", "table"),
    "AWS_DEFAULT_REGION": "eu-central-1",
    "PATH": "/usr/bin:/bin",
}
_IMPORT: Final = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a handler, Python's own start not counted.

    Attributes:
        wall: seconds of importing the handler's module, which makes its clients.
        cpu: seconds of CPU time of that.
        modules: that are loaded in the end (count).
    """

    wall: float
    cpu: float
    modules: int


def start(module: str, folder: Path) -> Start:
    """Import the handler's module from the folder; byte code is used where it is, and never written.

    Raises:
        RuntimeError: the module cannot be imported; its error is the message.
    """
    return Start(*json.loads(_run(module, folder, []).stdout))


def import_seconds(module: str, folder: Path) -> dict[str, float]:
    """Every module that starting the handler imports, with the seconds that its own code takes.

    Raises:
        RuntimeError: the module cannot be imported; its error is the message.
    """
    trace = _run(module, folder, ["-X", "importtime"]).stderr
    return {name: int(microseconds) / 1e6 for microseconds, name in _IMPORT.findall(trace)}


def _run(module: str, folder: Path, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(
        [sys.executable, "-I", "-B", *options, "-c", _PROGRAM.format(path=str(folder), module=module)],
        env=FUNCTION_ENVIRONMENT,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(run.stderr)
    return run
