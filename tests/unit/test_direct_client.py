"""The processor's own DynamoDB client sends what botocore's would, and fails as botocore's does."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from shipment_events.aws_errors import error_code
from shipment_events.processor import direct_client
from shipment_events.processor.direct_client import DirectDynamoDBClient

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REQUEST: Final[dict[str, Any]] = {
    "Statements": [
        {
            "Statement": "INSERT INTO \"events\" VALUE {'shipment_id': ?, 'detail': ?}",
            "Parameters": [
                {"S": "東風便 S-1"},
                {"M": {"n": {"N": "1.50"}, "l": {"L": [{"BOOL": True}, {"NULL": True}]}, "e": {"S": ""}}},
            ],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    ]
}
KEYS: Final[dict[str, Any]] = {
    "RequestItems": {
        "events": {
            "Keys": [{"shipment_id": {"S": "S-1"}}],
            "ProjectionExpression": "#p.content_hash",
            "ExpressionAttributeNames": {"#p": "processing"},
            "ConsistentRead": True,
        }
    }
}

Headers = dict[str, str]
Reply = Callable[[socket.socket], None]


class Service:
    """Answers each request with the next reply and remembers what came."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = iter(replies)
        self.requests: list[tuple[Headers, bytes]] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve_connection, args=[connection], daemon=True).start()

    def _serve_connection(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while connection.fileno() >= 0 and stream.readline():
                headers: Headers = {}
                while line := stream.readline().strip():
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                self.requests.append((headers, stream.read(int(headers["content-length"]))))
                next(self._replies)(connection)


def answer(body: bytes, status: str = "200 OK", extra: str = "") -> Reply:
    def reply(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    return reply


def hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # The client may have hung up before.
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def half_an_answer(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"Responses":')
    hang_up(connection)


def silence(_connection: socket.socket) -> None:
    """Say nothing."""


@contextmanager
def clients(service: Service) -> Iterator[tuple[DirectDynamoDBClient, Any]]:
    """Ours and botocore's."""
    session = botocore.session.get_session()
    config = Config(
        connect_timeout=0.5, read_timeout=0.5, retries={"total_max_attempts": 1}, parameter_validation=False
    )
    client = session.create_client("dynamodb", endpoint_url=service.url, config=config)
    ours = DirectDynamoDBClient(cast("DynamoDBClient", client), session)
    try:
        yield ours, client
    finally:
        ours.close()
        client.close()
        service.close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("operation", "request_"), [("batch_execute_statement", REQUEST), ("batch_get_item", KEYS)]
)
def test_request_is_the_one_that_botocore_sends(operation: str, request_: dict[str, Any]) -> None:
    service = Service(answer(b"{}"), answer(b"{}"))
    with clients(service) as (ours, botocores):
        getattr(ours, operation)(**request_)
        getattr(botocores, operation)(**request_)
    (our_headers, our_body), (their_headers, their_body) = service.requests
    assert our_body == their_body
    for name in ("content-type", "x-amz-target", "host", "x-amz-security-token"):
        assert our_headers[name] == their_headers[name]
    ours_signed, theirs_signed = (
        headers["authorization"].partition(", Signature=")[0] for headers in (our_headers, their_headers)
    )
    assert ours_signed == theirs_signed
    assert our_headers["user-agent"].startswith("Botocore/")


def test_answer_is_read_as_botocore_reads_it() -> None:
    body = {
        "Responses": [
            {"TableName": "events"},
            {
                "TableName": "events",
                "Error": {"Code": "DuplicateItem", "Message": "m", "Item": {"shipment_id": {"S": "東"}}},
            },
        ]
    }
    reply = answer(json.dumps(body).encode())
    with clients(Service(reply, reply)) as (ours, botocores):
        mine = ours.batch_execute_statement(**REQUEST)
        assert mine == body
        assert mine["Responses"] == botocores.batch_execute_statement(**REQUEST)["Responses"]


@pytest.mark.parametrize(
    "reply",
    [
        answer(
            b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow"}', "400 Bad"
        ),
        answer(b'{"__type":"com.amazon.coral.validate#ValidationException","Message":"no"}', "400 Bad"),
        answer(b'{"__type":"InternalServerError","message":"down"}', "500 Error"),
        answer(b"<html>unavailable</html>", "503 Service Unavailable"),
        answer(b"", "502 Bad Gateway"),
        hang_up,
        silence,
    ],
    ids=["throttled", "invalid", "down", "html", "empty", "hung up", "silence"],
)
def test_failure_is_the_one_that_botocore_raises(reply: Reply) -> None:
    with clients(Service(reply, reply)) as (ours, botocores):
        mine, theirs = (_failure(client) for client in (ours, botocores))
    assert error_code(mine) == error_code(theirs)
    if isinstance(mine, ClientError) and (message := mine.response["Error"]["Message"]):
        assert isinstance(theirs, ClientError)
        assert message == theirs.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (half_an_answer, "InvalidResponse"),
        (answer(b"<html>log in</html>"), "InvalidResponse"),
        (answer(b"[]"), "InvalidResponse"),
        (answer(b"{}", "302 Found", "Location: https://elsewhere\r\n"), "302"),
    ],
)
def test_no_half_or_foreign_answer_is_taken_for_one(reply: Reply, code: str) -> None:
    with clients(Service(reply)) as (ours, _):
        assert error_code(_failure(ours)) == code


def _failure(client: Any) -> ClientError | BotoCoreError:
    try:
        client.batch_execute_statement(**REQUEST)
    except (ClientError, BotoCoreError) as error:
        return error
    pytest.fail("nothing was raised")


def test_connection_is_kept() -> None:
    service = Service(*[answer(b'{"Responses":[]}')] * 3)
    with clients(service) as (ours, _):
        for _ in range(3):
            ours.batch_execute_statement(**REQUEST)
    assert service.connections == 1


@pytest.mark.parametrize("extra", ["", "Connection: close\r\n"], ids=["unannounced", "announced"])
def test_connection_closed_between_batches_is_opened_anew(extra: str) -> None:
    has_hung_up = threading.Event()

    def answer_and_hang_up(connection: socket.socket) -> None:
        answer(b"{}", extra=extra)(connection)
        hang_up(connection)
        has_hung_up.set()

    service = Service(answer_and_hang_up, answer(b"{}"))
    with clients(service) as (ours, _):
        ours.batch_execute_statement(**REQUEST)
        assert has_hung_up.wait(5)
        ours.batch_execute_statement(**REQUEST)
    assert service.connections == 2


def test_connection_is_good_again_after_a_failure() -> None:
    service = Service(hang_up, half_an_answer, answer(b'{"Responses":[]}'))
    with clients(service) as (ours, _):
        for _ in range(2):
            _failure(ours)
        assert ours.batch_execute_statement(**REQUEST) == {"Responses": []}


def test_late_answer_is_not_taken_for_the_next_ones() -> None:
    def late(connection: socket.socket) -> None:
        time.sleep(0.7)
        with suppress(OSError):  # The client has hung up.
            answer(b'{"Responses":["late"]}')(connection)

    service = Service(late, answer(b'{"Responses":["own"]}'))
    with clients(service) as (ours, _):
        with pytest.raises(BotoCoreError) as error:
            ours.batch_execute_statement(**REQUEST)
        assert error_code(error.value) == "ReadTimeoutError"
        assert ours.batch_execute_statement(**REQUEST) == {"Responses": ["own"]}


def test_nobody_there() -> None:
    service = Service()
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        service.url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with clients(service) as (ours, _), pytest.raises(BotoCoreError) as error:
            ours.batch_execute_statement(**REQUEST)
    assert error_code(error.value) == "EndpointConnectionError"


def test_service_that_accepts_and_never_greets_is_asked_anew_each_time() -> None:
    service = Service()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(5)
        service.url = f"https://127.0.0.1:{mute.getsockname()[1]}"
        with clients(service) as (ours, _):
            for _ in range(2):
                assert error_code(_failure(ours)) == "ReadTimeoutError"
                connection, _ = mute.accept()
                connection.close()


def test_without_credentials_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    with clients(service) as (ours, _):
        monkeypatch.setattr(ours._session, "get_credentials", lambda: None)
        with pytest.raises(NoCredentialsError):
            ours.batch_execute_statement(**REQUEST)
    assert service.connections == 0


@pytest.mark.parametrize(("bundle", "verified"), [(None, True), ("/etc/company.pem", "/etc/company.pem")])
def test_certificates_are_checked(
    monkeypatch: pytest.MonkeyPatch, bundle: str | None, verified: bool | str
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    if bundle:
        monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    asked: dict[str, Any] = {}
    monkeypatch.setattr(direct_client, "URLLib3Session", lambda **arguments: asked.update(arguments))
    session = botocore.session.get_session()
    DirectDynamoDBClient(session.create_client("dynamodb"), session)  # type: ignore[arg-type]
    assert asked["verify"] == verified
