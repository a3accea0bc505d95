"""Problem responses: what was wrong with a request, as RFC 9457 describes it.

https://www.rfc-editor.org/rfc/rfc9457
"""

from http import HTTPStatus
from typing import Any, Final

from shipment_events.errors import ShipmentEventsError

PROBLEM_TYPE: Final = "application/problem+json"

INVALID_PARAMETER: Final = "invalid_parameter"
INVALID_CURSOR: Final = "invalid_cursor"
NOT_FOUND: Final = "not_found"
UNAVAILABLE: Final = "unavailable"
INTERNAL: Final = "internal"
CODES: Final = (INVALID_PARAMETER, INVALID_CURSOR, NOT_FOUND, UNAVAILABLE, INTERNAL)
"""Stable codes for programs."""


class ProblemError(ShipmentEventsError):
    """A request that gets a problem as its response.

    Args:
        status: HTTP status.
        code: one of ``CODES``.
        detail: what was expected, for people.
        parameter: name of the wrong parameter, if it is one.
    """

    def __init__(self, status: HTTPStatus, code: str, detail: str, parameter: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.parameter = parameter

    @property
    def body(self) -> dict[str, Any]:
        """The members of the problem. Its type is ``about:blank``, so its title is that of the status."""
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "code": self.code,
            **({"parameter": self.parameter} if self.parameter else {}),
        }


def invalid(parameter: str, expected: str) -> ProblemError:
    """The problem of a wrong parameter."""
    return ProblemError(HTTPStatus.BAD_REQUEST, INVALID_PARAMETER, f"{parameter}: {expected}", parameter)


def invalid_cursor() -> ProblemError:
    """The problem of a cursor that is damaged, or belongs to another query."""
    expected = "cursor: expected an unchanged next_cursor of the same query"
    return ProblemError(HTTPStatus.BAD_REQUEST, INVALID_CURSOR, expected, "cursor")


def not_found(detail: str) -> ProblemError:
    """The problem of a shipment that is not there."""
    return ProblemError(HTTPStatus.NOT_FOUND, NOT_FOUND, detail)


def unavailable() -> ProblemError:
    """The problem of a table that does not respond now."""
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE, "expected the table to respond; try again in a moment"
    )


def internal() -> ProblemError:
    """The problem of a defect. The log has its trace."""
    return ProblemError(
        HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL, "the request failed by a defect, which is in the log"
    )
