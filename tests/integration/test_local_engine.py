"""The local engine as its user meets it: started, deployed to, stopped, and found in a bad state."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from shipment_events.api_client import ApiClient
from shipment_events.contract import names
from tests.integration.conftest import ROOT, LocalEngine, client_factory
from tests.integration.small_stack import ENVIRONMENT, FUNCTION, QUEUE, TABLE, write_assembly
from workbench.engine import engine as engines
from workbench.engine import record
from workbench.engine.clients import local_session
from workbench.engine.deploy import deploy
from workbench.engine.engine import State
from workbench.engine.errors import LocalEngineError
from workbench.engine.health import free_port
from workbench.engine.processes import group_members
from workbench.engine.settings import HOST, REGION, Settings

pytestmark = pytest.mark.engine


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """An engine of the test's own, stopped in the end whatever state it is in."""
    own = Settings(root=ROOT, home=tmp_path / ".local", port=free_port())
    yield own
    known = record.read(own.record_file)
    if known is not None and (process := known.process()) is not None:
        process.resume()
        engines.stop(own)


@pytest.fixture
def deployed(settings: Settings, tmp_path: Path) -> Callable[[str], Any]:
    """Clients of an engine that runs the small stack."""
    running = engines.start(settings)
    deploy(running.endpoint, write_assembly(tmp_path / "assembly"), ENVIRONMENT)
    return client_factory(running.endpoint)


def wait_for(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class TestRealStack:
    def test_an_event_goes_from_the_bus_to_the_table(self, engine: LocalEngine) -> None:
        detail = {
            "shipment_id": "local-engine-1",
            "event_timestamp": "2026-05-04T10:00:00+02:00",
            "event_type": "shipment.scanned",
        }
        put(engine, source=names.SOURCE, detail=detail)
        wait_for(lambda: stored(engine, "local-engine-1") == 1)

    def test_what_the_deploy_ignores_is_set_in_the_end(self, engine: LocalEngine) -> None:
        table = engine.outputs[names.OUTPUT_TABLE_NAME]
        dynamodb = engine.client("dynamodb")
        time_to_live = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        recovery = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        assert time_to_live["TimeToLiveStatus"] == "ENABLED"
        assert time_to_live["AttributeName"] == names.TTL_ATTRIBUTE
        assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"

    def test_the_archive_is_there_and_on_the_bus(self, engine: LocalEngine) -> None:
        archive = engine.client("events").describe_archive(
            ArchiveName=engine.outputs[names.OUTPUT_ARCHIVE_NAME]
        )
        assert archive["ArchiveName"] == names.archive_name(engine.environment)
        assert archive["EventSourceArn"].endswith(f":event-bus/{names.event_bus_name(engine.environment)}")
        assert archive["RetentionDays"] == 7

    def test_only_the_outputs_of_the_stack_are_given(self, engine: LocalEngine) -> None:
        assert set(engine.outputs) == {
            names.OUTPUT_QUEUE_URL,
            names.OUTPUT_DEAD_LETTER_QUEUE_URL,
            names.OUTPUT_PROCESSOR_ARN,
            names.OUTPUT_TABLE_NAME,
            names.OUTPUT_DASHBOARD_URL,
            names.OUTPUT_EVENT_BUS_NAME,
            names.OUTPUT_ARCHIVE_NAME,
            names.OUTPUT_SHIPMENTS_TABLE_NAME,
            names.OUTPUT_STATUS_BUS_NAME,
            names.OUTPUT_API_URL,
        }

    def test_deploying_the_same_again_changes_nothing(self, engine: LocalEngine, real_assembly: Path) -> None:
        assert deploy(engine.endpoint, real_assembly, engine.environment).action == "unchanged"


class TestPermissions:
    def test_the_stack_works_with_its_own_role_alone(self, settings: Settings, real_assembly: Path) -> None:
        running = engines.start(settings, extra_environment={"AUTH": "true"})
        outputs = deploy(running.endpoint, real_assembly, "dev").outputs
        enforcing = LocalEngine(running.endpoint, "dev", outputs, client_factory(running.endpoint))
        detail = {
            "shipment_id": "local-engine-2",
            "event_timestamp": "2026-05-04T10:00:00Z",
            "event_type": "shipment.scanned",
        }
        put(enforcing, source=names.SOURCE, detail=detail)
        wait_for(lambda: stored(enforcing, "local-engine-2") == 1)
        api = ApiClient(local_session(), outputs[names.OUTPUT_API_URL])
        wait_for(lambda: api.get("/shipments/local-engine-2").status == 200)
        assert "local-engine-2" in api.get("/events?shipment_id=local-engine-2").body
        assert api.get("/shipments?status=in_transit").status == 200
        stranger = boto3.Session("someone", "else", region_name=REGION)
        assert ApiClient(stranger, api.url).get("/shipments/local-engine-2").status == 403


@pytest.mark.slow
class TestStartAndStop:
    def test_is_quick_repeatable_and_leaves_no_process(
        self, settings: Settings, deployed: Callable[[str], Any]
    ) -> None:
        deployed("lambda").invoke(FunctionName=FUNCTION)
        again = engines.start(settings)
        assert not again.started_now
        assert len(group_members(again.pid)) > 1, "the function has a process of its own"

        assert engines.stop(settings)
        assert engines.status(settings).state is State.STOPPED
        assert group_members(again.pid) == []
        assert not settings.temporary_dir.exists()
        assert not engines.stop(settings)

    def test_keeps_items_and_messages_over_a_stop(
        self, settings: Settings, deployed: Callable[[str], Any]
    ) -> None:
        deployed("dynamodb").put_item(TableName=TABLE, Item={"id": {"S": "kept"}, "n": {"N": "1.5"}})
        other = deployed("sqs").create_queue(QueueName="other")["QueueUrl"]
        deployed("sqs").send_message(QueueUrl=other, MessageBody="kept too")
        engines.stop(settings)

        running = engines.start(settings)
        client = client_factory(running.endpoint)
        assert not running.after_crash
        assert client("dynamodb").get_item(TableName=TABLE, Key={"id": {"S": "kept"}})["Item"]["n"] == {
            "N": "1.5"
        }
        assert client("sqs").receive_message(QueueUrl=other)["Messages"][0]["Body"] == "kept too"
        assert client("lambda").invoke(FunctionName=FUNCTION)["StatusCode"] == 200

    def test_a_fresh_start_keeps_nothing(self, settings: Settings, deployed: Callable[[str], Any]) -> None:
        deployed("dynamodb").put_item(TableName=TABLE, Item={"id": {"S": "gone"}})
        running = engines.start(settings, fresh=True)
        assert running.started_now
        assert client_factory(running.endpoint)("dynamodb").list_tables()["TableNames"] == []

    def test_two_directories_do_not_see_each_other(self, settings: Settings, tmp_path: Path) -> None:
        other = Settings(root=ROOT, home=tmp_path / "other" / ".local", port=free_port())
        first, second = engines.start(settings), engines.start(other)
        try:
            client_factory(first.endpoint)("sqs").create_queue(QueueName=QUEUE)
            assert not client_factory(second.endpoint)("sqs").list_queues().get("QueueUrls")
        finally:
            engines.stop(other)
        assert engines.status(settings).state is State.RUNNING

    def test_listens_on_the_loopback_interface_only(self, settings: Settings) -> None:
        engines.start(settings)
        # Every 127.x.y.z is this machine too, and reaches what listens on all interfaces.
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.2", settings.port)) != 0


@pytest.mark.slow
class TestIsolation:
    def test_nothing_of_the_user_reaches_the_function(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "GITHUB_TOKEN"):
            monkeypatch.setenv(name, "the-user's-own")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        running = engines.start(settings, extra_environment={"AWS_ENDPOINT_URL_DYNAMODB": "http://proxy"})
        deploy(running.endpoint, write_assembly(tmp_path / "assembly"), ENVIRONMENT)
        answer = client_factory(running.endpoint)("lambda").invoke(FunctionName=FUNCTION)
        environment = json.load(answer["Payload"])
        assert "the-user's-own" not in environment.values()
        assert "HTTP_PROXY" not in environment
        assert environment["HOME"] != os.environ.get("HOME")
        assert environment["AWS_ENDPOINT_URL"] == running.endpoint
        assert environment["AWS_ENDPOINT_URL_DYNAMODB"] == "http://proxy"


@pytest.mark.slow
class TestBadStates:
    def test_a_port_of_another_directorys_engine(self, settings: Settings, tmp_path: Path) -> None:
        engines.start(settings)
        rival = Settings(root=ROOT, home=tmp_path / "rival" / ".local", port=settings.port)
        with pytest.raises(LocalEngineError) as caught:
            engines.start(rival)
        assert f"taken by the local engine of {tmp_path}" in str(caught.value)
        assert "SHIPMENTS_PORT=" in caught.value.next_step

    def test_another_port_than_the_running_one(self, settings: Settings) -> None:
        engines.start(settings)
        moved = Settings(root=ROOT, home=settings.home, port=free_port())
        with pytest.raises(LocalEngineError, match=f"already runs on port {settings.port}"):
            engines.start(moved)

    def test_another_environment_than_the_running_one(self, settings: Settings) -> None:
        engines.start(settings)
        with pytest.raises(LocalEngineError, match="runs with another environment"):
            engines.start(settings, extra_environment={"AUTH": "true"})

    def test_a_killed_engine_is_noticed_and_replaced(self, settings: Settings) -> None:
        killed = engines.start(settings)
        os.killpg(killed.pid, signal.SIGKILL)
        wait_for(lambda: engines.status(settings).state is State.CRASHED)
        replaced = engines.start(settings)
        assert replaced.started_now
        assert replaced.after_crash
        assert replaced.pid != killed.pid

    def test_a_process_that_does_not_answer(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running = engines.start(settings)
        os.kill(running.pid, signal.SIGSTOP)
        monkeypatch.setattr(engines, "START_SECONDS", 1.0)
        assert engines.status(settings).state is State.NOT_ANSWERING
        with pytest.raises(LocalEngineError, match="runs but does not answer"):
            engines.start(settings)

        monkeypatch.setattr(engines, "STOP_SECONDS", 1.0)
        with pytest.raises(LocalEngineError, match="had to be killed"):
            engines.stop(settings)
        assert group_members(running.pid) == []
        assert engines.start(settings).started_now

    def test_an_id_that_went_to_another_program(self, settings: Settings) -> None:
        settings.home.mkdir()
        record.Record(pid=os.getpid(), created=1_767_225_600.0, port=settings.port).write(
            settings.record_file
        )
        assert engines.status(settings).state is State.CRASHED
        assert not engines.stop(settings), "or else it would have ended this very test"
        assert engines.start(settings).started_now

    def test_the_command_line_says_it_without_a_traceback(self, tmp_path: Path) -> None:
        with socket.socket() as squatter:
            squatter.bind((HOST, 0))
            squatter.listen()
            port = squatter.getsockname()[1]
            finished = subprocess.run(
                [sys.executable, "-m", "workbench.engine.commands", "up"],
                env={**os.environ, "SHIPMENTS_PORT": str(port)},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
        assert finished.returncode == 1
        assert "Traceback" not in finished.stderr
        assert str(port) in finished.stderr


@pytest.mark.slow
class TestDeploy:
    def test_an_edit_of_the_code_runs_within_seconds(
        self, settings: Settings, deployed: Callable[[str], Any], tmp_path: Path
    ) -> None:
        deployed("sqs")
        edited = write_assembly(tmp_path / "edited", code="def handler(event, context):\n    return 'new'\n")
        started = time.monotonic()
        result = deploy(settings.endpoint, edited, ENVIRONMENT)
        assert result.action == "updated"
        assert json.load(deployed("lambda").invoke(FunctionName=FUNCTION)["Payload"]) == "new"
        assert time.monotonic() - started < 5

    def test_an_edit_runs_although_the_assembly_is_the_one_of_before(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        """The warm process of the function is replaced, too; a template that changes later keeps the edit."""
        running, source = engines.start(settings), tmp_path / "src"
        kept = write_assembly(tmp_path / "kept", code="def handler(event, context):\n    return 'old'\n")
        client = client_factory(running.endpoint)

        def deployed(assembly: Path) -> tuple[str, Any]:
            action = deploy(running.endpoint, assembly, ENVIRONMENT, source=source).action
            return action, json.load(client("lambda").invoke(FunctionName=FUNCTION)["Payload"])

        source.mkdir()
        assert deployed(kept) == ("created", "old")
        (source / "index.py").write_text("def handler(event, context):\n    return 'new'\n")
        assert deployed(kept) == ("updated", "new")
        assert deployed(kept) == ("unchanged", "new")
        more = {"More": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "more"}}}
        code = (kept / "asset.code" / "index.py").read_text()
        assert deployed(write_assembly(tmp_path / "more", code=code, extra=more)) == ("updated", "new")

    def test_an_edit_runs_although_the_template_keeps_the_version_of_before(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        """The assembly of an edit is the earlier one with new code, and so with the earlier version's id."""
        running = engines.start(settings)
        rollout = {
            "VersionOfBefore": {
                "Type": "AWS::Lambda::Version",
                "Properties": {"FunctionName": {"Ref": "Function"}},
            },
            "Live": {
                "Type": "AWS::Lambda::Alias",
                "Properties": {
                    "FunctionName": {"Ref": "Function"},
                    "FunctionVersion": {"Fn::GetAtt": ["VersionOfBefore", "Version"]},
                    "Name": "live",
                },
            },
            "Source": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "FunctionName": {"Ref": "Live"},
                    "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                },
            },
        }
        client = client_factory(running.endpoint)
        for answer in ("old", "new"):
            code = (
                "import botocore.session\n"
                "dynamodb = botocore.session.get_session().create_client('dynamodb')\n"
                "def handler(event, context):\n"
                "    for record in event['Records']:\n"
                f"        dynamodb.put_item(TableName='{TABLE}',\n"
                f"            Item={{'id': {{'S': record['body']}}, 'by': {{'S': '{answer}'}}}})\n"
            )
            deploy(
                running.endpoint,
                write_assembly(tmp_path / answer, code=code, extra=rollout),
                ENVIRONMENT,
            )
            queue = client("sqs").get_queue_url(QueueName=QUEUE)["QueueUrl"]
            client("sqs").send_message(QueueUrl=queue, MessageBody=answer)
            wait_for(lambda: client("dynamodb").scan(TableName=TABLE)["Count"] == 1)
            (item,) = client("dynamodb").scan(TableName=TABLE)["Items"]
            assert item == {"id": {"S": answer}, "by": {"S": answer}}
            client("dynamodb").delete_item(TableName=TABLE, Key={"id": item["id"]})

    def test_a_resource_that_fails_is_named_and_the_next_try_works(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        running = engines.start(settings)
        broken = write_assembly(
            tmp_path / "broken",
            extra={
                "Bad": {
                    "Type": "AWS::SQS::Queue",
                    "Properties": {"QueueName": "bad", "RedrivePolicy": {"maxReceiveCount": 0}},
                    "DependsOn": ["Table"],
                }
            },
        )
        with pytest.raises(LocalEngineError, match=r"Bad \(AWS::SQS::Queue\)"):
            deploy(running.endpoint, broken, ENVIRONMENT)
        mended = write_assembly(tmp_path / "mended")
        assert deploy(running.endpoint, mended, ENVIRONMENT).action == "created"

    def test_a_failed_update_leaves_what_was_there(
        self, settings: Settings, deployed: Callable[[str], Any], tmp_path: Path
    ) -> None:
        deployed("dynamodb").put_item(TableName=TABLE, Item={"id": {"S": "kept"}})
        broken = write_assembly(
            tmp_path / "broken",
            extra={
                "Bad": {
                    "Type": "AWS::SQS::Queue",
                    "Properties": {"QueueName": "bad", "RedrivePolicy": {"maxReceiveCount": 0}},
                }
            },
        )
        with pytest.raises(LocalEngineError, match="failed"):
            deploy(settings.endpoint, broken, ENVIRONMENT)
        assert "Item" in deployed("dynamodb").get_item(TableName=TABLE, Key={"id": {"S": "kept"}})
        assert deploy(settings.endpoint, tmp_path / "assembly", ENVIRONMENT).action == "unchanged"

    def test_a_function_that_cannot_be_loaded_is_not_ready(self, settings: Settings, tmp_path: Path) -> None:
        running = engines.start(settings)
        broken = write_assembly(tmp_path / "broken", code="import a_module_that_the_bundle_forgot\n")
        with pytest.raises(LocalEngineError, match="a_module_that_the_bundle_forgot"):
            deploy(running.endpoint, broken, ENVIRONMENT)

    def test_an_unknown_type_is_named(self, settings: Settings, tmp_path: Path) -> None:
        running = engines.start(settings)
        strange = write_assembly(
            tmp_path / "strange", extra={"X": {"Type": "AWS::Strange::Thing", "Properties": {}}}
        )
        with pytest.raises(LocalEngineError, match="AWS::Strange::Thing"):
            deploy(running.endpoint, strange, ENVIRONMENT)

    def test_no_engine_at_all(self, settings: Settings, tmp_path: Path) -> None:
        with pytest.raises(LocalEngineError, match=settings.endpoint):
            deploy(settings.endpoint, write_assembly(tmp_path / "assembly"), ENVIRONMENT)


def put(engine: LocalEngine, *, source: str, detail: dict[str, Any]) -> None:
    answer = engine.client("events").put_events(
        Entries=[
            {
                "EventBusName": engine.outputs[names.OUTPUT_EVENT_BUS_NAME],
                "Source": source,
                "DetailType": detail["event_type"],
                "Detail": json.dumps(detail),
            }
        ]
    )
    assert answer["FailedEntryCount"] == 0


def stored(engine: LocalEngine, shipment_id: str) -> int:
    """Number of stored events of a shipment."""
    found = engine.client("dynamodb").query(
        TableName=engine.outputs[names.OUTPUT_TABLE_NAME],
        KeyConditionExpression="shipment_id = :id",
        ExpressionAttributeValues={":id": {"S": shipment_id}},
    )
    return int(found["Count"])
