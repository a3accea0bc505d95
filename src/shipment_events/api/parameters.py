"""The parameters of the API, each with its schema and the function that reads it."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl

from shipment_events.api.problems import invalid
from shipment_events.contract.event import utc_moment
from shipment_events.contract.limits import MAX_SHIPMENT_ID_BYTES
from shipment_events.contract.outcome import InvalidEventError, shown
from shipment_events.tracking.vocabulary import STATUSES

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 100
MAX_CURSOR_CHARACTERS: Final = 4096
_LIMIT: Final = re.compile(r"[0-9]{1,3}")

Read = Callable[[str, str], Any]
"""Reads the value of the named parameter, or raises ``ProblemError``."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a request.

    Attributes:
        schema: JSON Schema of its text.
        in_path: whether it is part of the path; otherwise it is in the query.
        required: whether a request without it is refused.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    read: Read
    in_path: bool = False
    required: bool = False


def _text(name: str, text: str) -> str:
    size = len(text.encode())
    if not 1 <= size <= MAX_SHIPMENT_ID_BYTES:
        raise invalid(name, f"expected 1 to {MAX_SHIPMENT_ID_BYTES} bytes of UTF-8, got {size}")
    return text


def _id_in_path(name: str, text: str) -> str:
    """An id from a path.

    API Gateway decodes a path before it selects the route and calls the function. ``%25`` may or may not be
    decoded, so a percent sign has two meanings. A slash gives another route, and what follows a question mark
    is cut off: https://github.com/middleapi/standard-server/pull/93
    """
    if "%" in text:
        raise invalid(name, "expected an id without a percent sign; use /shipments?shipment_id= instead")
    return _text(name, text)


def _status(name: str, text: str) -> str:
    if text not in STATUSES:
        raise invalid(name, f"expected one of {', '.join(STATUSES)}")
    return text


def _moment(name: str, text: str) -> str:
    try:
        return utc_moment(text)
    except InvalidEventError:
        raise invalid(
            name, "expected ISO 8601 with an offset or Z, for example 2026-03-01T14:05:00Z"
        ) from None


def _limit(name: str, text: str) -> int:
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise invalid(name, f"expected a number from 1 to {MAX_LIMIT}")
    return int(text)


def _cursor(_: str, text: str) -> str:
    return text


_ID: Final = {"type": "string", "minLength": 1, "maxLength": MAX_SHIPMENT_ID_BYTES}

ID: Final = Parameter(
    "id",
    "The shipment. An id with a slash, a percent sign or a question mark needs the query parameter"
    " shipment_id, because API Gateway decodes paths.",
    {**_ID, "pattern": "^[^%/?]+$"},
    _id_in_path,
    in_path=True,
    required=True,
)
SHIPMENT_ID: Final = Parameter("shipment_id", "The shipment. Any text.", _ID, _text)
REQUIRED_SHIPMENT_ID: Final = replace(SHIPMENT_ID, required=True)
STATUS: Final = Parameter("status", "The current status.", {"type": "string", "enum": [*STATUSES]}, _status)
TRACKING_NUMBER: Final = Parameter("tracking_number", "The carrier's number.", _ID, _text)
BEFORE: Final = Parameter(
    "before",
    "Only shipments whose latest event happened before this moment. Needs status or tracking_number.",
    {"type": "string", "format": "date-time"},
    _moment,
)
LIMIT: Final = Parameter(
    "limit",
    "Maximum number of entries in the response. It can have fewer.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    _limit,
)
CURSOR: Final = Parameter(
    "cursor",
    "The next_cursor of the response before, for its next page. The other parameters except limit must be"
    " the same.",
    {"type": "string", "minLength": 1, "maxLength": MAX_CURSOR_CHARACTERS},
    _cursor,
)


def read_parameters(
    parameters: Iterable[Parameter], path: Mapping[str, str], raw_query: str
) -> dict[str, Any]:
    """The values of a request's parameters by name.

    Args:
        parameters: those that the route has.
        path: values of the path.
        raw_query: the query as the client sent it. In API Gateway's ``queryStringParameters``, a repeated
            parameter looks like one value with a comma:
            https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html

    Raises:
        ProblemError: a parameter is unknown, missing, there twice, or has a wrong value.
    """
    known = {parameter.name: parameter for parameter in parameters}
    values = {name: known[name].read(name, text) for name, text in path.items() if name in known}
    try:
        pairs = parse_qsl(raw_query, keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise invalid("query", "expected at most 20 parameters in percent-encoded UTF-8") from None
    for name, text in pairs:
        parameter = known.get(name)
        if parameter is None or parameter.in_path:
            allowed = ", ".join(one.name for one in known.values() if not one.in_path)
            raise invalid("query", f"expected only the parameters {allowed}; got {shown(name)}")
        if name in values:
            raise invalid(name, "expected it once")
        values[name] = parameter.read(name, text)
    for name, parameter in known.items():
        if parameter.required and name not in values:
            raise invalid(name, "expected a value")
    return values
