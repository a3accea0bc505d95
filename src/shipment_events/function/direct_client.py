"""The DynamoDB calls of our functions, without botocore's conversion of values to JSON and back.

botocore's client checks every value of a request against its model of the service. That takes a third of
a batch's CPU time, and nearly half of a read's. Our requests are already JSON and are sent unchanged.
Endpoint, headers, credentials, signature and HTTP session are botocore's.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Self

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, NoCredentialsError

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient

_SUCCESS: Final = 200
_FIRST_FINAL: Final = 200
# The other headers of a request belong to its body, its time or its signature.
_COMMON_HEADERS: Final = ("Content-Type", "User-Agent", "X-Amz-Target")
# Requests have no circular references. The check for them would take a third of the encoding time.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)


class DirectDynamoDBClient:
    """Replaces a DynamoDB client in one thread. It does not validate parameters and does not retry.

    Args:
        client: its endpoint and its HTTP session are used, with their timeouts, proxies and certificates.
        session: its credentials sign the requests.
        convert: converts each JSON object of a response.

    Attributes:
        meta: the client's.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        session: "Session",
        convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.meta = client.meta
        self._client = client
        self._session = session
        self._convert = convert
        # botocore has no public name for it. A session of our own would have to repeat how botocore finds
        # proxies and certificates.
        self._http = client._endpoint.http_session  # type: ignore[attr-defined]
        self._templates: dict[str, _RequestTemplate] = {}

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._http.close()

    def run_statements(self, request: str) -> dict[str, Any]:
        """Run PartiQL statements.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html

        Args:
            request: JSON.

        Returns:
            The response, converted.

        Raises:
            botocore.exceptions.ClientError: the service refuses the request, or its response is not JSON.
            botocore.exceptions.BotoCoreError: there is no response, no credentials or no endpoint.
        """
        # Any statement serves as example, because the endpoint does not depend on it.
        example = partial(self._client.batch_execute_statement, Statements=[{"Statement": "-"}])
        return self._call("BatchExecuteStatement", request, example)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Read items by their keys.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html

        Raises:
            as :meth:`run_statements`.
        """
        return self._read("BatchGetItem", self._client.batch_get_item, request)

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Read an item by its key.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html

        Raises:
            as :meth:`run_statements`.
        """
        return self._read("GetItem", self._client.get_item, request)

    def query(self, **request: Any) -> dict[str, Any]:
        """Read a page of items.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html

        Raises:
            as :meth:`run_statements`.
        """
        return self._read("Query", self._client.query, request)

    def _read(
        self, operation: str, send: Callable[..., object], request: Mapping[str, Any]
    ) -> dict[str, Any]:
        return self._call(operation, _ENCODER.encode(request), partial(send, **request))

    def _call(self, operation: str, body: str, example: Callable[[], object]) -> dict[str, Any]:
        template = self._templates.get(operation)
        if template is None:
            template = _RequestTemplate.of(operation, example, self._client.meta.events)
            self._templates[operation] = template
        request = AWSRequest("POST", template.url, template.headers, body.encode())
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        frozen = credentials.get_frozen_credentials()
        SigV4Auth(frozen, template.service, template.region).add_auth(request)
        response = self._http.send(request.prepare())
        if response.status_code < _FIRST_FINAL:
            # The final response is still to come. The next request must not read it as its own.
            self.close()
        try:
            content = json.loads(response.content, object_hook=self._convert)
        except ValueError:
            content = None
        if response.status_code != _SUCCESS or not isinstance(content, dict):
            raise _error(operation, response.status_code, content)
        return content


@dataclass(frozen=True, slots=True)
class _RequestTemplate:
    """What all requests of an operation have in common.

    Attributes:
        service, region: for these, requests are signed.
    """

    url: str
    headers: Mapping[str, str]
    service: str
    region: str

    @classmethod
    def of(cls, operation: str, example: Callable[[], object], events: Any) -> Self:
        """Let botocore prepare a request of the operation, and keep it from being sent.

        https://docs.aws.amazon.com/botocore/latest/topics/events.html describes the event.

        Args:
            example: calls the operation on botocore's client.
            events: of that client.

        Raises:
            botocore.exceptions.BotoCoreError: botocore finds no endpoint or no credentials.
        """
        prepared: list[AWSPreparedRequest] = []

        def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            prepared.append(request)
            return AWSResponse(request.url, _SUCCESS, HTTPHeaders(), SimpleNamespace(stream=lambda: [b"{}"]))

        event = f"before-send.dynamodb.{operation}"
        events.register(event, answer)
        try:
            example()
        finally:
            events.unregister(event, answer)
        [request] = prepared
        headers = {name: _text(value) for name, value in request.headers.items()}
        # Credential=key/date/region/service/aws4_request, ...:
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
        region, service = headers["Authorization"].partition(",")[0].split("/")[-3:-1]
        return cls(request.url, {name: headers[name] for name in _COMMON_HEADERS}, service, region)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _error(operation: str, status: int, content: object) -> ClientError:
    """The error as botocore makes it: the code without its namespace, or the status if there is no code."""
    error = content if isinstance(content, dict) else {}
    unnamed = "InvalidResponse" if status == _SUCCESS else status
    code = str(error.get("__type") or unnamed).rpartition("#")[2]
    message = str(error.get("message") or error.get("Message") or "")
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
