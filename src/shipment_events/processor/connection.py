"""One HTTP connection to one service, kept from batch to batch and trusted only as long as nothing failed.

botocore sends through a pool for many threads and hosts, which takes three times the CPU time.
"""

import socket
import ssl
import time
from collections.abc import Mapping
from functools import cached_property
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.parse import urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util.wait import wait_for_read

_PORTS: Final = {"http": 80, "https": 443}
_LEAST_TIMEOUT: Final = 0.001
_FINAL: Final = 200


class KeptConnection:
    """Posts requests to the root of one service, one at a time.

    Args:
        url: of the service.
        connect_timeout: seconds until an address of the service is connected, greeted over TLS and all.
        read_timeout: seconds for sending, where the kernel's buffers do not hold it all, and seconds without
            a sign of life after that.
        ca_file: PEM file of the certificates that the service's is checked against; None: the system's.
    """

    def __init__(self, url: str, *, connect_timeout: float, read_timeout: float, ca_file: str | None) -> None:
        parts = urlsplit(url)
        self._url = url
        self._name = str(parts.hostname)
        self._address = (self._name, parts.port or _PORTS[parts.scheme])
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._is_secure = parts.scheme == "https"
        self._ca_file = ca_file
        self._kept: socket.socket | None = None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def post(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Send a request and read the whole answer, whatever its status.

        Args:
            headers: all that are to be sent but the length.

        Returns:
            Status and body of the answer.

        Raises:
            botocore.exceptions.ConnectTimeoutError, EndpointConnectionError: nothing was sent.
            botocore.exceptions.SSLError: likewise, as the service could not prove who it is, or ``ca_file``
                cannot be read.
            botocore.exceptions.ReadTimeoutError, ConnectionClosedError: no answer came, or half of one; the
                service may have acted all the same.
        """
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n"
        connection = self._take()
        try:
            is_sent = _send(connection, head.encode("latin-1") + body)
            with HTTPResponse(connection, method="POST") as response:
                response.begin()
                answer = response.status, response.read()
            # Not before: where an answer is still to come, as after an interim one, the next batch would take
            # it for its own.
            if is_sent and response.status >= _FINAL and not response.will_close:
                self._kept = connection
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except (OSError, HTTPException) as error:
            raise ConnectionClosedError(endpoint_url=self._url, error=error) from error
        finally:
            if self._kept is not connection:
                connection.close()
        return answer

    def _take(self) -> socket.socket:
        """The kept connection, which is not kept until it is put back, or a new one."""
        connection, self._kept = self._kept, None
        if connection is None:
            return self._connect()
        # Between two answers there is nothing to read but that the service has hung up.
        if wait_for_read(connection, timeout=0):
            connection.close()
            return self._connect()
        return connection

    def _connect(self) -> socket.socket:
        try:
            tls = self._tls if self._is_secure else None
        except OSError as error:
            raise SSLError(endpoint_url=self._url, error=error) from error
        deadline = time.monotonic() + self._connect_timeout
        try:
            connection = socket.create_connection(self._address, self._connect_timeout)
            try:
                # Or the kernel holds back the end of a body until its beginning is acknowledged.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if tls is not None:
                    # What is left; 0 would mean not to wait at all.
                    connection.settimeout(max(deadline - time.monotonic(), _LEAST_TIMEOUT))
                    connection = tls.wrap_socket(connection, server_hostname=self._name)
            except BaseException:
                connection.close()
                raise
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except ssl.SSLError as error:
            raise SSLError(endpoint_url=self._url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        connection.settimeout(self._read_timeout)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Not while the function starts: to read the file takes twenty milliseconds of a whole core, a tenth
        # of that time. Once, where botocore reads it for each connection.
        return ssl.create_default_context(cafile=self._ca_file)


def _send(connection: socket.socket, request: bytes) -> bool:
    """Whether the service took it all; one that refuses a request early has answered when it hangs up."""
    try:
        connection.sendall(request)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True
