"""Each action of the processor's role is needed: the engine enforces the role while actions are taken away.

Lambda's own poller is not bounded by the role on the local engine, so its calls are made here in its place,
with credentials of the role. Logs and traces are beyond the engine: it writes the function's logs by itself
and asks for them with another ARN than AWS does, and it has no X-Ray. That the role may write both, and may
do nothing else, is proved on the template (``tests/infrastructure/test_permissions.py``).
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError

from shipment_events.contract import names
from tests.integration.conftest import ENVIRONMENT, ROOT, LocalEngine, client_factory
from tests.integration.test_outcomes import Pipeline, eventually, notes
from workbench.engine import engine as engines
from workbench.engine import synthesis
from workbench.engine.clients import LOCAL_CONFIG
from workbench.engine.deploy import deploy
from workbench.engine.health import free_port
from workbench.engine.settings import REGION, Settings

pytestmark = [pytest.mark.engine, pytest.mark.timeout(90)]

POLICY: Final = "processor"
# Many times what an event takes when nothing is amiss.
DENIED_SECONDS: Final = 1.5
# The engine asks for the batch operation where AWS asks for the action on one item; see local/template.py.
ALSO_KNOWN_AS: Final = {
    "dynamodb:PartiQLInsert": "dynamodb:BatchExecuteStatement",
    "sqs:SendMessage": "sqs:SendMessageBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
}


@dataclass(frozen=True)
class Role:
    """The processor's role on an engine that enforces it."""

    engine: LocalEngine
    arn: str

    @property
    def name(self) -> str:
        return self.arn.rpartition("/")[2]

    def policy(self) -> dict[str, Any]:
        answer = self.engine.client("iam").get_role_policy(RoleName=self.name, PolicyName=POLICY)
        document: dict[str, Any] = answer["PolicyDocument"]
        return document

    def put(self, policy: dict[str, Any]) -> None:
        self.engine.client("iam").put_role_policy(
            RoleName=self.name, PolicyName=POLICY, PolicyDocument=json.dumps(policy)
        )

    @contextmanager
    def without(self, *actions: str) -> Iterator[None]:
        """Take actions away for a while."""
        whole = self.policy()
        gone = {*actions, *(ALSO_KNOWN_AS[action] for action in actions if action in ALSO_KNOWN_AS)}
        kept = [{**each, "Action": sorted(_actions(each) - gone)} for each in whole["Statement"]]
        assert gone <= {action for each in whole["Statement"] for action in _actions(each)}
        self.put({**whole, "Statement": [each for each in kept if each["Action"]]})
        try:
            yield
        finally:
            self.put(whole)

    def client(self, service: str) -> Any:
        """A client with credentials of the role, as Lambda's poller has them."""
        answer = self.engine.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="poller")
        credentials = answer["Credentials"]
        session: Any = boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            region_name=REGION,
        )
        return session.client(service, endpoint_url=self.engine.endpoint, config=LOCAL_CONFIG)

    def log(self) -> str:
        """All that the processor has written."""
        group = names.log_group_name(names.processor_name(ENVIRONMENT))
        pages = self.engine.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return "\n".join(event["message"] for page in pages for event in page["events"])


@pytest.fixture(scope="module")
def role(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Role]:
    settings = Settings(root=ROOT, home=tmp_path_factory.mktemp("enforcing"), port=free_port())
    assembly, _ = synthesis.synthesize(ROOT, ENVIRONMENT, ROOT / ".local" / "assemblies")
    try:
        running = engines.start(settings, extra_environment={"AUTH": "true"})
        outputs = deploy(running.endpoint, assembly, ENVIRONMENT).outputs
        engine = LocalEngine(running.endpoint, ENVIRONMENT, outputs, client_factory(running.endpoint))
        function = engine.client("lambda").get_function_configuration(
            FunctionName=names.processor_name(ENVIRONMENT)
        )
        yield Role(engine, function["Role"])
    finally:
        engines.stop(settings)


@pytest.fixture
def pipeline(role: Role) -> Pipeline:
    return Pipeline(role.engine, f"permission-{uuid.uuid4().hex}")


def test_the_whole_role_is_enough(role: Role, pipeline: Pipeline) -> None:
    pipeline.put(pipeline.event(event_id="E-1", note="first"))
    assert len(pipeline.stored(at_least=1)) == 1
    pipeline.put(pipeline.event(event_id="E-1", note="first"))
    pipeline.put(pipeline.event(event_id="E-1", note="second"), pipeline.event(event_timestamp="soon"))
    assert len(pipeline.letters(at_least=1)) == 1
    assert notes(pipeline.stored(at_least=2)) == {"first": "PROCESSED", "second": "CONFLICT"}
    assert eventually(lambda: waiting(role), lambda count: count == 0) == 0
    assert "AccessDenied" not in role.log()


def test_without_inserts_nothing_is_stored(role: Role, pipeline: Pipeline) -> None:
    with role.without("dynamodb:PartiQLInsert"):
        pipeline.put(pipeline.event(note="new"))
        time.sleep(DENIED_SECONDS)
        assert pipeline.stored(at_least=0) == []
    assert notes(pipeline.stored(at_least=1)) == {"new": "PROCESSED"}


def test_without_reading_back_no_repeat_can_be_told_from_a_conflict(role: Role, pipeline: Pipeline) -> None:
    pipeline.put(pipeline.event(event_id="E-1", note="first"))
    assert len(pipeline.stored(at_least=1)) == 1
    with role.without("dynamodb:BatchGetItem"):
        pipeline.put(pipeline.event(event_id="E-1", note="second"))
        time.sleep(DENIED_SECONDS)
        assert len(pipeline.stored(at_least=0)) == 1
    assert notes(pipeline.stored(at_least=2)) == {"first": "PROCESSED", "second": "CONFLICT"}


def test_without_sending_a_quarantined_event_is_put_off_until_it_can_be_sent(
    role: Role, pipeline: Pipeline
) -> None:
    with role.without("sqs:SendMessage"):
        pipeline.put(pipeline.event(event_timestamp="soon"))
        said = eventually(role.log, lambda log: "quarantine: AccessDenied" in log)
        assert "quarantine: AccessDenied" in said
        assert "put off: AccessDenied" not in said
        assert pipeline.letters(at_least=0) == []
    # That it comes back within seconds, not after the queue's visibility timeout, is the putting off.
    assert len(pipeline.letters(at_least=1) or pipeline.letters(at_least=1)) == 1


def test_without_changing_visibility_it_cannot_be_put_off(role: Role, pipeline: Pipeline) -> None:
    with role.without("sqs:SendMessage", "sqs:ChangeMessageVisibility"):
        pipeline.put(pipeline.event(event_timestamp="soon"))
        said = eventually(role.log, lambda log: "put off: AccessDenied" in log)
    assert "put off: AccessDenied" in said


def waiting(role: Role) -> int:
    """Messages in the queue, those in work included."""
    answer = role.engine.client("sqs").get_queue_attributes(
        QueueUrl=role.engine.outputs[names.OUTPUT_QUEUE_URL], AttributeNames=["All"]
    )["Attributes"]
    return int(answer["ApproximateNumberOfMessages"]) + int(answer["ApproximateNumberOfMessagesNotVisible"])


@pytest.mark.parametrize(
    ("action", "call"),
    [
        (
            "sqs:ReceiveMessage",
            lambda client, queue: client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=0),
        ),
        (
            "sqs:DeleteMessage",
            lambda client, queue: client("sqs").delete_message(QueueUrl=queue, ReceiptHandle="none"),
        ),
        (
            "sqs:GetQueueAttributes",
            lambda client, queue: client("sqs").get_queue_attributes(QueueUrl=queue),
        ),
    ],
)
def test_what_lambda_does_with_the_role_needs_it(
    role: Role, action: str, call: Callable[[Callable[[str], Any], str], Any]
) -> None:
    queue = role.engine.outputs[names.OUTPUT_QUEUE_URL]
    assert not denied(lambda: call(role.client, queue))
    with role.without(action):
        assert denied(lambda: call(role.client, queue))


def denied(call: Callable[[], Any]) -> bool:
    """Whether the engine refuses for want of permission; other errors are no matter of permission."""
    try:
        call()
    except ClientError as error:
        return "AccessDenied" in error.response["Error"]["Code"]
    return False


def test_every_action_of_the_role_is_taken_away_somewhere(role: Role) -> None:
    tested = {
        "dynamodb:PartiQLInsert",
        "dynamodb:BatchGetItem",
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ChangeMessageVisibility",
        "sqs:SendMessage",
    }
    beyond_the_engine = {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
    }
    granted = {action for each in role.policy()["Statement"] for action in _actions(each)}
    assert granted - set(ALSO_KNOWN_AS.values()) == tested | beyond_the_engine


def _actions(statement: dict[str, Any]) -> set[str]:
    actions = statement["Action"]
    return {actions} if isinstance(actions, str) else set(actions)
