"""The application: its routes, and what its views share."""

import contextlib
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from shipment_events.console import letters, overview, repairs, search, shipments
from shipment_events.console.access import Access
from shipment_events.console.guard import Guard, TooLargeError
from shipment_events.console.rendering import page
from shipment_events.console.state import Console
from shipment_events.pipeline import Pipeline

_TITLES = {
    403: "This is not allowed",
    404: "There is no such page",
    405: "This address takes another kind of request",
    409: "This has changed meanwhile",
    413: "This is too large",
}


def create_app(pipeline: Pipeline, access: Access, *, copies: Path, allow_changes: bool) -> Starlette:
    """The page of a stage as an ASGI application.

    Args:
        copies: folder for the copies of dead letters.
    """
    console = Console(pipeline, copies, allow_changes=allow_changes)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        console.jobs.end()

    static = StaticFiles(directory=str(files("shipment_events.console") / "static"))
    app = Starlette(
        routes=[
            Mount("/static", static),
            *overview.ROUTES,
            *repairs.ROUTES,
            *letters.ROUTES,
            *search.ROUTES,
            *shipments.ROUTES,
        ],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={HTTPException: _problem, TooLargeError: _too_large, Exception: _bug},
        lifespan=lifespan,
    )
    app.state.console = console
    return app


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    title = _TITLES.get(error.status_code, "This did not work")
    detail = "" if error.detail.startswith(("Not Found", "Method Not")) else error.detail
    return _said(request, title, detail, error.status_code)


def _too_large(request: Request, _: Exception) -> Response:
    return _said(request, _TITLES[413], "", 413)


def _bug(request: Request, _: Exception) -> Response:
    detail = "This is a bug of the console. The terminal in which it runs shows the traceback."
    return _said(request, "Something went wrong", detail, 500)


def _said(request: Request, title: str, detail: str, status: int) -> Response:
    values: dict[str, Any] = {"title": title, "detail": detail}
    if request.headers.get("hx-request"):
        return page("problem_panel.html", status, **values)
    return page("problem.html", status, console=request.app.state.console, **values)
