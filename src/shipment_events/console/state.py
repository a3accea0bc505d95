"""What all views of one server share."""

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from threading import Lock
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from shipment_events.aws_errors import explained, missing_permission
from shipment_events.console.jobs import Jobs
from shipment_events.console.plans import Plans
from shipment_events.console.rendering import page
from shipment_events.console.samples import Samples
from shipment_events.console.shelf import Shelf
from shipment_events.pipeline import Pipeline

_KEEP_SECONDS: Final = 4.0


class Console:
    """The stage, and what people have read and changed through this server.

    Attributes:
        copies: folder for the copies of dead letters.
        allow_changes: whether dead letters may be redriven and discarded.
        memo: what several panels and browsers ask for at about the same time.
    """

    def __init__(self, pipeline: Pipeline, copies: Path, *, allow_changes: bool) -> None:
        self.pipeline = pipeline
        self.copies = copies
        self.allow_changes = allow_changes
        self.memo = Memo()
        self.shelf = Shelf()
        self.jobs = Jobs()
        self.plans = Plans()
        self.samples = Samples()

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.pipeline.stage.environment

    @property
    def asks_for_name(self) -> bool:
        """Whether a change needs the name of the stage, as for every stage with deletion protection."""
        return self.pipeline.stage.deletion_protection


class Memo:
    """Remembers results for some seconds. If several threads want the same one, only one makes it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._making: dict[object, Lock] = {}
        self._made: dict[object, tuple[float, Any]] = {}

    def get(self, key: object, make: Callable[[], Any]) -> Any:
        """The result of ``make``, or that of another call with this key a moment ago. Errors are not kept."""
        with self._lock:
            making = self._making.setdefault(key, Lock())
        with making:
            at, found = self._made.get(key, (0.0, None))
            if time.monotonic() - at > _KEEP_SECONDS or not at:
                found = make()
                self._made[key] = time.monotonic(), found
            return found


def console_of(request: Request) -> Console:
    """The console that serves the request."""
    console: Console = request.app.state.console
    return console


def view(request: Request, template: str, status: int = 200, /, **values: Any) -> Response:
    """A response from a template that shows the navigation."""
    return page(template, status, console=console_of(request), **values)


Read = Callable[[Request], Response]


def panel(title: str) -> Callable[[Read], Read]:
    """Show an error of AWS in the place of the panel, with the permission that is missing."""

    def decorate(read: Read) -> Read:
        @wraps(read)
        def guarded(request: Request) -> Response:
            try:
                return read(request)
            except Exception as error:
                known = explained(error)
                if known is None:
                    raise
                return page(
                    "unreadable_panel.html",
                    title=title,
                    why=str(known),
                    next_step=known.next_step,
                    permission=missing_permission(error),
                )

        return guarded

    return decorate
