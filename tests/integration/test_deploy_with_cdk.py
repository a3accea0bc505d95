"""The way to AWS, tried on the local engine: bootstrap and deploy with the pinned CDK CLI."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shipment_events.contract import names
from tests.integration.conftest import ENVIRONMENT, ROOT, client_factory
from workbench.engine import engine as engines
from workbench.engine.clients import environment_variables
from workbench.engine.deploy import deploy, deploy_with_cdk
from workbench.engine.errors import LocalEngineError
from workbench.engine.health import free_port
from workbench.engine.settings import Settings

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        not (ROOT / "node_modules" / ".bin" / "cdk").exists(), reason="the CDK CLI comes with 'make test'"
    ),
]


@pytest.mark.slow
def test_the_cdk_cli_deploys_a_stack_that_stores_events(tmp_path: Path, current_assembly: Path) -> None:
    """Over what 'make up' has deployed, too; on an engine without anything the last test here does."""
    settings = Settings(root=ROOT, home=tmp_path, port=free_port(), environment=ENVIRONMENT)
    try:
        running = engines.start(settings)
        deploy(running.endpoint, current_assembly, ENVIRONMENT)
        outputs = deploy_with_cdk(running.endpoint, current_assembly, settings)
        client = client_factory(running.endpoint)

        archives = client("events").list_archives(NamePrefix=outputs[names.OUTPUT_ARCHIVE_NAME])["Archives"]
        assert [archive["ArchiveName"] for archive in archives] == ["shipmentevents-archive-dev"]

        event = {
            "shipment_id": "CLI-1",
            "event_timestamp": "2025-03-01T14:05:00+01:00",
            "event_type": "shipment.departed",
            "event_id": "1",
        }
        entry = {
            "EventBusName": outputs[names.OUTPUT_EVENT_BUS_NAME],
            "Source": names.SOURCE,
            "DetailType": event["event_type"],
            "Detail": json.dumps(event),
        }
        assert client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
        key = {
            names.PARTITION_KEY: {"S": "CLI-1"},
            names.SORT_KEY: {"S": "2025-03-01T13:05:00.000000Z#1"},
        }
        deadline = time.monotonic() + 20
        while not (
            found := client("dynamodb").get_item(
                TableName=outputs[names.OUTPUT_TABLE_NAME], Key=key, ConsistentRead=True
            )
        ).get("Item"):
            assert time.monotonic() < deadline, "the event did not reach the table"
            time.sleep(0.1)
        assert found["Item"][names.STATUS_ATTRIBUTE] == {"S": "PROCESSED"}
    finally:
        engines.stop(settings)


def test_a_failing_cli_is_reported_by_step(tmp_path: Path, current_assembly: Path) -> None:
    settings = Settings(root=ROOT, home=tmp_path, port=free_port(), environment=ENVIRONMENT)
    with pytest.raises(LocalEngineError, match="could not be prepared for the CDK CLI"):
        deploy_with_cdk(settings.endpoint, current_assembly, settings)
    failing = tmp_path / "node_modules" / ".bin" / "cdk"
    failing.parent.mkdir(parents=True)
    failing.write_text("#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    try:
        running = engines.start(settings)
        with pytest.raises(LocalEngineError, match="could not bootstrap"):
            deploy_with_cdk(running.endpoint, current_assembly, replace(settings, root=tmp_path))
    finally:
        engines.stop(settings)


@pytest.mark.slow
def test_a_destroyed_stage_is_taken_up_again_with_what_it_stored(
    tmp_path: Path, current_assembly: Path
) -> None:
    settings = Settings(root=ROOT, home=tmp_path, port=free_port(), environment=ENVIRONMENT)
    try:
        running = engines.start(settings)
        table = deploy_with_cdk(running.endpoint, current_assembly, settings)[names.OUTPUT_TABLE_NAME]
        client = client_factory(running.endpoint)
        item = {names.PARTITION_KEY: {"S": "KEPT"}, names.SORT_KEY: {"S": "1"}}
        client("dynamodb").put_item(TableName=table, Item=item)

        asked = make(running.endpoint, "destroy")
        assert asked.returncode != 0, "without a terminal nobody can confirm"
        assert "unable to get a confirmation" in asked.stdout + asked.stderr
        assert physical_ids(client)

        cdk = [
            str(ROOT / "node_modules" / ".bin" / "cdk"),
            "destroy",
            "--force",
            "--app",
            str(current_assembly),
        ]
        subprocess.run(cdk, cwd=ROOT, env=surroundings(running.endpoint), check=True)
        assert not physical_ids(client)
        assert client("dynamodb").get_item(TableName=table, Key=item)["Item"] == item

        adopted = make(running.endpoint, "adopt")
        assert adopted.returncode == 0, adopted.stderr
        assert {kind for kind, _ in physical_ids(client)} == {"AWS::DynamoDB::Table", "AWS::SQS::Queue"}

        deploy_with_cdk(running.endpoint, current_assembly, settings)
        assert ("AWS::Lambda::Function", names.processor_name(ENVIRONMENT)) in physical_ids(client)
        assert client("dynamodb").get_item(TableName=table, Key=item)["Item"] == item
    finally:
        engines.stop(settings)


def make(endpoint: str, target: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", target],
        cwd=ROOT,
        env=surroundings(endpoint),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def surroundings(endpoint: str) -> dict[str, str]:
    # The make that runs the tests must not pass its own stage on.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MAKE", "MFLAGS"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**inherited, **environment_variables(endpoint), "ENV": ENVIRONMENT, "PATH": path}


def physical_ids(client: Callable[[str], Any]) -> set[tuple[str, str]]:
    """Type and physical id of every resource of the stack; nothing where there is no stack."""
    stacks = client("cloudformation").describe_stacks()["Stacks"]
    name = names.stack_name(ENVIRONMENT)
    if name not in {stack["StackName"] for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"}:
        return set()
    resources = client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    return {(each["ResourceType"], each["PhysicalResourceId"]) for each in resources}
