"""Runs ``shipments`` as a user does."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shipment_events.local.clients import exports

_COMMAND: Final = "from shipment_events.cli import main; main(prog_name='shipments')"


def exported(endpoint: str) -> dict[str, str]:
    """This process's environment with the exports that point AWS tools at the endpoint."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    for line in exports(endpoint).splitlines():
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            environment[name] = value.strip("'\"")
    return environment


@dataclass(frozen=True)
class Commands:
    """Runs commands in a folder of its own."""

    folder: Path
    environment: dict[str, str]

    def __call__(
        self, *arguments: str, status: int = 0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one and wait for it; its exit status has to be the given one."""
        done = subprocess.run(
            [sys.executable, "-c", _COMMAND, *arguments],
            cwd=self.folder, env=self.environment, input=stdin,
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == status, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one and do not wait."""
        return subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *arguments],
            cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
