"""A client of a stage's HTTP API, which signs its requests with AWS credentials.

Within AWS, ``Pipeline.shipments`` reads the same states without the API. This client shows how to call the
API, and is what ``shipments api get`` uses.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import NoCredentialsError, NoRegionError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from shipment_events.errors import ShipmentEventsError

if TYPE_CHECKING:
    import boto3

CONNECT_TIMEOUT: Final = 3
READ_TIMEOUT: Final = 35
"""Seconds. API Gateway answers within 30 s."""

_SERVICE: Final = "execute-api"
# https://www.rfc-editor.org/rfc/rfc3986#section-3.3, and a query
_TARGET: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")


class InvalidTargetError(ShipmentEventsError, ValueError):
    """The target of a request is not a path with an optional query, percent-encoded."""


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response of the API, or of API Gateway, which refuses some requests itself.

    Attributes:
        headers: with names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: str


class ApiClient:
    """The HTTP API at a URL.

    Args:
        session: its credentials and region sign the requests.
        url: output ``ApiURL`` of the stack.
    """

    def __init__(self, session: "boto3.Session", url: str) -> None:
        self.url = url
        self._session = session
        # The stubs do not know all forms of these.
        settings: Any = {
            "verify": os.environ.get("AWS_CA_BUNDLE") or True,
            "timeout": (CONNECT_TIMEOUT, READ_TIMEOUT),
        }
        self._http = URLLib3Session(proxies=get_environ_proxies(url), **settings)

    def get(self, target: str, *, etag: str | None = None) -> ApiResponse:
        """Send a signed GET.

        Args:
            target: path and query, for example ``/shipments?shipment_id=C2K-00030``.
            etag: header ``ETag`` of an earlier response. If nothing has changed since, the status is 304.

        Raises:
            InvalidTargetError: the target is not percent-encoded.
            botocore.exceptions.BotoCoreError: there are no credentials, or the API cannot be reached.
        """
        if not _TARGET.fullmatch(target):
            raise InvalidTargetError(
                f"{target!r} is not a path with an optional query; expected a text that begins with a slash"
                " and has each other character percent-encoded"
            )
        request = AWSRequest("GET", self.url + target, headers={"If-None-Match": etag} if etag else {})
        self._signer().add_auth(request)
        response = self._http.send(request.prepare())
        headers = {name.lower(): value for name, value in response.headers.items()}
        return ApiResponse(response.status_code, headers, response.content.decode())

    def _signer(self) -> SigV4Auth:
        credentials, region = self._session.get_credentials(), self._session.region_name
        if credentials is None:
            raise NoCredentialsError
        if region is None:
            raise NoRegionError
        return SigV4Auth(credentials.get_frozen_credentials(), _SERVICE, region)
