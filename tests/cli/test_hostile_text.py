"""Whatever a producer, a file or a service says: it neither drives the terminal nor forges what is shown."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from shipment_events.api.problems import PROBLEM_TYPE
from shipment_events.api_client import ApiClient, ApiResponse
from shipment_events.cli import main
from shipment_events.contract import names
from shipment_events.publishing.journal import JournalRecord, JournalWriter
from tests.stand_ins.fakes import client_error

NOW = datetime.now(UTC)
# By what it would do if a command printed it as it is.
ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\x7f"
BIDIRECTIONAL = "\u202e\u2066gpj.exe\u2069\u200f"
NEW_LINES = "\nError: forged\r\x0b\x85\u2028\u2029"
INVISIBLE = "\u200b\u200d\ufeff\u00ad\U000e0041"
UNKNOWN = "\ue000\U0010ffff\udcff"
HOSTILE = {
    "markup": "x[/y] [bold] [link=http://x]z[/link] :warning:",
    "characters": f"{ESCAPES}{BIDIRECTIONAL}{NEW_LINES}{INVISIBLE}{UNKNOWN}",
    "long": f"begin{'x' * 1_990}end",
}


@dataclass
class Aws:
    """Every service that commands ask, and each of its answers has the hostile text where text is foreign."""

    text: str
    letters: int = 2
    hidden: set[str] = field(default_factory=set)
    error: Exception | None = None
    has_states: bool = True

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        if self.error:
            raise self.error
        keys = [value for name, value in vars(names).items() if name.startswith("OUTPUT_")]
        outputs = [{"OutputKey": key, "OutputValue": "1"} for key in keys if key != names.OUTPUT_EXACT_COUNTS]
        # The counts of a stand-in are exact, too, and need no wait.
        outputs.append({"OutputKey": names.OUTPUT_EXACT_COUNTS, "OutputValue": "true"})
        return {"Stacks": [{"Outputs": outputs, "CreationTime": NOW}]}

    @property
    def detail(self) -> dict[str, Any]:
        foreign = ("shipment_id", "event_timestamp", "event_type", "event_id", "description", "carrier")
        return {**dict.fromkeys(foreign, self.text), "location": {"city": self.text}}

    @property
    def bodies(self) -> list[str]:
        envelope = {"id": self.text, "source": self.text, "detail-type": self.text, "detail": self.detail}
        return [json.dumps(envelope), self.text]

    @property
    def shipment(self) -> dict[str, Any]:
        foreign = ("event_id", "event_type", "description", "reason_code")
        latest = {name: {"S": self.text} for name in foreign} | {
            "location": {"M": {"city": {"S": self.text}}}
        }
        state = {name: {"S": self.text} for name in ("shipment_id", "carrier", "tracking_number")}
        return {**state, "latest_at": {"S": "2025-03-01T13:05:01.000000Z"}, "latest_event": {"M": latest}}

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {"Item": self.shipment} if self.has_states else {}

    def batch_get_item(self, **_: Any) -> dict[str, Any]:
        """Of an item that the tracker did not write."""
        return {"Responses": {"1": [self.shipment]}, "UnprocessedKeys": {}}

    def describe_table(self, **_: Any) -> dict[str, Any]:
        return {"Table": {"ItemCount": 1, "TableSizeBytes": 1}}

    def get_queue_url(self, **_: Any) -> dict[str, Any]:
        return {"QueueUrl": "failures"}

    def receive_message(self, **_: Any) -> dict[str, Any]:
        found = [f"message-{number}" for number in range(self.letters)]
        visible = [name for name in found if name not in self.hidden]
        self.hidden.update(visible)
        attributes = {name: {"StringValue": self.text} for name in ("reason", "detail", self.text)}
        return {
            "Messages": [
                {
                    "MessageId": name,
                    "ReceiptHandle": name,
                    "Body": self.bodies[found.index(name)],
                    "Attributes": {"SentTimestamp": "1", "ApproximateReceiveCount": "1"},
                    "MessageAttributes": attributes,
                }
                for name in visible
            ]
        }

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": str(self.letters)}}

    def change_message_visibility_batch(self, *, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's
        self.hidden.difference_update(entry["ReceiptHandle"] for entry in Entries)
        return {}

    def send_message_batch(self, *, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's
        return {"Failed": [{"Id": entry["Id"], "Code": self.text} for entry in Entries]}

    def delete_message_batch(self, *, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's
        self.letters = 0
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def get_paginator(self, operation: str) -> "Pages":
        return Pages(self, operation)

    def query(self, **request: Any) -> dict[str, Any]:
        [page] = Pages(self, "query").paginate(**request)
        return page

    def describe_archive(self, **_: Any) -> dict[str, Any]:
        return {"ArchiveArn": "a", "EventSourceArn": "b", "CreationTime": NOW.replace(year=2020)}

    def describe_rule(self, **_: Any) -> dict[str, Any]:
        return {"State": "ENABLED"}

    def start_replay(self, **_: Any) -> dict[str, Any]:
        return {}

    def describe_replay(self, **_: Any) -> dict[str, Any]:
        return {"State": "FAILED", "StateReason": self.text}

    def describe_event_bus(self, **_: Any) -> dict[str, Any]:
        return {}

    def put_events(self, *, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's
        self.letters = 0
        return {"FailedEntryCount": 0, "Entries": [{"EventId": self.text} for _ in Entries]}

    def answer(self, target: str) -> ApiResponse:
        """The answer of the HTTP API, which escapes only what JSON demands."""
        problem = target in (NO_SUCH, FAILED)
        status = {NO_SUCH: HTTPStatus.NOT_FOUND, FAILED: HTTPStatus.BAD_GATEWAY}.get(target, HTTPStatus.OK)
        body = json.dumps({"detail": self.text} if problem else self.detail, ensure_ascii=False)
        headers = {"content-type": PROBLEM_TYPE, "etag": self.text}
        return ApiResponse(status, headers, body.encode(errors="replace").decode())


@dataclass
class Pages:
    aws: Aws
    operation: str

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        text, detail = self.aws.text, self.aws.detail
        fields = {"message": text, "outcome": text, "shipment_id": text, "reason": text, "detail": text}
        line = json.dumps({**fields, "correlation_id": text, "request_id": text, "trace_id": text})
        processing = {"content_hash": {"S": text}, "stored_at": {"S": "2025-03-01T13:05:01Z"}}
        strings = {name: {"S": value} for name, value in detail.items() if isinstance(value, str)}
        item = {
            "shipment_id": {"S": text},
            "event_timestamp": {"S": text},
            "processing_status": {"S": "CONFLICT"},
            "processing": {"M": {**processing, "correlation_id": {"S": text}}},
            "detail": {"M": {**strings, "location": {"M": {"city": {"S": text}}}}},
        }
        alarm = {"AlarmName": f"{names.stack_name('dev')}-{text}", "StateUpdatedTimestamp": NOW}
        pages: dict[str, dict[str, Any]] = {
            "query": {"Items": [self.aws.shipment if request.get("IndexName") in SHIPMENTS else item]},
            "scan": {"Items": [item]},
            "filter_log_events": {"events": [{"message": line, "timestamp": int(NOW.timestamp() * 1000)}]},
            "describe_alarms": {"MetricAlarms": [{**alarm, "StateValue": "ALARM"}]},
            "get_metric_data": {"MetricDataResults": []},
        }
        yield pages[self.operation]


SHIPMENTS = {names.SHIPMENT_STATUS_INDEX, names.TRACKING_NUMBER_INDEX, names.OPEN_INDEX}

NO_SUCH, FAILED = "/shipments/none", "/failed"

# What each command shows of the events, and the option that shows all of it.
COMMANDS = [
    ["timeline", "S-1"],
    ["where", "TEXT"],
    ["where", "S-1"],
    ["list", "--status", "delivered"],
    ["list", "--tracking-number", "TEXT"],
    ["rebuild", "--dry-run"],
    ["rebuild", "--shipment", "TEXT"],
    ["rebuild", "--failures"],
    ["events"],
    ["trace", "TEXT", "--journal", "journal"],
    ["status"],
    ["audit", "journal"],
    ["audit", "journal", "--export", "broken"],
    ["dead-letters", "list"],
    ["dead-letters", "show", "message-0"],
    ["dead-letters", "show", "message-1"],
    ["dead-letters", "explain", "message-0"],
    ["dead-letters", "explain", "message-1"],
    ["dead-letters", "show", "TEXT"],
    ["dead-letters", "redrive", "--dry-run"],
    ["dead-letters", "redrive"],
    ["dead-letters", "discard", "--export", "discarded", "--yes"],
    ["dead-letters", "redrive", "--from-export", "broken"],
    ["publish", "--dry-run", "events"],
    ["publish", "--dry-run", "TEXT"],
    ["api", "get", "/"],
    ["api", "get", NO_SUCH],
    ["api", "get", FAILED],
    ["run", "events", "--report", "report"],
    ["dead-letters", "export", "exported"],
    ["recover", "1"],
    ["replay", "--from", "1h", "--to", "20m", "--yes"],
    ["replay", "--from", "1h", "--to", "20m", "--yes", "--subscriber", "TEXT"],
]
WHOLE = {"show", "publish", "replay", "/"}
HAVE_JSON = [
    command for command in COMMANDS if command[-1] not in ("broken", "TEXT") and command[0] != "recover"
]
NOT_HERE = {
    "console": "a page, whose tests are in tests/console",
    "cost": "shows nothing but numbers and words of its own",
    "schema": "shows a file of the package",
}
"""Commands that no text from outside reaches."""
QUIET = {
    "audit journal --export broken": "names the file, its line and a key of ours",
    "dead-letters redrive --from-export broken": "names the file, its line and a key of ours",
    "dead-letters export exported": "shows a count; the file has the text",
    "rebuild --failures": "shows the fields of failures, which these messages lack",
    "recover 1": "refuses the name of the table",
}
"""Commands that show no text of the events here."""


@pytest.fixture(params=HOSTILE, ids=lambda name: name)
def aws(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Services, files and a folder that are full of hostile text."""
    aws = Aws(HOSTILE[request.param])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boto3.Session.client", lambda *_, **__: aws)
    monkeypatch.setattr(ApiClient, "get", lambda _, target, **__: aws.answer(target))
    # A run waits a minute for states that are wrong.
    minutes = SimpleNamespace(monotonic=partial(next, count(step=61)), sleep=lambda _: None)
    monkeypatch.setattr("shipment_events.accounting.states.time", minutes)
    with JournalWriter(Path("journal")) as journal:
        for number in range(2):
            detail = json.dumps({**aws.detail, "event_id": f"{aws.text}{number}"})
            journal.write(JournalRecord(aws.text, NOW.isoformat(), aws.text, aws.text, detail))
    text = aws.text.encode("utf-8", "surrogateescape").replace(b"\n", b" ")
    Path("events").write_bytes(text + b"\n" + json.dumps(aws.detail).encode())
    Path("broken").write_bytes(json.dumps({aws.text: aws.text}).encode())
    return aws


def run(aws: Aws, command: list[str], *options: str) -> Result:
    arguments = [aws.text if word == "TEXT" else word for word in (*command, *options)]
    result = CliRunner().invoke(main, arguments, env={"COLUMNS": "120", "ENV": "dev"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def unprintable(text: str) -> set[str]:
    return {one for one in text if not (one.isprintable() or one == "\n")}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_shows_foreign_text_and_nothing_of_its_force(aws: Aws, command: list[str]) -> None:
    shown = run(aws, command).output
    assert shown
    assert unprintable(shown) == set()
    assert not any(line.startswith("Error: forged") for line in shown.splitlines())
    if aws.text is HOSTILE["long"] and not WHOLE.intersection(command):
        visible = "".join(shown.split())
        assert "x" * 301 not in visible
        assert len(visible) < 12_000


@pytest.mark.parametrize("command", HAVE_JSON, ids=" ".join)
def test_json_has_foreign_text_whole_and_escaped(aws: Aws, command: list[str]) -> None:
    result = run(aws, command, "--json")
    assert unprintable(result.output) == set()
    for line in result.stdout.splitlines():
        json.loads(line)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("aws", ["markup"], indirect=True)
def test_markup_is_text(aws: Aws, command: list[str]) -> None:
    shown = run(aws, command).output
    foreign = ("x[/y]", "[link=http://x]z[/link]", ":warning:")
    assert [word in shown for word in foreign] == [" ".join(command) not in QUIET] * len(foreign)


def test_each_command_is_here_or_says_why_not() -> None:
    here = {" ".join(words(main, command)) for command in COMMANDS}
    known = set(known_commands(main))
    assert known == here | NOT_HERE.keys(), "add a command to COMMANDS, or to NOT_HERE with a reason"
    assert not here & NOT_HERE.keys()
    assert {" ".join(command) for command in COMMANDS} >= QUIET.keys()


def known_commands(group: click.Group, *before: str) -> Iterator[str]:
    """Each command of the package. The workbench adds others, which show what it makes itself."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from known_commands(command, *before, name)
        elif command.callback and command.callback.__module__.startswith("shipment_events."):
            yield " ".join((*before, name))


def words(group: click.Group, command: list[str]) -> list[str]:
    """The words of a command line that name the command."""
    first, *others = command
    found = group.commands[first]
    return [first, *(words(found, others) if isinstance(found, click.Group) else ())]


def test_shipment_without_a_state_is_named_as_it_may_be(aws: Aws) -> None:
    aws.has_states = False
    result = run(aws, ["where", "TEXT"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert unprintable(result.output) == set()


@pytest.mark.parametrize("aws", HOSTILE, indirect=True)
def test_an_error_of_a_service_is_no_exception(aws: Aws) -> None:
    aws.error = client_error(aws.text, aws.text, "DescribeStacks")
    shown = run(aws, ["status"]).output
    assert shown.startswith("Error: DescribeStacks: ")
    assert unprintable(shown) == set()
