"""Who may use the page: the person who started it, in a browser on this machine."""

import secrets
from typing import Final

from starlette.requests import Request

LOOPBACK: Final = ("127.0.0.1", "::1")
TOKEN: Final = "token"  # noqa: S105 - the name of a parameter
_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_READS: Final = frozenset({"GET", "HEAD"})
_METHODS: Final = _READS | {"POST"}


class Access:
    """The secrets of one server, which end with its process.

    Args:
        port: the server's port.
    """

    def __init__(self, port: int) -> None:
        self._token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._once: set[str] = set()
        self._port = port
        self._hosts = frozenset(f"{name}:{port}" for name in _NAMES)

    @property
    def address(self) -> str:
        """The address with the token."""
        return self._address(self._token)

    def address_once(self) -> str:
        """An address that works once. Other users of the machine can see the arguments of a browser."""
        token = secrets.token_urlsafe(32)
        self._once.add(token)
        return self._address(token)

    def _address(self, token: str) -> str:
        return f"http://127.0.0.1:{self._port}/?{TOKEN}={token}"

    @property
    def cookie_name(self) -> str:
        """Browsers send a cookie to every port of a host, so its name contains the port."""
        return f"shipments-console-{self._port}"

    @property
    def cookie(self) -> str:
        """The ``Set-Cookie`` header."""
        return f"{self.cookie_name}={self._session}; Path=/; HttpOnly; SameSite=Strict"

    def takes(self, token: str) -> bool:
        """Whether the token is right. A token for one use is used up."""
        if _equal(token, self._token):
            return True
        found = next((one for one in self._once if _equal(token, one)), None)
        self._once.discard(found or "")
        return found is not None

    def knows(self, request: Request) -> bool:
        """Whether the request has the cookie."""
        return _equal(request.cookies.get(self.cookie_name, ""), self._session)

    def foreign(self, request: Request) -> str:
        """Why the request may come from another site. Empty if it does not.

        A site can point its own name at 127.0.0.1 (DNS rebinding), so the host must be ours. A page on
        another port of this machine is "same-site" and gets the cookie, so a write must be "same-origin".
        https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
        """
        headers = request.headers
        if headers.get("host") not in self._hosts:
            return "The Host header is not this server's."
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{headers['host']}":
            return "The request comes from another origin."
        site = headers.get("sec-fetch-site")
        if request.method not in _READS:
            # Every browser sends at least one of the two with a form.
            is_ours = site == "same-origin" if site is not None else origin is not None
            return "" if is_ours else "A change must come from this page."
        if site in (None, "same-origin", "none") or headers.get("sec-fetch-mode") == "navigate":
            return ""
        return "The request comes from another site."


def allowed_method(method: str) -> bool:
    """Whether the page has this method at all."""
    return method in _METHODS


def _equal(given: str, expected: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
