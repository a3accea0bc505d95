"""The fake services behind HTTP/1.1 on loopback, in a process of their own: ``python -m …endpoint``.

Each request takes a service time from a log-normal distribution. The times are drawn anew from a given seed
at each :meth:`Endpoint.begin`, so that all who are compared meet the same ones.
"""

import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from random import Random
from typing import Any, BinaryIO, Final

from benchmarks.fake_services.bus import Bus
from benchmarks.fake_services.tables import ServiceError, Tables

MEDIAN_SERVICE_SECONDS: Final = 0.005
# 99 of 100 requests then take less than 2.4 times the median: 12 ms.
SIGMA: Final = 0.38
_CONTROL: Final = "Benchmark.Begin"


class Endpoint:
    """The running endpoint, as the one who measures sees it."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}"

    def begin(
        self,
        *,
        seed: int = 0,
        median_seconds: float = MEDIAN_SERVICE_SECONDS,
        returns_old_items: bool = False,
        clear: bool = False,
    ) -> Counter[str]:
        """Draw service times from this seed from now on.

        Args:
            median_seconds: of the service time; 0 for none.
            returns_old_items: whether a failed insert comes with the item in its place.
            clear: forget all items.

        Returns:
            Requests since the last call by operation, and ``Entries`` put on the bus.
        """
        settings = {
            "seed": seed,
            "median_seconds": median_seconds,
            "returns_old_items": returns_old_items,
            "clear": clear,
        }
        self._connection.request("POST", "/", json.dumps(settings), {"X-Amz-Target": _CONTROL})
        return Counter(json.loads(self._connection.getresponse().read()))

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead the AWS SDKs here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def close(self) -> None:
        """Close the control connection."""
        self._connection.close()


@contextmanager
def running_endpoint() -> Iterator[Endpoint]:
    """Start the endpoint, and end it with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fake_services.endpoint"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        endpoint = Endpoint(int(process.stdout.readline()))
        try:
            yield endpoint
        finally:
            endpoint.close()
            process.terminate()


class _Server:
    """A thread a connection: its sleep is true to 0.1 ms, an event loop's to 1 ms."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._bus = Bus()
        self._operations = {**self._tables.operations, **self._bus.operations}
        self._lock = threading.Lock()
        self._random = Random(0)  # noqa: S311 - service times
        self._median = 0.0
        self._requests: Counter[str] = Counter()

    def serve(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve_connection, args=[connection], daemon=True).start()

    def _serve_connection(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while request := _read_request(stream):
                arrived = time.perf_counter()
                target, body = request
                status, answer, seconds = self._answer(target, body)
                payload = json.dumps(answer, separators=(",", ":")).encode()
                head = (
                    f"HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.0\r\n"
                    f"Content-Length: {len(payload)}\r\n\r\n"
                )
                time.sleep(max(0.0, arrived + seconds - time.perf_counter()))
                connection.sendall(head.encode() + payload)

    def _answer(self, target: str, body: bytes) -> tuple[str, Mapping[str, Any], float]:
        request = json.loads(body)
        with self._lock:
            if target == _CONTROL:
                return "200 OK", self._begin(**request), 0.0
            operation = target.rpartition(".")[2]
            self._requests[operation] += 1
            seconds = self._median * math.exp(self._random.gauss(0, SIGMA))
            try:
                return "200 OK", self._operations[operation](request), seconds
            except ServiceError as error:
                refusal: dict[str, Any] = {"__type": f"fake#{error.code}", "message": str(error)}
                if error.item is not None:
                    refusal["Item"] = error.item
                return "400 Bad Request", refusal, seconds

    def _begin(
        self, *, seed: int, median_seconds: float, returns_old_items: bool, clear: bool
    ) -> Mapping[str, int]:
        counted = {**self._requests, "Entries": self._bus.entries}
        self._requests.clear()
        self._bus.entries = 0
        self._random.seed(seed)
        self._median = median_seconds
        self._tables.returns_old_items = returns_old_items
        if clear:
            self._tables.clear()
        return counted


def _read_request(stream: BinaryIO) -> tuple[str, bytes] | None:
    """Target and body, or None where the other side has closed."""
    if not stream.readline():
        return None
    headers: dict[bytes, bytes] = {}
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return headers[b"x-amz-target"].decode(), stream.read(int(headers[b"content-length"]))


def main() -> None:
    """Serve on a free port, which is printed, until the one who started this ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=_Server().serve, args=[listener], daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
