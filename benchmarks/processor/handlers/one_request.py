"""(d) The physical limit: one request with one service time, its bytes made beforehand, by a bare socket."""

import json
import os
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_address = urlsplit(os.environ["AWS_ENDPOINT_URL"])
_socket = socket.create_connection((_address.hostname, _address.port))
_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
_body = json.dumps(
    {
        "TableName": os.environ["EVENTS_TABLE_NAME"],
        "Item": {"shipment_id": {"S": "one"}, "event_timestamp": {"S": "request"}},
    }
).encode()
_request = (
    f"POST / HTTP/1.1\r\nHost: {_address.netloc}\r\nX-Amz-Target: DynamoDB_20120810.PutItem\r\n"
    f"Content-Length: {len(_body)}\r\n\r\n"
).encode() + _body


def handler(_event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Send the request and wait for its answer, which fits one packet."""
    _socket.sendall(_request)
    answer = _socket.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(answer.decode())
    return {"batchItemFailures": []}
