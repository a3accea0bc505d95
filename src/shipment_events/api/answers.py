"""Responses of the function, with ``ETag`` and 304, in payload format 2.0.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from shipment_events.api.problems import PROBLEM_TYPE, ProblemError
from shipment_events.contract.exact_json import dumps

# https://www.rfc-editor.org/rfc/rfc9110#field.etag
_ETAG: Final = re.compile(r'(?:W/)?"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to one request."""

    status: HTTPStatus
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def for_gateway(self) -> dict[str, Any]:
        """The response as API Gateway expects it."""
        return {"statusCode": self.status.value, "headers": dict(self.headers), "body": self.body}


def found(body: str, if_none_match: str | None) -> Answer:
    """The response with a body, or 304 if the client has this body.

    The tag is a hash of the body, so it changes with whatever the client sees.

    Args:
        if_none_match: the header of the request, or None.
    """
    tag = hashlib.blake2b(body.encode(), digest_size=16).hexdigest()
    # A cache may keep the response, but must ask before it uses it.
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if if_none_match is not None and _matches(if_none_match, tag):
        return Answer(HTTPStatus.NOT_MODIFIED, headers=headers)
    return Answer(HTTPStatus.OK, body, {**headers, "Content-Type": "application/json"})


def problem(error: ProblemError) -> Answer:
    """The response for a problem."""
    headers = {"Content-Type": PROBLEM_TYPE, "Cache-Control": "no-store"}
    if error.status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    return Answer(error.status, dumps(error.body), headers)


def _matches(if_none_match: str, tag: str) -> bool:
    return if_none_match.strip() == "*" or tag in _ETAG.findall(if_none_match)
