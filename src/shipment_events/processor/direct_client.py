"""The two DynamoDB calls of the processor, without botocore's way from Python values to JSON and back.

botocore walks every value of a request along its model of the service, to write JSON that our requests have
the form of already, runs its hooks, and sends through two more layers: a third of a batch's CPU time.
Here the request is encoded as it is, and the standard library sends it. Endpoint, credentials, signature and
certificates stay botocore's.
"""

import json
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.httpsession import get_cert_path
from urllib3.util.wait import wait_for_read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
_TARGET_PREFIX: Final = "DynamoDB_20120810."
_CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_SUCCESS: Final = 200


class DirectDynamoDBClient:
    """Takes the place of a DynamoDB client, for one thread. It validates nothing and tries once.

    It keeps one connection and knows no proxies.

    Args:
        client: whose endpoint, region and timeouts hold here.
        session: whose credentials do.

    Attributes:
        meta: of the client.
    """

    def __init__(self, client: "DynamoDBClient", session: "Session") -> None:
        self.meta = client.meta
        config = cast("Any", client.meta.config)
        self._connect_timeout: float = config.connect_timeout
        self._read_timeout: float = config.read_timeout
        self._session = session
        self._url = f"{client.meta.endpoint_url.rstrip('/')}/"
        self._user_agent = session.user_agent()
        self._connection = _connection(self._url, session.get_config_variable("ca_bundle"))

    def batch_execute_statement(self, **request: Any) -> dict[str, Any]:
        """Run PartiQL statements.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html

        Raises:
            botocore.exceptions.ClientError: the service refuses the request, or its answer is no JSON.
            botocore.exceptions.BotoCoreError: no answer came, or nothing can sign the request.
        """
        return self._call("BatchExecuteStatement", request)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Read items by their keys.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html

        Raises:
            as :meth:`batch_execute_statement`.
        """
        return self._call("BatchGetItem", request)

    def _call(self, operation: str, request: "Mapping[str, Any]") -> dict[str, Any]:
        signed = self._sign(operation, json.dumps(request).encode())
        self._connect()
        status, answer = self._exchange(signed)
        try:
            content = json.loads(answer)
        except ValueError:
            content = None
        if status != _SUCCESS or not isinstance(content, dict):
            raise _error(operation, status, content)
        return content

    def _sign(self, operation: str, body: bytes) -> AWSRequest:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        headers = {
            "Content-Type": _CONTENT_TYPE,
            "X-Amz-Target": _TARGET_PREFIX + operation,
            "User-Agent": self._user_agent,
        }
        request = AWSRequest("POST", self._url, headers, body)
        SigV4Auth(credentials.get_frozen_credentials(), "dynamodb", self.meta.region_name).add_auth(request)
        return request

    def _connect(self) -> None:
        """Open the connection, anew where the service has closed it since the last batch."""
        connection = self._connection
        if connection.sock is not None:
            if not wait_for_read(connection.sock, timeout=0):
                return
            connection.close()
        connection.timeout = self._connect_timeout
        try:
            connection.connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except OSError as error:
            connection.close()
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        connection.sock.settimeout(self._read_timeout)

    def _exchange(self, request: AWSRequest) -> tuple[int, bytes]:
        connection = self._connection
        try:
            connection.request("POST", "/", request.body, dict(request.headers.items()))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except (OSError, HTTPException) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=self._url, error=error) from error


def _connection(url: str, ca_bundle: str | None) -> HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme != "https":
        return HTTPConnection(str(parts.hostname), parts.port)
    context = ssl.create_default_context(cafile=ca_bundle or get_cert_path(True))
    return HTTPSConnection(str(parts.hostname), parts.port, context=context)


def _error(operation: str, status: int, content: object) -> ClientError:
    """As botocore makes it: the code without its namespace, or the status where the service names none."""
    error = content if isinstance(content, dict) else {}
    unnamed = "InvalidResponse" if status == _SUCCESS else status
    code = str(error.get("__type") or unnamed).rpartition("#")[2]
    message = str(error.get("message") or error.get("Message") or "")
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
