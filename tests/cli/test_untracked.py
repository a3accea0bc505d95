"""A stage without tracking: each command that would tell of it says that the stage has none."""

import json
from typing import Any

import pytest
from click.testing import Result

from tests.cli.test_hostile_text import Aws, run

OF_TRACKING = {"ShipmentsTableName", "StatusBusName"}
SAID = "stage dev does not track shipments"


class Untracked(Aws):
    """The services of a stage whose stack has no outputs of tracking."""

    def describe_stacks(self, **request: Any) -> dict[str, Any]:
        found = super().describe_stacks(**request)
        for stack in found["Stacks"]:
            stack["Outputs"] = [one for one in stack["Outputs"] if one["OutputKey"] not in OF_TRACKING]
        return found


@pytest.fixture
def untracked(monkeypatch: pytest.MonkeyPatch) -> Aws:
    aws = Untracked("S-1")
    monkeypatch.setattr("boto3.Session.client", lambda *_, **__: aws)
    return aws


@pytest.mark.parametrize(
    "command",
    [
        ["where", "S-1"],
        ["list", "--stalled"],
        ["rebuild"],
        ["rebuild", "--shipment", "S-1"],
        ["rebuild", "--failures"],
        ["run", "-", "--subscriber", "https://sqs.invalid/subscriber"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["", "json"])
def test_what_needs_states_is_an_error_and_not_a_finding(
    untracked: Aws, command: list[str], options: list[str]
) -> None:
    shown = run(untracked, command, *options)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert SAID in shown.stderr
    assert "make deploy ENV=dev" in shown.stderr


def test_without_changes_there_is_nothing_to_replay_to_a_subscriber(untracked: Aws) -> None:
    shown = run(untracked, ["replay", "--subscriber", "rule", "--from", "1h", "--yes"])
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert SAID in shown.stderr


def test_status_says_that_there_are_no_states(untracked: Aws) -> None:
    assert "states" in row(run(untracked, ["status"]), "does not track shipments")
    assert json.loads(run(untracked, ["status"], "--json").stdout)["tracking"] is None


def test_trace_shows_the_other_steps_and_says_what_is_missing(untracked: Aws) -> None:
    shown = run(untracked, ["trace", "S-1"], "--json")
    assert shown.exit_code == 0
    whats = {json.loads(line)["what"] for line in shown.stdout.splitlines()}
    assert "stored" in whats
    assert "state" not in whats
    assert SAID in shown.stderr


def test_trace_of_a_stage_that_tracks_says_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws("S-1")
    monkeypatch.setattr("boto3.Session.client", lambda *_, **__: aws)
    assert "track shipments" not in run(aws, ["trace", "S-1"]).output


def row(shown: Result, part: str) -> str:
    (found,) = [line for line in shown.stdout.splitlines() if part in line]
    return found
