"""The processor's own DynamoDB client sends what botocore's would, and fails as botocore's does."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.httpsession import get_cert_path

from shipment_events.aws_errors import error_code
from shipment_events.processor import direct_client
from shipment_events.processor.direct_client import DirectDynamoDBClient
from tests.stand_ins.http_service import Reply, Service, answer, half_an_answer, hang_up, silence

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
    assert json.loads(our_body) == json.loads(their_body)
    for name in ("content-type", "x-amz-target", "host", "x-amz-security-token", "accept-encoding"):
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


JSON_FAILURES: Final = [
    answer(b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow"}', "400 Bad"),
    answer(b'{"__type":"com.amazon.coral.validate#ValidationException","Message":"no"}', "400 Bad"),
    answer(b'{"__type":"InternalServerError","message":"down"}', "500 Error"),
]


@pytest.mark.parametrize(
    "reply",
    [
        *JSON_FAILURES,
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
    if reply in JSON_FAILURES:
        assert isinstance(mine, ClientError)
        assert isinstance(theirs, ClientError)
        assert mine.response["Error"]["Message"] == theirs.response["Error"]["Message"] != ""


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (half_an_answer, "ConnectionClosedError"),
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


def test_without_credentials_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    with clients(service) as (ours, _):
        monkeypatch.setattr(ours._session, "get_credentials", lambda: None)
        with pytest.raises(NoCredentialsError):
            ours.batch_execute_statement(**REQUEST)
    assert service.connections == 0


@pytest.mark.parametrize("variable", [None, "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_certificates_are_those_that_botocore_trusts(
    monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "/etc/company.pem")
    asked: dict[str, Any] = {}
    monkeypatch.setattr(direct_client, "KeptConnection", lambda _, **arguments: asked.update(arguments))
    session = botocore.session.get_session()
    DirectDynamoDBClient(session.create_client("dynamodb"), session)  # type: ignore[arg-type]
    assert asked["ca_file"] == ("/etc/company.pem" if variable else get_cert_path(True))


def test_timeouts_are_the_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(direct_client, "KeptConnection", lambda _, **arguments: asked.update(arguments))
    session = botocore.session.get_session()
    client = session.create_client("dynamodb", config=Config(connect_timeout=1.5, read_timeout=4))
    DirectDynamoDBClient(client, session)  # type: ignore[arg-type]
    assert (asked["connect_timeout"], asked["read_timeout"]) == (1.5, 4)


def test_each_request_is_signed_with_the_credentials_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
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

    service = Service(answer(b"{}"), answer(b"{}"))
    with clients(service) as (ours, _):
        rotating = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
        monkeypatch.setattr(ours._session, "get_credentials", lambda: rotating)
        for _ in range(2):
            time.sleep(0.2)
            ours.batch_execute_statement(**REQUEST)
    tokens = [headers["x-amz-security-token"] for headers, _ in service.requests]
    assert tokens[0] != tokens[1]
    for headers, _ in service.requests:
        number = headers["x-amz-security-token"].removeprefix("token-")
        assert f"Credential=key-{number}/" in headers["authorization"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://dynamodb.eu-central-1.amazonaws.com", "dynamodb.eu-central-1.amazonaws.com"),
        ("https://dynamodb.eu-central-1.amazonaws.com:443", "dynamodb.eu-central-1.amazonaws.com"),
        ("http://localhost:80", "localhost"),
        ("http://localhost:443", "localhost:443"),
        ("http://[::1]:4566", "[::1]:4566"),
    ],
)
def test_host_is_named_as_botocore_names_it(monkeypatch: pytest.MonkeyPatch, url: str, host: str) -> None:
    sent: dict[str, str] = {}

    class Connection:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def post(self, headers: dict[str, str], _: bytes) -> tuple[int, bytes]:
            sent.update(headers)
            return 200, b"{}"

    monkeypatch.setattr(direct_client, "KeptConnection", Connection)
    session = botocore.session.get_session()
    client: Any = session.create_client("dynamodb", endpoint_url=url)
    DirectDynamoDBClient(client, session).batch_execute_statement(**REQUEST)
    signer: Any = SigV4Auth(None, "dynamodb", "eu-central-1")  # type: ignore[arg-type]
    assert sent["host"] == host == signer.headers_to_sign(AWSRequest("POST", f"{url}/"))["host"]


@pytest.mark.parametrize(
    ("url", "proxy", "reached"),
    [
        ("https://dynamodb.eu-central-1.amazonaws.com", "", True),
        ("http://localhost:4566/", "", True),
        ("http://localhost:4566/dynamodb", "", False),
        ("http://aws.example", "http://proxy.example", False),
    ],
)
def test_says_where_it_does_not_serve(
    monkeypatch: pytest.MonkeyPatch, url: str, proxy: str, reached: bool
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    assert direct_client.can_reach(url) is reached
