"""The record of a started engine, by which later commands find it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from workbench.engine import processes


@dataclass(frozen=True)
class Record:
    """A started engine.

    Its process is known by ``pid`` and ``created``, the time of its creation in seconds since the epoch: the
    system gives the id of an ended process to another one.
    """

    pid: int
    created: float
    port: int
    extra_environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def started(self) -> str:
        """Time at which the process was created, ISO 8601 in UTC."""
        return datetime.fromtimestamp(self.created, UTC).isoformat(timespec="seconds")

    def write(self, path: Path) -> None:
        """Replace the record in one step, so that no reader sees half of it."""
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(self), indent=1))
        draft.replace(path)

    def process(self) -> psutil.Process | None:
        """The engine's process, or None if it has ended."""
        return processes.find(self.pid, self.created)


def read(path: Path) -> Record | None:
    """The record, or None if there is none or it is damaged."""
    try:
        data = json.loads(path.read_text())
        return Record(
            pid=int(data["pid"]),
            created=float(data["created"]),
            port=int(data["port"]),
            extra_environment=dict(data["extra_environment"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
