"""A request acts, its answer is lost, and the SDK sends it again: that is no failure and no second action."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError, HTTPClientError
from botocore.retries.standard import ExponentialBackoff
from botocore.stub import Stubber

from shipment_events.aws_session import CLIENT_CONFIG
from shipment_events.queue.queue import Queue
from shipment_events.stages import settings_for
from shipment_events.table.copy import Copied, copy_missing
from shipment_events.watching.archive import Archive, ReplayError, ReplayPlan
from shipment_events.watching.replays import ArchiveContent, cancel_replay, start_replay
from tests.stand_ins.http_service import Reply, Service, answer, hang_up
from workbench.engine import assets, completion
from workbench.engine.stack import Stack

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
ARCHIVE = ArchiveContent("arn:a", "arn:aws:events:eu-central-1:1:event-bus/b", 7, 1, 1, NOW)
Connect = Callable[..., tuple[Any, Service]]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Makes a client of a service, which sends again as the commands' clients do, but without a wait."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    services: list[Service] = []

    def make(name: str, *replies: Reply) -> tuple[Any, Service]:
        service = Service(*replies)
        services.append(service)
        session: Any = boto3.Session("id", "secret", region_name="eu-central-1")
        return session.client(name, endpoint_url=service.url, config=CLIENT_CONFIG), service

    yield make
    for service in services:
        service.close()


def says(**body: Any) -> Reply:
    return answer(json.dumps(body).encode())


def refuses(code: str, **more: Any) -> Reply:
    return answer(json.dumps({"__type": code, "message": "no", **more}).encode(), "400 Bad Request")


def refuses_in_xml(code: str) -> Reply:
    error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    return answer(f"<ErrorResponse>{error}</ErrorResponse>".encode(), "400 Bad Request")


def operations(service: Service) -> list[str]:
    return [headers["x-amz-target"].partition(".")[2] for headers, _ in service.requests]


def begin(client: Any) -> None:
    start_replay(client, ARCHIVE, "ours", NOW, NOW, rule_name=None)


def test_a_replay_that_exists_after_a_lost_answer_is_ours(connect: Connect) -> None:
    client, service = connect("events", hang_up, refuses("ResourceAlreadyExistsException"))
    begin(client)
    assert operations(service) == ["StartReplay"] * 2


def test_a_replay_that_runs_though_no_answer_came_is_started(connect: Connect) -> None:
    client, service = connect("events", hang_up, hang_up, hang_up, says(State="STARTING"))
    begin(client)
    assert operations(service)[-1] == "DescribeReplay"


def test_no_answer_and_no_replay_is_a_failure(connect: Connect) -> None:
    client, _ = connect("events", hang_up, hang_up, hang_up, refuses("ResourceNotFoundException"))
    with pytest.raises(HTTPClientError):
        begin(client)


def test_a_refusal_stays_one(connect: Connect) -> None:
    client, _ = connect("events", refuses("ValidationException"), refuses("ResourceNotFoundException"))
    with pytest.raises(ClientError, match="ValidationException"):
        begin(client)


def test_two_starts_have_two_names() -> None:
    """Within one second too: 'already exists' must never mean somebody else's replay."""

    class Events:
        def describe_archive(self, **_: object) -> dict[str, Any]:
            return {"ArchiveArn": "a", "EventSourceArn": "b", "CreationTime": NOW}

    events: Any = Events()
    none: Any = None
    archive = Archive(events, settings_for("dev"), "archive", none, none)
    until = datetime.now(UTC)
    names = {archive.plan(NOW, until, all_rules=True).name for _ in range(20)}
    assert len(names) == 20
    assert all(len(name) <= 64 for name in names)


def test_a_replay_that_cannot_be_followed_is_said_to_continue(connect: Connect) -> None:
    """The name is needed to stop it, and a second start would replay everything again."""
    client, service = connect("events", says(ReplayArn="arn:r", State="STARTING"), refuses("AccessDenied"))
    plan = ReplayPlan("ours", ARCHIVE, NOW, NOW, None, 1, 1, is_early=False)
    archive = Archive(client, settings_for("dev"), "archive", Queue(client, "queue"), cast("Any", None))
    with pytest.raises(ReplayError, match=r"ours was started and continues.*AccessDenied") as error:
        archive.replay(plan)
    assert "aws events cancel-replay --replay-name ours" in error.value.next_step
    assert operations(service) == ["StartReplay", "DescribeReplay"]


def test_a_replay_that_is_cancelled_already_is_cancelled(connect: Connect) -> None:
    client, _ = connect("events", hang_up, refuses("IllegalStatusException"), says(State="CANCELLING"))
    cancel_replay(client, "ours")


def test_a_replay_that_is_over_cannot_be_cancelled(connect: Connect) -> None:
    client, _ = connect("events", refuses("IllegalStatusException"), says(State="COMPLETED"))
    with pytest.raises(ClientError, match="IllegalStatus"):
        cancel_replay(client, "ours")


@pytest.mark.parametrize(
    ("there", "counted"),
    [({}, Copied(copied=1)), ({"carrier": {"S": "ACME"}}, Copied(different=1))],
    ids=["our own item", "another"],
)
def test_an_item_that_is_there_after_a_lost_answer_is_copied(
    connect: Connect, there: dict[str, Any], counted: Copied
) -> None:
    item = {"shipment_id": {"S": "S-1"}, "event_timestamp": {"S": "k"}, "expires_at": {"N": "9999999999"}}
    found_item = {**item, **there}
    failed = refuses("ConditionalCheckFailedException", Item=found_item)
    again = says(Responses={"live": [found_item]})
    client, service = connect("dynamodb", says(Items=[item]), says(Responses={}), hang_up, failed, again)
    *_, found = copy_missing(client, "restored", "live", NOW)
    assert found == counted
    assert operations(service).count("PutItem") == 2


def test_a_stack_that_exists_after_a_lost_answer_is_ours(connect: Connect) -> None:
    gone = answer(
        b"<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack x does not exist</Message></Error>"
        b"</ErrorResponse>",
        "400 Bad Request",
    )
    there = answer(
        b"<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>x</StackName>"
        b"<StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-05-04T10:00:00Z</CreationTime>"
        b"</member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    )
    client, _ = connect(
        "cloudformation", gone, gone, hang_up, refuses_in_xml("AlreadyExistsException"), there, there
    )
    assert Stack(client, "x").apply("http://template") == "created"


def test_an_archive_that_exists_is_brought_up_to_date(connect: Connect) -> None:
    client, service = connect("events", hang_up, refuses("ResourceAlreadyExistsException"), says())

    class Session:
        def client(self, *_: object, **__: object) -> Any:
            return client

    session: Any = Session()
    completion._put_archive(session, "http://engine", {"ArchiveName": "a", "SourceArn": "s"})
    assert operations(service) == ["CreateArchive", "CreateArchive", "UpdateArchive"]


def test_a_bucket_that_is_made_already_is_no_failure() -> None:
    session: Any = boto3.Session("id", "secret", region_name="eu-central-1")
    client = session.client("s3")
    with Stubber(client) as stub:
        stub.add_response("list_buckets", {"Buckets": []})
        stub.add_client_error("create_bucket", "BucketAlreadyOwnedByYou")
        stub.add_response("put_object", {})
        assets.put(client, "bucket", "key", b"content")
        stub.assert_no_pending_responses()
