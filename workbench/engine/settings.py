"""Settings of a directory's local engine: its folders, files and port."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workbench.engine.errors import LocalEngineError

HOST: Final = "127.0.0.1"
ACCOUNT: Final = "000000000000"
REGION: Final = "us-east-1"
# With this pair the engine treats a caller as the account's root user. No real account is involved.
ACCESS_KEY_ID: Final = "test"
SECRET_ACCESS_KEY: Final = "test"  # noqa: S105 - the engine takes any, and is on loopback
DEFAULT_PORT: Final = 4566
DEFAULT_ENVIRONMENT: Final = "dev"

_ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One local engine.

    ``root`` is the repository. ``home`` is the folder for everything that the engine writes. Engines with
    different homes and ports are independent.
    """

    root: Path
    home: Path
    port: int = DEFAULT_PORT
    environment: str = DEFAULT_ENVIRONMENT

    @property
    def endpoint(self) -> str:
        """Address of the engine, for every AWS service."""
        return endpoint(self.port)

    @property
    def engine_python(self) -> Path:
        """Interpreter of the environment that holds the engine and nothing else."""
        return self.root / ".venv-engine" / "bin" / "python"

    @property
    def record_file(self) -> Path:
        """Process id, port and start time of the running engine."""
        return self.home / "engine.json"

    @property
    def log_file(self) -> Path:
        """Output of the running engine, or of the last one."""
        return self.home / "engine.log"

    @property
    def temporary_dir(self) -> Path:
        """Scratch folder of the engine and of the functions it runs; emptied at each start and stop."""
        return self.home / "tmp"

    @property
    def state_dir(self) -> Path:
        """State that the engine keeps between runs. Each port has its own, because queue URLs contain it."""
        return self.home / f"state-{self.port}"

    @property
    def assemblies_dir(self) -> Path:
        """Synthesized stacks, one folder for each content of the sources."""
        return self.home / "assemblies"


def endpoint(port: int) -> str:
    """Address of what listens on a port of loopback."""
    return f"http://{HOST}:{port}"


def repository_root() -> Path:
    """The clone that this package is installed from.

    Raises LocalEngineError if the package was installed without its repository.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "infrastructure").is_dir():
        raise LocalEngineError(
            "The local engine needs a clone of the repository, and this installation is not in one.",
            "Clone the repository and run `make up` there.",
        )
    return root


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Settings of this repository's engine, from ``SHIPMENTS_PORT`` and ``ENV``.

    Raises LocalEngineError for an invalid port or stage name.
    """
    root = repository_root()
    return Settings(
        root=root,
        home=root / ".local",
        port=_port(environ.get("SHIPMENTS_PORT") or str(DEFAULT_PORT)),
        environment=_environment(environ.get("ENV") or DEFAULT_ENVIRONMENT),
    )


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and 1024 <= int(text) <= 65535:
        return int(text)
    raise LocalEngineError(
        f"SHIPMENTS_PORT is '{text}'. Expected a port from 1024 to 65535.",
        f"Set a free one, for example SHIPMENTS_PORT={DEFAULT_PORT + 1}, or unset it for {DEFAULT_PORT}.",
    )


def _environment(text: str) -> str:
    if _ENVIRONMENT_NAME.fullmatch(text):
        return text
    raise LocalEngineError(
        f"ENV is '{text}', which is not a valid stage name.",
        f"Use lower-case letters, digits and hyphens, for example ENV={DEFAULT_ENVIRONMENT}.",
    )
