"""The processor's connection is kept, checked, and given up as soon as it cannot be trusted."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import get_cert_path

from shipment_events.processor.connection import KeptConnection
from tests.stand_ins.http_service import Reply, Service, answer, half_an_answer, hang_up, silence

HEADERS: Final = {"host": "service", "content-type": "application/x-amz-json-1.0"}
CONNECT_TIMEOUT: Final = 1.0
READ_TIMEOUT: Final = 2.0


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def connection_to(service: Service, ca_file: Path | None = None) -> KeptConnection:
    return KeptConnection(
        service.url,
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        ca_file=str(ca_file or get_cert_path(True)),
    )


@pytest.fixture
def services() -> Iterator[list[Service]]:
    """Those that a test has started; they are closed after it."""
    started: list[Service] = []
    yield started
    for service in started:
        service.close()


def test_request_arrives_as_it_was_sent(services: list[Service]) -> None:
    services.append(service := Service(answer(b"pong")))
    with closing(connection_to(service)) as connection:
        assert connection.post(HEADERS, "東".encode()) == (200, b"pong")
    assert service.requests == [({**HEADERS, "content-length": "3"}, "東".encode())]


def test_connection_is_kept(services: list[Service]) -> None:
    services.append(service := Service(*[answer(b"pong"), answer(b"no", "400 Bad Request")] * 2))
    with closing(connection_to(service)) as connection:
        assert [connection.post(HEADERS, b"ping")[0] for _ in range(4)] == [200, 400, 200, 400]
    assert service.connections == 1


def test_answer_in_chunks_is_put_together(services: list[Service]) -> None:
    def chunks(connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\npon\r\n1\r\ng\r\n0\r\n\r\n"
        )

    services.append(service := Service(chunks, answer(b"own")))
    with closing(connection_to(service)) as connection:
        assert connection.post(HEADERS, b"ping") == (200, b"pong")
        assert connection.post(HEADERS, b"ping") == (200, b"own")
    assert service.connections == 1


def test_connection_closed_between_batches_is_opened_anew(services: list[Service]) -> None:
    has_hung_up = threading.Event()

    def answer_and_hang_up(connection: socket.socket) -> None:
        answer(b"pong")(connection)
        hang_up(connection)
        has_hung_up.set()

    services.append(service := Service(answer_and_hang_up, answer(b"own")))
    with closing(connection_to(service)) as connection:
        connection.post(HEADERS, b"ping")
        assert has_hung_up.wait(5)
        assert connection.post(HEADERS, b"ping") == (200, b"own")
    assert service.connections == 2


def test_connection_is_given_up_where_the_service_announces_it(services: list[Service]) -> None:
    services.append(service := Service(answer(b"pong", extra="Connection: close\r\n"), answer(b"own")))
    with closing(connection_to(service)) as connection:
        connection.post(HEADERS, b"ping")
        assert connection.post(HEADERS, b"ping") == (200, b"own")
    assert service.connections == 2


def test_closed_connection_opens_another(services: list[Service]) -> None:
    services.append(service := Service(answer(b"pong"), answer(b"own")))
    connection = connection_to(service)
    connection.post(HEADERS, b"ping")
    connection.close()
    with closing(connection):
        assert connection.post(HEADERS, b"ping") == (200, b"own")
    assert service.connections == 2


def no_http(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example ESMTP\r\n")


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (hang_up, ConnectionClosedError),
        (half_an_answer, ConnectionClosedError),
        (no_http, ConnectionClosedError),
        (silence, ReadTimeoutError),
    ],
)
def test_connection_is_good_again_after_a_failure(
    services: list[Service], reply: Reply, failure: type[BotoCoreError]
) -> None:
    services.append(service := Service(answer(b"first"), reply, answer(b"own"), reply, answer(b"own")))
    with closing(connection_to(service)) as connection:
        connection.post(HEADERS, b"ping")
        for _ in range(2):
            with pytest.raises(failure, match=service.url):
                connection.post(HEADERS, b"ping")
            assert connection.post(HEADERS, b"ping") == (200, b"own")
    assert service.connections == 3


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf-"],
    ids=["nothing", "half an answer"],
)
def test_late_answer_is_not_taken_for_the_next_ones(services: list[Service], beginning: bytes) -> None:
    def late(connection: socket.socket) -> None:
        connection.sendall(beginning)
        time.sleep(READ_TIMEOUT + 0.2)
        with suppress(OSError):  # The client has hung up.
            answer(b"late")(connection)

    services.append(service := Service(answer(b"first"), late, answer(b"own")))
    with closing(connection_to(service)) as connection:
        connection.post(HEADERS, b"ping")
        begin = time.monotonic()
        with pytest.raises(ReadTimeoutError):
            connection.post(HEADERS, b"ping")
        assert READ_TIMEOUT <= time.monotonic() - begin < READ_TIMEOUT + CONNECT_TIMEOUT
        assert connection.post(HEADERS, b"ping") == (200, b"own")


def test_answer_after_an_interim_one_is_not_taken_for_the_next_ones(services: list[Service]) -> None:
    def interim(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        time.sleep(0.2)
        with suppress(OSError):  # The client has hung up.
            answer(b"late")(connection)

    services.append(service := Service(interim, answer(b"own")))
    with closing(connection_to(service)) as connection:
        assert connection.post(HEADERS, b"ping")[0] == 103
        assert connection.post(HEADERS, b"ping") == (200, b"own")


def test_refusal_of_a_request_that_is_not_read_to_its_end_is_heard(services: list[Service]) -> None:
    services.append(
        service := Service(answer(b"too large", "413 Content Too Large"), answer(b"own"), reads=1_000)
    )
    with closing(connection_to(service)) as connection:
        assert connection.post(HEADERS, b"x" * 20_000_000) == (413, b"too large")
        assert connection.post(HEADERS, b"ping") == (200, b"own")
    assert service.connections == 2


def test_nobody_there(services: list[Service]) -> None:
    services.append(service := Service())
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        service.url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with closing(connection_to(service)) as connection, pytest.raises(EndpointConnectionError):
            connection.post(HEADERS, b"ping")


def test_connection_over_tls_is_kept(services: list[Service], authority: trustme.CA, ca_file: Path) -> None:
    services.append(service := Service(*[answer(b"pong")] * 3, tls=server_tls(authority)))
    with closing(connection_to(service, ca_file)) as connection:
        assert [connection.post(HEADERS, b"ping") for _ in range(3)] == [(200, b"pong")] * 3
    assert service.connections == 1


def test_greeting_of_tls_that_never_comes_spoils_no_later_batch(
    services: list[Service], authority: trustme.CA, ca_file: Path
) -> None:
    services.append(service := Service(answer(b"own"), tls=server_tls(authority), deaf=2))
    with closing(connection_to(service, ca_file)) as connection:
        for _ in range(2):
            begin = time.monotonic()
            with pytest.raises(ConnectTimeoutError):
                connection.post(HEADERS, b"ping")
            assert CONNECT_TIMEOUT <= time.monotonic() - begin < READ_TIMEOUT
        assert connection.post(HEADERS, b"ping") == (200, b"own")


@pytest.mark.parametrize("name", ["127.0.0.1", "elsewhere.example"], ids=["unknown authority", "other name"])
def test_service_that_cannot_prove_who_it_is_gets_nothing(
    services: list[Service], authority: trustme.CA, ca_file: Path, name: str
) -> None:
    trusted = ca_file if name != "127.0.0.1" else None
    services.append(service := Service(answer(b"pong"), tls=server_tls(authority, name)))
    with closing(connection_to(service, trusted)) as connection, pytest.raises(SSLError):
        connection.post(HEADERS, b"ping")
    assert service.requests == []


def test_greeting_of_tls_has_only_what_connecting_has_left_of_the_time(
    services: list[Service], authority: trustme.CA, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.create_connection

    def slow_connect(*arguments: Any) -> socket.socket:
        time.sleep(CONNECT_TIMEOUT * 0.8)
        return connect(*arguments)

    monkeypatch.setattr(socket, "create_connection", slow_connect)
    services.append(service := Service(tls=server_tls(authority), deaf=1))
    begin = time.monotonic()
    with closing(connection_to(service, ca_file)) as connection, pytest.raises(ConnectTimeoutError):
        connection.post(HEADERS, b"ping")
    assert time.monotonic() - begin < 1.5 * CONNECT_TIMEOUT


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["absent", "no PEM"])
def test_certificates_that_cannot_be_read_are_a_failure_like_others(
    services: list[Service], authority: trustme.CA, tmp_path: Path, content: str | None
) -> None:
    ca_file = tmp_path / "ca.pem"
    if content:
        ca_file.write_text(content)
    services.append(service := Service(tls=server_tls(authority)))
    with closing(connection_to(service, ca_file)) as connection, pytest.raises(SSLError):
        connection.post(HEADERS, b"ping")
