"""Runs ``shipments`` as a user does."""

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import boto3
from click.testing import CliRunner, Result

from shipment_events.cli import main
from workbench.engine.clients import exports

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

    def start(self, *arguments: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start one and do not wait."""
        return subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *arguments],
            cwd=self.folder, env=self.environment, text=True,
            stdout=stdout, stderr=subprocess.DEVNULL,
        )  # fmt: skip


@dataclass(frozen=True)
class QuickCommands:
    """The same within this process, which spares each command the second in which Python imports."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, status: int | None = 0, stdin: str | None = None) -> Result:
        """Run one; its exit status has to be the given one, if any."""
        # The default session remembers what it found when it was made.
        boto3.DEFAULT_SESSION = None
        gone = {name: None for name in os.environ if name not in self.environment}
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(main, arguments, input=stdin, env={**gone, **self.environment})
        boto3.DEFAULT_SESSION = None
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert status in (None, done.exit_code), (arguments, done.output)
        return done
