"""Names, functions and rooms stand in the documents that list them."""

import inspect
import re
import tomllib
from collections import Counter

import pytest

from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome
from tests.infrastructure.template import FUNCTIONS
from tests.repository.documents import ROOT

PACKAGE = ROOT / "src" / "shipment_events"
LOCAL = {names.OUTPUT_EXACT_COUNTS}
"""Outputs that no stage on AWS has."""


def section(document: str, title: str) -> str:
    """What a document says below one of its titles."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return str(found)


def first_cells(table: str) -> list[str]:
    return re.findall(r"^\| ([^|]*?) \|", table, re.MULTILINE)


def public_names() -> Counter[str]:
    """How many things have a name, for each name that others rely on."""
    found = Counter(outcome.metric for outcome in Outcome)
    for name, value in vars(names).items():
        if inspect.isfunction(value) and [*inspect.signature(value).parameters] == ["environment"]:
            found[value("{env}")] += 1
        elif name.startswith("OUTPUT_") or name.endswith(("_METRIC", "_INDEX")):
            found[value] += 1
    return found


def test_contract_has_every_public_name() -> None:
    said = Counter(re.findall(r"`([^`]+)`", section("contract.md", "Names")))
    missing = [name for name, things in public_names().items() if said[name] < things and name not in LOCAL]
    assert not missing, 'add them to the table "Names" of docs/contract.md, one place for each thing'


@pytest.mark.parametrize("function", FUNCTIONS)
def test_permissions_have_every_function(function: str) -> None:
    who = first_cells(section("security.md", "Permissions"))
    word = function.rpartition("-")[2]
    assert any(re.fullmatch(rf"the (\w+ )?{word}(,.*)?", cell, re.IGNORECASE) for cell in who), (
        'add what it may do to the table "Permissions" of docs/security.md'
    )


def test_architecture_has_every_room_from_top_to_bottom() -> None:
    """The layers are all rooms: import-linter refuses a room that they lack."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (x for x in project["tool"]["importlinter"]["contracts"] if x["type"] == "layers")
    layers = [re.split(r" [|:] ", layer) for layer in contract["layers"]]
    level = {
        f"{room}/" if (PACKAGE / room).is_dir() else f"{room}.py": number
        for number, rooms in enumerate(layers)
        for room in rooms
    }
    listed = re.findall(r"`([^`]+)`", "\n".join(first_cells(section("architecture.md", "Rooms"))))
    rooms = [room for room in listed if room in level]
    todo = 'list each room once in the table "Rooms" of docs/architecture.md, as the layers in pyproject.toml'
    assert sorted(rooms) == sorted(level), todo
    assert [level[room] for room in rooms] == sorted(level.values()), todo
