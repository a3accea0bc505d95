"""The two DynamoDB calls of the processor, without botocore's way from Python values to JSON and back.

botocore walks every value of a request along its model of the service, to write JSON that our requests have
the form of already, and runs its hooks: a third of a batch's CPU time. Here the request is encoded as it is.
Endpoint, credentials, signature and transport stay botocore's.
"""

import json
import socket
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
_TARGET_PREFIX: Final = "DynamoDB_20120810."
_CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_SUCCESS: Final = 200
# Without it, the kernel holds the body back until the headers are acknowledged.
_AT_ONCE: Final = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class DirectDynamoDBClient:
    """Takes the place of a DynamoDB client. It validates nothing and tries once.

    Args:
        client: whose endpoint, region and timeouts hold here.
        session: whose credentials and certificates do.

    Attributes:
        meta: of the client.
    """

    def __init__(self, client: "DynamoDBClient", session: "Session") -> None:
        self.meta = client.meta
        config = cast("Any", client.meta.config)
        # The stubs of its arguments are narrower than what botocore itself passes.
        transport = cast("Any", URLLib3Session)
        self._session = session
        self._url = f"{client.meta.endpoint_url.rstrip('/')}/"
        self._user_agent = session.user_agent()
        self._http: URLLib3Session = transport(
            verify=session.get_config_variable("ca_bundle") or True,
            proxies=get_environ_proxies(self._url),
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=1,
            socket_options=[_AT_ONCE],
        )

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._http.close()

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
        answer = self._http.send(self._sign(operation, json.dumps(request).encode()).prepare())
        try:
            content = json.loads(answer.content)
        except ValueError:
            content = None
        if answer.status_code != _SUCCESS or not isinstance(content, dict):
            raise _error(operation, answer.status_code, content)
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


def _error(operation: str, status: int, content: object) -> ClientError:
    """As botocore makes it: the code without its namespace, or the status where the service names none."""
    error = content if isinstance(content, dict) else {}
    unnamed = "InvalidResponse" if status == _SUCCESS else status
    code = str(error.get("__type") or unnamed).rpartition("#")[2]
    message = str(error.get("message") or error.get("Message") or "")
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
