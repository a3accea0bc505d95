"""The two DynamoDB calls of the processor, without botocore's way from Python values to JSON and back.

botocore walks every value of a request along its model of the service, to write JSON that our requests have
the form of already, runs its hooks, and sends through a pool of connections: half of a batch's CPU time. Here
the request is encoded as it is and sent on one connection. Endpoint, credentials, signature and certificates
stay botocore's.
"""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from botocore.exceptions import ClientError, NoCredentialsError
from botocore.httpsession import get_cert_path

from shipment_events.processor.connection import KeptConnection
from shipment_events.processor.signature import Signer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
_TARGET_PREFIX: Final = "DynamoDB_20120810."
_CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_SUCCESS: Final = 200
# Requests are trees, made anew for each batch; to look for circles in them takes a third of the encoding.
_ENCODER: Final = json.JSONEncoder(check_circular=False)


class DirectDynamoDBClient:
    """Takes the place of a DynamoDB client, for one thread.

    It validates nothing, tries once and knows no proxy.

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
        # Both are without the port where it is the scheme's own, as botocore has it.
        self._signer = Signer(urlsplit(client.meta.endpoint_url).netloc, "dynamodb", client.meta.region_name)
        self._connection = KeptConnection(
            client.meta.endpoint_url,
            connect_timeout=config.connect_timeout,
            read_timeout=config.read_timeout,
            ca_file=get_cert_path(session.get_config_variable("ca_bundle") or True),
        )

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

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
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        body = _ENCODER.encode(request).encode()
        headers = {"content-type": _CONTENT_TYPE, "x-amz-target": _TARGET_PREFIX + operation}
        signed = self._signer.signed(headers, body, credentials.get_frozen_credentials(), datetime.now(UTC))
        status, answer = self._connection.post({**signed, "user-agent": self._user_agent}, body)
        try:
            content = json.loads(answer)
        except ValueError:
            content = None
        if status != _SUCCESS or not isinstance(content, dict):
            raise _error(operation, status, content)
        return content


def _error(operation: str, status: int, content: object) -> ClientError:
    """As botocore makes it: the code without its namespace, or the status where the service names none."""
    error = content if isinstance(content, dict) else {}
    unnamed = "InvalidResponse" if status == _SUCCESS else status
    code = str(error.get("__type") or unnamed).rpartition("#")[2]
    message = str(error.get("message") or error.get("Message") or "")
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
