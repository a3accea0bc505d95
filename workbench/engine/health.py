"""Finds out which program listens on a port: this engine, that of another directory, or another program."""

import http.client
import json
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workbench.engine.settings import HOST

# The engine repeats this variable in its health answer. So a command can tell engines apart over HTTP.
LABEL_VARIABLE: Final = "MINISTACK_EDITION"
_LABEL_PREFIX: Final = "shipment-events "
# From this port on, Linux uses ports for outgoing connections; macOS and Windows begin later. Such a
# connection could take an engine's port while the engine restarts.
_FIRST_EPHEMERAL_PORT: Final = 32_768
_FIRST_PORT: Final = 20_000


@dataclass(frozen=True)
class Occupant:
    """The program on a port. ``home`` is the folder of an engine that was started from a clone, else None."""

    description: str
    home: Path | None


def label(home: Path) -> str:
    """The label of the engine of this folder."""
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
    """True if the engine of ``home`` serves requests on the port. ``timeout`` is in seconds."""
    found = occupant(port, timeout=timeout)
    return found is not None and found.home == home


def free_port() -> int:
    """A port that is free now and that the system does not use for outgoing connections."""
    while True:
        port = _FIRST_PORT + secrets.randbelow(_FIRST_EPHEMERAL_PORT - _FIRST_PORT)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def free_ports(count: int) -> list[int]:
    """``count`` different free ports."""
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
