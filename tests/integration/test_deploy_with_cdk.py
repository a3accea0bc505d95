"""The way to AWS, tried on the local engine: bootstrap and deploy with the pinned CDK CLI."""

import json
import time
from pathlib import Path

import pytest

from shipment_events import names
from shipment_events.local import engine as engines
from shipment_events.local.deploy import deploy_with_cdk
from shipment_events.local.errors import LocalEngineError
from shipment_events.local.health import free_port
from shipment_events.local.settings import Settings
from tests.integration.conftest import ENVIRONMENT, ROOT, client_factory

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        not (ROOT / "node_modules" / ".bin" / "cdk").exists(), reason="the CDK CLI comes with 'make test'"
    ),
]


def test_the_cdk_cli_deploys_a_stack_that_stores_events(tmp_path: Path, real_assembly: Path) -> None:
    settings = Settings(root=ROOT, home=tmp_path, port=free_port(), environment=ENVIRONMENT)
    try:
        running = engines.start(settings)
        outputs = deploy_with_cdk(running.endpoint, real_assembly, settings)
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


def test_a_failing_cli_is_reported_by_step(tmp_path: Path, real_assembly: Path) -> None:
    settings = Settings(root=ROOT, home=tmp_path, port=free_port(), environment=ENVIRONMENT)
    with pytest.raises(LocalEngineError, match="could not bootstrap"):
        deploy_with_cdk(settings.endpoint, real_assembly, settings)
