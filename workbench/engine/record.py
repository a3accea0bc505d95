"""The note that a started engine leaves, so that later commands find it again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from workbench.engine.processes import command_line

# An interpreter option without effect: it makes a process of ours known by its command line, on every system,
# even after its id went to another program.
_MARK: Final = "shipment-events-home"


@dataclass(frozen=True)
class Record:
    """A started engine. ``started`` is ISO 8601 in UTC."""

    pid: int
    port: int
    started: str
    extra_environment: Mapping[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Replace the record in one step, so that no reader sees half of it."""
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(self), indent=1))
        draft.replace(path)

    def is_alive(self, home: Path) -> bool:
        """True while the process runs and is the engine of ``home``, not a later one with the same id."""
        command = command_line(self.pid)
        return command is not None and f" {mark(home)} " in f" {command} "


def read(path: Path) -> Record | None:
    """The record, or None where there is none or it is damaged."""
    try:
        data = json.loads(path.read_text())
        return Record(
            pid=int(data["pid"]),
            port=int(data["port"]),
            started=str(data["started"]),
            extra_environment=dict(data["extra_environment"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def mark(home: Path) -> str:
    """The part of an engine's command line that names its folder."""
    return f"{_MARK}={home}"
