"""Every command of the documents runs, on dead letters of the kinds that the runbook speaks of."""

import json
import shlex
from pathlib import Path

import pytest

from shipment_events.contract import names
from shipment_events.contract.names import SOURCE
from tests.integration.commands import QuickCommands, exported
from tests.integration.conftest import ENVIRONMENT, LocalEngine
from tests.integration.test_publish_and_run import wait_until_processed
from tests.repository.documents import commands_to_run

pytestmark = pytest.mark.engine

# 2 is a usage error; 1 is an answer: there are dead letters, or the pipeline is not healthy.
ANSWERS = (0, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runbook")


@pytest.fixture(scope="module")
def shipments(engine: LocalEngine, folder: Path) -> QuickCommands:
    commands = QuickCommands(
        folder, {**exported(engine.endpoint), "ENV": engine.environment, "COLUMNS": "200"}
    )
    event = {"event_timestamp": "2026-05-04T10:00:00Z", "event_type": "shipment.scanned"}
    line = json.dumps({"shipment_id": "RUNBOOK", "event_id": "1", **event})
    (folder / "events.ndjson").write_text(f"{line}\n", encoding="utf-8")
    commands("publish", "events.ndjson", "--journal", "journal.ndjson")
    wait_until_processed(engine)
    return commands


@pytest.fixture
def letter(engine: LocalEngine) -> str:
    """Id of a dead letter that is there when the command runs."""
    sqs, url = engine.client("sqs"), engine.outputs[names.OUTPUT_DEAD_LETTER_QUEUE_URL]
    sqs.purge_queue(QueueUrl=url)
    detail = {
        "shipment_id": "RUNBOOK",
        "event_id": "2",
        "event_timestamp": "2026-05-04T11:00:00Z",
        "event_type": "shipment.scanned",
    }
    envelope = {"id": "runbook-2", "source": SOURCE, "detail-type": "shipment.scanned", "detail": detail}
    message_id: str = sqs.send_message(QueueUrl=url, MessageBody=json.dumps(envelope))["MessageId"]
    return message_id


@pytest.mark.parametrize("command", commands_to_run())
def test_command(shipments: QuickCommands, letter: str, folder: Path, command: str) -> None:
    journal = json.loads((folder / "journal.ndjson").read_text(encoding="utf-8").splitlines()[0])
    real = {"ID": letter[:8], "SHIPMENT": "RUNBOOK", "ENVELOPE": journal["envelope_id"], "prod": ENVIRONMENT}
    arguments = [real.get(word, word) for word in shlex.split(command)[1:]]
    done = shipments(*arguments, status=None)
    assert done.exit_code in ANSWERS, done.output
    assert "Error" not in done.stderr
    assert done.stdout or done.stderr
