"""The two DynamoDB calls of the processor, without botocore's way from Python values to JSON and back.

botocore walks every value of a request along its model of the service, to write JSON that our requests have
the form of already, runs its hooks, and sends through a pool of connections: half of a batch's CPU time. Here
the request is encoded as it is and sent on one connection. Endpoint, credentials, signature and certificates
stay botocore's.
"""

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from botocore.exceptions import ClientError, NoCredentialsError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from shipment_events.processor.connection import KeptConnection
from shipment_events.processor.signature import Signer
from shipment_events.table.item import without_event

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
_TARGET_PREFIX: Final = "DynamoDB_20120810."
_CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_SUCCESS: Final = 200
# Requests are trees, made anew for each batch; to look for circles in them takes a third of the encoding.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)


class DirectDynamoDBClient:
    """Takes the place of a DynamoDB client, for one thread.

    It validates nothing and tries once. botocore finds the endpoint anew for each request; this one keeps
    that of the region, also where the account has one of its own.

    Args:
        client: whose endpoint, region and timeouts hold here.
        session: whose credentials and certificates do.

    Attributes:
        meta: of the client.
    """

    def __init__(self, client: "DynamoDBClient", session: "Session") -> None:
        self.meta = client.meta
        config = cast("Any", client.meta.config)
        self._session = session
        self._user_agent = session.user_agent()
        self._signer = Signer(_host(client.meta.endpoint_url), "dynamodb", client.meta.region_name)
        self._connection = KeptConnection(
            client.meta.endpoint_url,
            connect_timeout=config.connect_timeout,
            read_timeout=config.read_timeout,
            ca_file=get_cert_path(_ca_bundle(session)),
        )

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def run_statements(self, request: str) -> dict[str, Any]:
        """Run PartiQL statements.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html

        Args:
            request: JSON.

        Returns:
            The answer; items in it are without their events.

        Raises:
            botocore.exceptions.ClientError: the service refuses the request, or its answer is no JSON.
            botocore.exceptions.BotoCoreError: no answer came, or nothing can sign the request.
        """
        return self._call("BatchExecuteStatement", request)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Read items by their keys.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html

        Raises:
            as :meth:`run_statements`.
        """
        return self._call("BatchGetItem", _ENCODER.encode(request))

    def _call(self, operation: str, request: str) -> dict[str, Any]:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        body = request.encode()
        headers = {"content-type": _CONTENT_TYPE, "x-amz-target": _TARGET_PREFIX + operation}
        signed = self._signer.signed(headers, body, credentials.get_frozen_credentials(), datetime.now(UTC))
        sent = {**signed, "user-agent": self._user_agent, "accept-encoding": "identity"}
        status, answer = self._connection.post(sent, body)
        try:
            content = json.loads(answer, object_hook=without_event)
        except ValueError:
            content = None
        if status != _SUCCESS or not isinstance(content, dict):
            raise _error(operation, status, content)
        return content


def can_reach(endpoint_url: str) -> bool:
    """Whether the direct client serves there: it knows no proxies, and no endpoints below a path."""
    return urlsplit(endpoint_url).path in {"", "/"} and not get_environ_proxies(endpoint_url)


def _host(endpoint_url: str) -> str:
    """As the header has it: with the port where that is not the scheme's own."""
    parts = urlsplit(endpoint_url)
    return parts.netloc.rpartition("@")[2].removesuffix(":443" if parts.scheme == "https" else ":80")


def _ca_bundle(session: "Session") -> Any:
    """Where botocore looks for it."""
    return session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True


def _error(operation: str, status: int, content: object) -> ClientError:
    """As botocore makes it: the code without its namespace, or the status where the service names none."""
    error = content if isinstance(content, dict) else {}
    unnamed = "InvalidResponse" if status == _SUCCESS else status
    code = str(error.get("__type") or unnamed).rpartition("#")[2]
    message = str(error.get("message") or error.get("Message") or "")
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
