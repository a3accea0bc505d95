"""Point-in-time recovery: a table is restored beside the stage's own, and what is missing copied back."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shipment_events.contract import names
from tests.integration.commands import QuickCommands, exported
from tests.integration.conftest import LocalEngine

pytestmark = pytest.mark.engine

RESTORED = "shipmentevents-dev-restored"
COUNT = 230
"""More than two batches."""


@pytest.fixture
def shipments(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> QuickCommands:
    folder = tmp_path_factory.mktemp("recover")
    return QuickCommands(folder, {**exported(engine.endpoint), "ENV": engine.environment})


@pytest.fixture
def items(engine: LocalEngine) -> Iterator[list[dict[str, Any]]]:
    """Items in the stage's table, which was then restored; without any of other tests in the copy."""
    dynamodb, table = engine.client("dynamodb"), engine.outputs[names.OUTPUT_TABLE_NAME]
    alive, over = (int(datetime.now(UTC).timestamp()) + seconds for seconds in (86_400, -86_400))
    made = [
        {
            names.PARTITION_KEY: {"S": f"RECOVER-{number}"},
            names.SORT_KEY: {"S": "2026-05-04T10:00:00.000000Z#1"},
            names.TTL_ATTRIBUTE: {"N": str(over if number == 0 else alive)},
            "detail": {"M": {"weight": {"N": "12.5"}}},
        }
        for number in range(COUNT)
    ]
    for item in made:
        dynamodb.put_item(TableName=table, Item=item)
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=table, TargetTableName=RESTORED, UseLatestRestorableTime=True
    )
    for page in dynamodb.get_paginator("scan").paginate(TableName=RESTORED):
        for item in page["Items"]:
            if not item[names.PARTITION_KEY]["S"].startswith("RECOVER-"):
                dynamodb.delete_item(TableName=RESTORED, Key=key(item))
    yield made
    dynamodb.delete_table(TableName=RESTORED)
    for item in made:
        dynamodb.delete_item(TableName=table, Key=key(item))


def key(item: dict[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in (names.PARTITION_KEY, names.SORT_KEY)}


def test_what_was_lost_comes_back_as_it_was_and_nothing_is_overwritten(
    engine: LocalEngine, shipments: QuickCommands, items: list[dict[str, Any]]
) -> None:
    dynamodb, table = engine.client("dynamodb"), engine.outputs[names.OUTPUT_TABLE_NAME]
    for item in items[:200]:
        dynamodb.delete_item(TableName=table, Key=key(item))
    changed = {**items[-1], "detail": {"M": {"weight": {"N": "13"}}}}
    dynamodb.put_item(TableName=table, Item=changed)
    lost = {"copied": 199, "conflict": 0, "present": COUNT - 201, "different": 1, "expired": 1}

    tried = shipments("recover", RESTORED, "--dry-run", "--json", status=1)
    assert json.loads(tried.stdout) == lost
    assert "Item" not in dynamodb.get_item(TableName=table, Key=key(items[1]))

    done = shipments("recover", RESTORED, status=1)
    assert done.stdout == "copied 199, conflict 0, present 29, different 1, expired 1\n"
    assert "were not changed" in done.stderr
    for item in items[1:-1]:
        assert dynamodb.get_item(TableName=table, Key=key(item))["Item"] == item
    assert "Item" not in dynamodb.get_item(TableName=table, Key=key(items[0]))
    assert dynamodb.get_item(TableName=table, Key=key(changed))["Item"] == changed

    again = shipments("recover", RESTORED, "--json", status=1)
    assert json.loads(again.stdout) == {**lost, "copied": 0, "present": COUNT - 2}


def test_the_stages_own_table_and_one_that_is_not_there_are_refused(
    engine: LocalEngine, shipments: QuickCommands
) -> None:
    own = shipments("recover", engine.outputs[names.OUTPUT_TABLE_NAME], status=2)
    assert "own table" in own.stderr
    missing = shipments("recover", "no-such-table", status=2)
    assert "Traceback" not in missing.stderr
    assert "no-such-table" in missing.stderr or "not found" in missing.stderr.lower()
