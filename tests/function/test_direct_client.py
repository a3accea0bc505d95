"""The functions' own DynamoDB client sends what botocore's would, and fails as botocore's does."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.session
import pytest
import trustme
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, EndpointResolutionError, NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.loaders import create_loader

from shipment_events.aws_errors import error_code
from shipment_events.function.direct_client import DirectDynamoDBClient
from shipment_events.table.item import without_event
from tests.stand_ins.http_service import (
    Reply,
    Service,
    answer,
    chunks,
    half_an_answer,
    hang_up,
    reset,
    silence,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STATEMENTS: Final[dict[str, Any]] = {
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
KEY: Final[dict[str, Any]] = {
    "TableName": "shipments",
    "Key": {"shipment_id": {"S": "東風便 S-1"}},
    "ConsistentRead": True,
}
QUERY: Final[dict[str, Any]] = {
    "TableName": "shipments",
    "IndexName": "status-latest-index",
    "KeyConditionExpression": "#value = :value",
    "ExpressionAttributeNames": {"#value": "status"},
    "ExpressionAttributeValues": {":value": {"S": "in_transit"}},
    "ScanIndexForward": False,
    "Limit": 50,
}
# Of a client whose service keeps silent, and of any other, which may meet a busy machine.
TIMEOUT: Final = 0.6
PATIENCE: Final = 10.0
# Keeps botocore's model of the service, which takes longer to read than a test.
LOADER: Final = create_loader()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def ca_file(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What every client made from now on trusts."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
    return path


def server_tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def botocores(url: str | None = None, timeout: float = PATIENCE) -> tuple[Any, botocore.session.Session]:
    session = botocore.session.get_session()
    session.register_component("data_loader", LOADER)
    config = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"total_max_attempts": 1},
        parameter_validation=False,
    )
    return session.create_client("dynamodb", endpoint_url=url, config=config), session


def direct(url: str | None = None, timeout: float = PATIENCE) -> DirectDynamoDBClient:
    client, session = botocores(url, timeout)
    return DirectDynamoDBClient(cast("DynamoDBClient", client), session, without_event)


def insert(client: Any) -> dict[str, Any]:
    """Send the statements; botocore's account of the transport is left out of the answer."""
    if isinstance(client, DirectDynamoDBClient):
        return client.run_statements(json.dumps(STATEMENTS))
    given: dict[str, Any] = client.batch_execute_statement(**STATEMENTS)
    return {name: value for name, value in given.items() if name != "ResponseMetadata"}


def send_all(client: Any) -> None:
    """Send one request of each kind."""
    insert(client)
    client.batch_get_item(**KEYS)
    client.get_item(**KEY)
    client.query(**QUERY)


def failure(client: Any) -> str:
    try:
        given = insert(client)
    except (ClientError, BotoCoreError) as error:
        return error_code(error)
    # botocore's client makes an answer without content of what is no JSON. The table knows it by that.
    assert given == {}
    return "InvalidResponse"


def good(text: str) -> tuple[Reply, dict[str, Any]]:
    content = {"Responses": [{"TableName": text}]}
    return answer(json.dumps(content).encode()), content


FIRST, FIRST_CONTENT = good("first")
OWN, OWN_CONTENT = good("own")
LATE, _ = good("late")


def no_http(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example ESMTP\r\n")


def late(beginning: bytes) -> Reply:
    """The answer comes after the client has given up."""

    def reply(connection: socket.socket) -> None:
        connection.sendall(beginning)
        time.sleep(TIMEOUT + 0.1)
        with suppress(OSError):  # The client has hung up.
            LATE(connection)

    return reply


def error(code: str, status: str, message: str = "message") -> Reply:
    return answer(json.dumps({"__type": code, message: "why"}).encode(), status)


FAILURES: Final[dict[str, tuple[Reply, str]]] = {
    "hung up": (hang_up, "ConnectionClosedError"),
    "reset": (reset, "ConnectionClosedError"),
    "silence": (silence, "ReadTimeoutError"),
    "late": (late(b""), "ReadTimeoutError"),
    "half, then late": (late(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "ReadTimeoutError"),
    "half, then hung up": (half_an_answer, "InvalidResponse"),
    "half a chunk": (chunks(b'{"Responses":', is_whole=False), "ConnectionClosedError"),
    "no HTTP": (no_http, "ConnectionClosedError"),
    "HTML": (answer(b"<html>log in</html>"), "InvalidResponse"),
    "redirect": (answer(b"{}", "302 Found", "Location: https://elsewhere\r\n"), "302"),
    "throttled": (error("com.amazonaws.dynamodb.v20120810#Throttling", "400 Bad Request"), "Throttling"),
    "invalid": (error("ValidationException", "400 Bad Request", "Message"), "ValidationException"),
    "down": (error("InternalServerError", "500 Internal Server Error"), "InternalServerError"),
    "too large": (answer(b"too large", "413 Content Too Large"), "413"),
    "empty": (answer(b"", "502 Bad Gateway"), "502"),
    "unavailable": (answer(b"<html>unavailable</html>", "503 Service Unavailable"), "503"),
}


Connect = Callable[..., tuple[Any, Service]]


@pytest.fixture(params=[direct, lambda *arguments: botocores(*arguments)[0]], ids=["direct", "botocore"])
def make_client(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def connect(make_client: Callable[..., Any], scheme: str, authority: trustme.CA) -> Iterator[Connect]:
    """Starts a service with these replies, and a client of it."""
    started: list[tuple[Any, Service]] = []

    def start(
        *replies: Reply, name: str = "127.0.0.1", timeout: float = PATIENCE, **options: Any
    ) -> tuple[Any, Service]:
        tls = server_tls(authority, name) if scheme == "https" else None
        service = Service(*replies, tls=tls, **options)
        started.append((make_client(service.url, timeout), service))
        return started[-1]

    yield start
    for client, service in started:
        client.close()
        service.close()


class TestEveryClient:
    """What the processor relies on, whichever client it is given, with TLS and without."""

    def test_connection_is_kept(self, connect: Connect) -> None:
        client, service = connect(FIRST, FAILURES["throttled"][0], chunks(b'{"Responses":[]}'), OWN)
        assert insert(client) == FIRST_CONTENT
        assert failure(client) == "Throttling"
        assert insert(client) == {"Responses": []}
        assert insert(client) == OWN_CONTENT
        assert service.connections == 1

    def test_connection_closed_between_batches_is_opened_anew(self, connect: Connect) -> None:
        has_hung_up = threading.Event()

        def answer_and_hang_up(connection: socket.socket) -> None:
            FIRST(connection)
            hang_up(connection)
            has_hung_up.set()

        client, service = connect(answer_and_hang_up, OWN)
        assert insert(client) == FIRST_CONTENT
        assert has_hung_up.wait(5)
        assert insert(client) == OWN_CONTENT
        assert service.connections == 2

    @pytest.mark.parametrize("reply", FAILURES)
    def test_batch_after_a_failed_one_is_good(self, connect: Connect, reply: str) -> None:
        fails, code = FAILURES[reply]
        timeout = TIMEOUT if code == "ReadTimeoutError" else PATIENCE
        client, _ = connect(FIRST, fails, OWN, timeout=timeout)
        assert insert(client) == FIRST_CONTENT
        assert failure(client) == code
        assert insert(client) == OWN_CONTENT

    def test_refusal_of_a_request_that_is_not_read_to_its_end_is_heard(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch, scheme: str
    ) -> None:
        client, _ = connect(FAILURES["too large"][0], OWN, reads=1_000)
        with monkeypatch.context() as patch:
            patch.setitem(STATEMENTS, "Statements", [{"Statement": "x" * 5_000_000}])
            # A TLS connection that ends early may not be read to its end, so only the failure is known.
            heard = {"413"} if scheme == "http" else {"413", "SSLError", "ConnectionClosedError"}
            assert failure(client) in heard
        assert insert(client) == OWN_CONTENT

    def test_nobody_there(self, make_client: Callable[[str], Any], scheme: str) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            client = make_client(f"{scheme}://127.0.0.1:{unused.getsockname()[1]}")
            assert failure(client) == "EndpointConnectionError"


class TestEveryClientOverTls:
    """What TLS may do to it besides."""

    @pytest.fixture
    def scheme(self) -> str:
        return "https"

    def test_greeting_that_never_comes_spoils_no_later_batch(self, connect: Connect) -> None:
        client, service = connect(OWN, deaf=1, timeout=TIMEOUT)
        begin = time.monotonic()
        assert failure(client) in {"ConnectTimeoutError", "ReadTimeoutError"}
        assert TIMEOUT <= time.monotonic() - begin < 3 * TIMEOUT
        assert insert(client) == OWN_CONTENT
        assert service.connections == 2

    @pytest.mark.parametrize("trusted", ["another authority", "another name", "no PEM", "absent"])
    def test_service_that_cannot_prove_who_it_is_gets_nothing(
        self, connect: Connect, ca_file: Path, trusted: str
    ) -> None:
        if trusted == "another authority":
            trustme.CA().cert_pem.write_to_path(str(ca_file))
        elif trusted == "no PEM":
            ca_file.write_text("no certificate")
        elif trusted == "absent":
            ca_file.unlink()
        client, service = connect(OWN, name="elsewhere.example" if trusted == "another name" else "127.0.0.1")
        assert failure(client) == "SSLError"
        assert service.requests == []


class TestDirectClient:
    """What it does better than botocore's."""

    @pytest.fixture
    def make_client(self) -> Any:
        return direct

    @pytest.fixture
    def scheme(self) -> str:
        return "http"

    def test_answer_after_an_interim_one_is_not_taken_for_the_next_ones(self, connect: Connect) -> None:
        """botocore's client would take it; AWS documents no interim answers of DynamoDB."""

        def interim(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            time.sleep(0.2)
            with suppress(OSError):  # The client has hung up.
                LATE(connection)

        client, _ = connect(interim, OWN)
        assert failure(client) == "103"
        assert insert(client) == OWN_CONTENT

    def test_answer_that_is_no_object_is_no_answer(self, connect: Connect) -> None:
        client, _ = connect(answer(b"[]"))
        assert failure(client) == "InvalidResponse"

    def test_item_in_the_way_comes_without_its_event(self, connect: Connect) -> None:
        """Its values may take a hundred times their text, and no more is asked than what is there."""
        noted = {"processing": {"M": {"content_hash": {"S": "abc"}}}}
        item = {"detail": {"M": {"detail": {"M": {}}, "list": {"L": [{"N": "7"}]}}}, **noted}
        body = {"Responses": [{"Error": {"Code": "DuplicateItem", "Item": item}}]}
        client, _ = connect(answer(json.dumps(body).encode()))
        assert insert(client) == {"Responses": [{"Error": {"Code": "DuplicateItem", "Item": noted}}]}

    def test_message_of_the_service_is_kept(self, connect: Connect) -> None:
        client, _ = connect(FAILURES["throttled"][0], FAILURES["invalid"][0])
        for _ in range(2):
            with pytest.raises(ClientError) as raised:
                insert(client)
            assert raised.value.response["Error"]["Message"] == "why"


class TestRequest:
    """What the direct client sends is what botocore would."""

    @pytest.fixture(autouse=True)
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[AWSPreparedRequest]:
        """The requests, which go nowhere."""
        sent: list[AWSPreparedRequest] = []

        def send(_: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
            sent.append(request)
            raw: Any = BytesIO(b"{}")
            raw.stream = raw.readlines
            return AWSResponse(request.url, 200, HTTPHeaders(), raw)

        monkeypatch.setattr(URLLib3Session, "send", send)
        return sent

    @pytest.mark.parametrize(
        "variables",
        [
            {},
            {"AWS_ENDPOINT_URL": "http://localhost:4566/"},
            {"AWS_ENDPOINT_URL_DYNAMODB": "http://[::1]:4566/dynamodb"},
            {"AWS_DEFAULT_REGION": "us-gov-west-1", "AWS_USE_FIPS_ENDPOINT": "true"},
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            {"AWS_ACCOUNT_ID": "123456789012", "AWS_ACCOUNT_ID_ENDPOINT_MODE": "required"},
            {"AWS_DEFAULT_REGION": "cn-north-1"},
        ],
    )
    def test_request_is_botocores(
        self, monkeypatch: pytest.MonkeyPatch, sent: list[AWSPreparedRequest], variables: dict[str, str]
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        theirs, ours = botocores()[0], direct()
        for client in (theirs, ours, ours):
            send_all(client)
        expected, mine = sent[:4] * 2, sent[4:]
        assert [request.url for request in mine] == [request.url for request in expected]
        for request, of_botocore in zip(mine, expected, strict=True):
            assert json.loads(cast("bytes", request.body)) == json.loads(cast("bytes", of_botocore.body))
            assert constant(request) == constant(of_botocore)

    def test_account_without_an_id_fails_as_with_botocore(
        self, monkeypatch: pytest.MonkeyPatch, sent: list[AWSPreparedRequest]
    ) -> None:
        monkeypatch.setenv("AWS_ACCOUNT_ID_ENDPOINT_MODE", "required")
        for client in (direct(), botocores()[0]):
            assert failure(client) == EndpointResolutionError.__name__
        assert sent == []

    def test_endpoint_is_found_once(self, sent: list[AWSPreparedRequest]) -> None:
        client, session = botocores()
        prepared: list[str] = []
        client.meta.events.register("before-call", lambda model, **_: prepared.append(model.name))
        ours = DirectDynamoDBClient(client, session, without_event)
        for _ in range(3):
            send_all(ours)
        assert prepared == ["BatchExecuteStatement", "BatchGetItem", "GetItem", "Query"]
        assert len(sent) == 12

    def test_without_credentials_nothing_is_sent(
        self, monkeypatch: pytest.MonkeyPatch, sent: list[AWSPreparedRequest]
    ) -> None:
        ours = direct()
        insert(ours)
        monkeypatch.setattr(ours._session, "get_credentials", lambda: None)
        with pytest.raises(NoCredentialsError):
            insert(ours)
        assert len(sent) == 1

    def test_each_request_is_signed_with_the_credentials_of_its_time(
        self, monkeypatch: pytest.MonkeyPatch, sent: list[AWSPreparedRequest]
    ) -> None:
        made = iter(range(1, 9))

        def refresh() -> dict[str, str]:
            number = next(made)
            expiry = datetime.now(UTC) + timedelta(seconds=0.1)
            return {
                "access_key": f"key-{number}",
                "secret_key": f"secret-{number}",
                "token": f"token-{number}",
                "expiry_time": expiry.isoformat(),
            }

        ours = direct()
        rotating = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
        monkeypatch.setattr(ours._session, "get_credentials", lambda: rotating)
        for _ in range(2):
            time.sleep(0.15)
            insert(ours)
        tokens = [headers(request)["x-amz-security-token"] for request in sent]
        assert tokens[0] != tokens[1]
        for request in sent:
            number = headers(request)["x-amz-security-token"].removeprefix("token-")
            assert f"Credential=key-{number}/" in headers(request)["authorization"]


def headers(request: AWSPreparedRequest) -> dict[str, str]:
    return {
        name.lower(): value.decode() if isinstance(value, bytes) else value
        for name, value in request.headers.items()
    }


def constant(request: AWSPreparedRequest) -> dict[str, str]:
    """The headers that do not differ from request to request, the signature's scope and fields included."""
    own = {"x-amz-date", "amz-sdk-invocation-id", "amz-sdk-request", "content-length"}
    kept = {name: value for name, value in headers(request).items() if name not in own}
    return {**kept, "authorization": kept["authorization"].partition(", Signature=")[0]}
