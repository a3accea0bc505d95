"""Who listens on a port: this engine, one of another directory, or something else."""

import http.client
import json
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workbench.engine.settings import HOST

# The engine repeats this variable in its health answer, so that it can be told from its like over HTTP alone.
LABEL_VARIABLE: Final = "MINISTACK_EDITION"
_LABEL_PREFIX: Final = "shipment-events "
# From here on Linux takes ports for outgoing connections, macOS and Windows begin later: one of those could
# take an engine's port while the engine is stopped for a moment.
_FIRST_EPHEMERAL_PORT: Final = 32_768
_FIRST_PORT: Final = 20_000


@dataclass(frozen=True)
class Occupant:
    """What answered on a port. ``home`` is the folder of an engine started from a clone, else None."""

    description: str
    home: Path | None


def label(home: Path) -> str:
    """What an engine of this folder says of itself."""
    return f"{_LABEL_PREFIX}{home}"


def occupant(port: int, *, timeout: float = 2.0) -> Occupant | None:
    """The program that listens on the port of the loopback interface, or None.

    ``timeout`` in seconds bounds the connection and each read.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.connect()
    except TimeoutError:
        return Occupant("a program that accepts no connections", None)
    except OSError:
        return None
    try:
        connection.request("GET", "/_ministack/health")
        body = connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return Occupant("a program that is no local engine", None)
    finally:
        connection.close()
    return _identify(body)


def answers(port: int, home: Path, *, timeout: float = 2.0) -> bool:
    """True when the engine of ``home`` serves requests on the port. ``timeout`` in seconds."""
    found = occupant(port, timeout=timeout)
    return found is not None and found.home == home


def free_port() -> int:
    """A port that nothing listens on at this moment, and that no outgoing connection is given."""
    while True:
        port = _FIRST_PORT + secrets.randbelow(_FIRST_EPHEMERAL_PORT - _FIRST_PORT)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def free_ports(count: int) -> list[int]:
    """So many different ones."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


def _identify(body: bytes) -> Occupant:
    try:
        health = json.loads(body)
    except ValueError:
        return Occupant("a program that is no local engine", None)
    if not isinstance(health, dict) or "services" not in health:
        return Occupant("a program that is no local engine", None)
    edition = str(health.get("edition", ""))
    if edition.startswith(_LABEL_PREFIX):
        home = Path(edition.removeprefix(_LABEL_PREFIX))
        return Occupant(f"the local engine of {home.parent}", home)
    return Occupant("another AWS emulator", None)
