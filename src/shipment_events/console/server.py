"""The server of the page: its sockets, its life and its end."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvicorn

from shipment_events.console.access import LOOPBACK, Access
from shipment_events.console.app import create_app
from shipment_events.errors import ShipmentEventsError
from shipment_events.pipeline import Pipeline

_GRACE_SECONDS: Final = 3


class PortTakenError(ShipmentEventsError):
    """Another program listens on the port."""


def serve(
    pipeline: Pipeline,
    port: int,
    *,
    allow_changes: bool,
    opens: bool,
    copies: Path,
    on_ready: Callable[[str], None],
) -> None:
    """Serve the page until SIGINT or SIGTERM.

    Args:
        port: 0 for any free port.
        opens: whether a browser is opened.
        copies: folder for the copies of dead letters.
        on_ready: called with the address as soon as the server takes connections.

    Raises:
        PortTakenError: the port is taken.
    """
    sockets = listen(port)
    access = Access(sockets[0].getsockname()[1])
    app = create_app(pipeline, access, copies=copies, allow_changes=allow_changes)
    config = uvicorn.Config(
        app,
        # An access log would contain the token.
        access_log=False,
        log_level=logging.ERROR,
        http="h11",
        ws="none",
        loop="asyncio",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    # At the end, the server cancels requests that still wait for AWS. That is no error.
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    on_ready(access.address)
    if opens:
        webbrowser.open(access.address_once())
    try:
        asyncio.run(uvicorn.Server(config).serve(sockets))
    except KeyboardInterrupt:
        # uvicorn has ended properly, and raises the signal again.
        pass
    finally:
        for one in sockets:
            one.close()
        # After a second signal, uvicorn leaves out the end of the application.
        app.state.console.jobs.end()


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def leave() -> None:
    """End the process, although threads still wait for a slow answer of AWS.

    Changes have ended, because the server waits for them. Such a thread reads. If it reads dead letters,
    those that it holds stay hidden from others until their hold ends.
    """
    if any(not one.daemon for one in threading.enumerate() if one is not threading.main_thread()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(0)


def listen(port: int) -> list[socket.socket]:
    """Listen on 127.0.0.1, and on ::1 where it exists and its port is free.

    Raises:
        PortTakenError: the port of 127.0.0.1 is taken.
    """
    first = _socket(socket.AF_INET, LOOPBACK[0], port)
    sockets = [first]
    if socket.has_ipv6:
        # Another program there is no danger: the printed address names 127.0.0.1.
        with contextlib.suppress(OSError, PortTakenError):
            sockets.append(_socket(socket.AF_INET6, LOOPBACK[1], first.getsockname()[1]))
    return sockets


def _socket(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    made = socket.socket(family)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen()
    except OSError as error:
        made.close()
        raise PortTakenError(
            f"{host}:{port} cannot be used: {error.strerror}", "Choose another port with --port."
        ) from error
    return made
