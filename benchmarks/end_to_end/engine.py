"""The benchmark's own local engine, with the deployed stack and no events."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from workbench.engine import engine as engines
from workbench.engine.clients import environment_variables, local_session
from workbench.engine.deploy import deploy
from workbench.engine.health import free_port
from workbench.engine.settings import Settings, repository_root
from workbench.feed import generate

STAGE: Final = "dev"


@dataclass(frozen=True, slots=True)
class CommandRun:
    """A command's end.

    Attributes:
        report: what it printed, JSON.
        seconds: from start to end, the interpreter's own start included.
        peak_bytes: most resident memory of its process.
    """

    report: dict[str, Any]
    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class BenchmarkEngine:
    """A running engine. ``folder`` is scratch."""

    endpoint: str
    pid: int
    folder: Path

    def shipments(self, *arguments: str) -> CommandRun:
        """Run a command of the CLI that prints JSON.

        Raises:
            subprocess.CalledProcessError: it failed, an event that is lost or doubled included.
        """
        memory = self.folder / "peak"
        variables = environment_variables(self.endpoint) | {"ENV": STAGE, "PEAK_MEMORY_FILE": str(memory)}
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.end_to_end.command", *arguments],
            cwd=repository_root(),
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - begin
        return CommandRun(json.loads(done.stdout), seconds, int(memory.read_text(encoding="ascii")))

    def run_feed(self, events: int, *, rate: float | None = None, seed: int = 1) -> CommandRun:
        """Send a generated feed through, and account for it."""
        at_rate = [] if rate is None else ["--rate", str(rate)]
        report = str(self.folder / "report.json")
        feed = self.folder / "feed.ndjson"
        with feed.open("w", encoding="utf-8") as file:
            file.writelines(f"{line.text}\n" for line in generate(events, seed=seed))
        return self.shipments("run", str(feed), "--report", report, "--json", *at_rate)

    def client(self, service: str) -> Any:
        """A client of one of the engine's services."""
        session: Any = local_session()
        return session.client(service, endpoint_url=self.endpoint)

    def peak_bytes(self) -> int:
        """Most resident memory of the engine's process so far, without its functions'."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


@contextmanager
def fresh_engine() -> Iterator[BenchmarkEngine]:
    """Start an engine and deploy the synthesized stack to it. At the end, remove it.

    Raises:
        LocalEngineError: it does not start, or the stack (``make synth``) is not there.
    """
    root = repository_root()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(root=root, home=Path(folder) / "engine", port=free_port(), environment=STAGE)
        try:
            running = engines.start(settings)
            deploy(running.endpoint, root / "cdk.out", STAGE)
            yield BenchmarkEngine(running.endpoint, running.pid, Path(folder))
        finally:
            engines.stop(settings)
