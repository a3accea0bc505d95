"""An HTTP service on loopback whose answers, and whose failures, a test chooses one by one."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

Headers = dict[str, str]
Reply = Callable[[socket.socket], None]


class Service:
    """Answers each request with the next reply and remembers what came.

    Args:
        tls: to greet connections with; None for plain HTTP.
        deaf: so many connections at first are accepted and never greeted.
        reads: bytes of a body, at most; a request with more is answered and hung up on.
    """

    def __init__(
        self, *replies: Reply, tls: ssl.SSLContext | None = None, deaf: int = 0, reads: int | None = None
    ) -> None:
        self._replies = iter(replies)
        self._tls = tls
        self._deaf = deaf
        self._reads = reads
        self._ungreeted: list[socket.socket] = []
        self.requests: list[tuple[Headers, bytes]] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for connection in self._ungreeted:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.connections <= self._deaf:
                self._ungreeted.append(connection)
                continue
            threading.Thread(target=self._serve_connection, args=[connection], daemon=True).start()

    def _serve_connection(self, connection: socket.socket) -> None:
        if self._tls:
            try:
                connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:  # The client does not trust us.
                connection.close()
                return
        # The client may hang up at any time.
        with connection, suppress(ConnectionError), connection.makefile("rb") as stream:
            while connection.fileno() >= 0 and stream.readline():
                headers: Headers = {}
                while line := stream.readline().strip():
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                length = int(headers["content-length"])
                if self._reads is not None and length > self._reads:
                    next(self._replies)(connection)
                    time.sleep(0.1)  # Or the answer is lost with what was not read.
                    return
                self.requests.append((headers, stream.read(length)))
                next(self._replies)(connection)


def answer(body: bytes, status: str = "200 OK", extra: str = "") -> Reply:
    def reply(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    return reply


def chunks(body: bytes, *, is_whole: bool = True) -> Reply:
    """Answers in chunks of one byte; without the last ones it hangs up in the middle of one."""
    sent = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + (b"0\r\n\r\n" if is_whole else b"5\r\nab")

    def reply(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent)
        if not is_whole:
            hang_up(connection)

    return reply


def hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # The client may have hung up before.
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def reset(connection: socket.socket) -> None:
    # To linger for no time makes the kernel reset the connection where it would close it.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)


def half_an_answer(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"Responses":')
    hang_up(connection)


def silence(_connection: socket.socket) -> None:
    """Say nothing."""
