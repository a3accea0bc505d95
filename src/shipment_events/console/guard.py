"""Stands before every request: checks where it comes from, and sets the headers of each response."""

from typing import Final
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shipment_events.console.access import TOKEN, Access, allowed_method
from shipment_events.console.rendering import page
from shipment_events.errors import ShipmentEventsError

STATIC: Final = "/static/"
MOST_BYTES: Final = 1_048_576
"""Maximum size of a request's body. A dead letter with its correction is smaller."""

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, a browser sends "Origin: null" with a form.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                # A browser may keep our own files, and asks each time whether they have changed.
                is_file = request.url.path.startswith(STATIC)
                headers.setdefault("Cache-Control", "no-cache" if is_file else "no-store")
            await send(message)

        answer = self._refusal(request)
        if answer is None:
            await self._app(scope, _bounded(receive), send_guarded)
        else:
            await answer(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        if not allowed_method(request.method):
            return PlainTextResponse("This page has only GET and POST.", 405, {"Allow": "GET, HEAD, POST"})
        if why := self._access.foreign(request):
            return PlainTextResponse(f"{why}\n", 403)
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return PlainTextResponse(f"At most {MOST_BYTES} bytes are taken.\n", 413)
        if request.url.path.startswith(STATIC):
            return None
        if TOKEN in request.query_params and request.method == "GET":
            return self._welcome(request)
        if self._access.knows(request):
            return None
        return self._stranger(request)

    def _welcome(self, request: Request) -> Response:
        """Turn the token into the cookie, and take it out of the address."""
        if not self._access.takes(request.query_params[TOKEN]):
            return self._stranger(request, is_wrong=True)
        path = _path(request)
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # A browser does not send a strict cookie after a redirect that another site began.
            answer: Response = page("welcome.html", path=path)
        else:
            answer = RedirectResponse(path, 303)
        answer.headers["Set-Cookie"] = self._access.cookie
        return answer

    def _stranger(self, request: Request, *, is_wrong: bool = False) -> Response:
        if request.headers.get("hx-request"):
            return PlainTextResponse("Open the address that the command printed.\n", 403)
        came_from_elsewhere = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        again = f"{_path(request)}?{request.url.query}".removesuffix("?")
        shown = again if came_from_elsewhere and not is_wrong else ""
        return page("stranger.html", 403, again=shown, is_wrong=is_wrong)


def _path(request: Request) -> str:
    """The path of the request on this server. A browser takes what follows two slashes for another server."""
    return quote("/" + request.scope["path"].lstrip("/\\"))


class TooLargeError(ShipmentEventsError):
    """A body without a length is larger than ``MOST_BYTES``."""


def _bounded(receive: Receive) -> Receive:
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MOST_BYTES:
            raise TooLargeError
        return message

    return counted
