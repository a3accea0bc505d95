"""Peak memory of ``shipments publish`` on files of ever more events, to a bus that answers at once."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.fake_services.endpoint import Endpoint, running_endpoint
from benchmarks.results import PartResult, Table
from workbench.feed import Shares, generate

SIZES: Final = (10_000, 100_000, 1_000_000)
LIMIT_BYTES: Final = 80_000_000

# The command itself, which says in the end what it took.
_PROGRAM: Final = """
import atexit, sys
from benchmarks.peak_memory import peak_resident_bytes
atexit.register(lambda: sys.stderr.write(f"{peak_resident_bytes()}\\n"))
from shipment_events.cli import main
main()
"""


def measure() -> PartResult:
    """Publish each file."""
    result = PartResult(
        f"`shipments publish`, no service time; the most allowed is {LIMIT_BYTES / 1e6:.0f} MB"
    )
    rows = []
    with running_endpoint() as endpoint, tempfile.TemporaryDirectory(prefix="publisher-") as folder:
        endpoint.begin(median_seconds=0)
        for events in SIZES:
            file = Path(folder) / "events.ndjson"
            with file.open("w", encoding="utf-8") as lines:
                lines.writelines(f"{line.text}\n" for line in generate(events, shares=Shares(broken=0)))
            seconds, peak = _publish(file, events, endpoint)
            result.numbers[str(events)] = {
                "peak_resident_bytes": peak,
                "seconds": seconds,
                "file_bytes": file.stat().st_size,
            }
            rows.append(
                [
                    f"{events:,}",
                    f"{file.stat().st_size / 1e6:,.0f}",
                    f"{peak / 1e6:.1f}",
                    f"{events / seconds:,.0f}",
                ]
            )
    result.tables["publisher-memory"] = Table(["events", "file (MB)", "peak memory (MB)", "events/s"], rows)
    return result


def _publish(file: Path, events: int, endpoint: Endpoint) -> tuple[float, int]:
    """Seconds and peak bytes of publishing the file.

    Raises:
        RuntimeError: an event is not on the bus.
    """
    began = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "publish", "--json", str(file)],
        env={**os.environ, **endpoint.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if run.returncode or json.loads(run.stdout)["accepted"] != events:
        raise RuntimeError(f"{run.stdout}{run.stderr}")
    return seconds, int(run.stderr)
