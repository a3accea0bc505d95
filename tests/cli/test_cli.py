import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import click
import pytest
from click.testing import CliRunner, Result

from shipment_events import __main__ as entry_point
from shipment_events import cli
from shipment_events import pipeline as pipeline_module
from shipment_events.accounting.pace import FeedProgress
from shipment_events.accounting.run import FeedRunner
from shipment_events.cli import main
from shipment_events.contract.exact_json import loads
from shipment_events.contract.schema import event_schema
from shipment_events.publishing.publisher import Publisher
from shipment_events.resources import Resources
from shipment_events.table.item import StoredEvent
from shipment_events.table.store import EventTable
from shipment_events.tracking.changes import Kind
from tests.repository.documents import ROOT
from tests.stand_ins.bus import service_error
from workbench.feed import Shares, generate

SHIPMENTS = [sys.executable, "-c", "from shipment_events.cli import main; main(prog_name='shipments')"]
EVENT = '{"shipment_id":"S-1","event_timestamp":"2025-03-01T14:05:00+01:00","event_type":"shipment.departed"}'
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


@pytest.fixture(autouse=True)
def no_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, region, endpoint or settings from whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name == "ENV"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, stdin: str = "", **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, env=environment)


def all_commands(group: click.Group = main, path: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= all_commands(command, f"{path}{name} ")
        else:
            found[path + name] = command
    return found


def all_parameters() -> Iterator[tuple[str, click.Command, click.Parameter]]:
    """Everything that takes a value: the name, the command, the option or argument."""
    for name, command in {"": main, **all_commands()}.items():
        for parameter in command.params:
            if not getattr(parameter, "is_flag", False):
                yield f"{name} {max(parameter.opts, key=len)}".strip(), command, parameter


@pytest.mark.parametrize(
    ("command", "parameter"),
    [pytest.param(command, parameter, id=name) for name, command, parameter in all_parameters()],
)
def test_no_value_may_be_empty(command: click.Command, parameter: click.Parameter) -> None:
    """A shell variable that is unset must neither widen a selection nor name this folder."""
    is_list = parameter.multiple or parameter.nargs == -1
    with pytest.raises(click.UsageError) as refused:
        parameter.process_value(click.Context(command), ("",) if is_list else "")
    assert refused.value.exit_code == 2


# What these print is data already: NDJSON, a JSON Schema, and the address of a page.
DATA = {"console", "feed", "schema"}


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("name", all_commands())
def test_help_has_an_example(name: str, option: str) -> None:
    result = run(*name.split(), option)
    assert result.exit_code == 0
    assert f"shipments {name}" in result.stdout.partition("Example")[2]


@pytest.mark.parametrize("name", sorted(all_commands().keys() - DATA))
def test_every_command_speaks_json(name: str) -> None:
    assert "--json" in run(*name.split(), "--help").stdout


def test_help_lists_the_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert {"publish", "timeline", "feed", "run", "schema"} <= set(all_commands())
    assert all(f"\n  {name} " in result.stdout for name in main.commands)


@pytest.mark.parametrize("group", [[], ["dead-letters"], ["local"]])
def test_help_cuts_no_summary_on_80_columns(group: list[str]) -> None:
    summaries = run(*group, "--help").stdout.partition("\nCommands:\n")[2].splitlines()
    assert summaries
    assert [line for line in summaries if line.endswith("...")] == []


def test_tells_its_version() -> None:
    assert run("--version").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["publish"],
        ["publish", "--nonsense", "x"],
        ["publish", "--concurrency", "0", "x"],
        ["nonsense"],
        ["timeline"],
        ["feed", "--events", "-1"],
        ["feed", "--seed", "-1"],
        ["feed", "--broken-share", "2"],
        ["run"],
        ["run", "--rate", "0", "-"],
        ["run", "absent.ndjson"],
        ["run", "."],
        ["timeline", ""],
        ["trace", ""],
        ["trace", "S-1", "--shipment", ""],
        ["events", "--from", "1d", "--to", "2d"],
        ["publish", ""],
        ["publish", "--unsent", "", "-"],
        ["run", "--report", ""],
        ["replay", "--cancel", ""],
        ["audit", ""],
        ["recover", ""],
        ["--env", "", "status"],
    ],
    ids=" ".join,
)
def test_a_command_that_makes_no_sense_is_refused_with_status_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "Traceback" not in result.output


ASKS_AWS = [["publish", "-"], ["timeline", "S-1"], ["run", "-"]]


def said_once(result: Result) -> str:
    """The one line of an error, without a traceback."""
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("arguments", ASKS_AWS, ids=" ".join)
def test_says_what_to_do_without_region(arguments: list[str]) -> None:
    assert "Set AWS_REGION" in said_once(run(*arguments, stdin=EVENT))


@pytest.mark.parametrize("arguments", ASKS_AWS, ids=" ".join)
def test_the_region_is_found_as_the_aws_cli_finds_it(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    class AskedError(Exception):
        pass

    def ask(client: Any, *_: object) -> None:
        raise AskedError(client.meta.region_name)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", ask)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    result = run(*arguments, stdin=EVENT, AWS_REGION="ap-south-1")
    assert isinstance(result.exception, AskedError)
    assert str(result.exception) == "ap-south-1"


@pytest.mark.parametrize("arguments", ASKS_AWS, ids=" ".join)
def test_says_what_to_do_without_credentials(arguments: list[str]) -> None:
    began = time.monotonic()
    result = run(*arguments, stdin=EVENT, AWS_DEFAULT_REGION="eu-central-1")
    error = said_once(result)
    assert "no AWS credentials" in error
    assert "shipments local env" in error
    assert "aws sso login" in error
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("arguments", ASKS_AWS, ids=" ".join)
def test_says_what_to_do_where_nothing_answers(arguments: list[str]) -> None:
    result = run(*arguments, stdin=EVENT, AWS_ENDPOINT_URL="http://127.0.0.1:1", **CREDENTIALS)
    error = said_once(result)
    assert "http://127.0.0.1:1" in error
    assert "AWS_ENDPOINT_URL" in error


@pytest.mark.parametrize("arguments", ASKS_AWS, ids=" ".join)
def test_says_what_to_do_with_an_endpoint_that_is_none(arguments: list[str]) -> None:
    result = run(*arguments, stdin=EVENT, AWS_ENDPOINT_URL="localhost:4566", **CREDENTIALS)
    assert "Set AWS_ENDPOINT_URL to a whole URL" in said_once(result)


def test_says_which_profile_is_missing() -> None:
    assert "absent" in said_once(run("timeline", "S-1", AWS_PROFILE="absent", **CREDENTIALS))


@pytest.mark.parametrize("arguments", ASKS_AWS[1:], ids=" ".join)
@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("ValidationError", "Stack with id shipmentevents-staging does not exist", "make deploy ENV=staging"),
        ("AccessDenied", "not allowed", "DescribeStacks: AccessDenied: not allowed"),
    ],
)
def test_says_what_to_do_without_a_stack(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: str, message: str, said: str
) -> None:
    error = service_error(code, "DescribeStacks")
    error.response["Error"]["Message"] = message
    error.args = (message,)

    def describe_stacks(**_: object) -> None:
        raise error

    client = SimpleNamespace(describe_stacks=describe_stacks, meta=SimpleNamespace(endpoint_url="http://x"))
    monkeypatch.setattr("boto3.Session.client", lambda *_, **__: client)
    assert said in said_once(run("--env", "staging", *arguments))


def test_says_where_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("publish", "--dry-run", "--journal", "file/journal", "-", stdin=EVENT)
    assert "file" in said_once(result)


def test_a_run_of_no_file_leaves_the_report_before_it_alone(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("of the run before", encoding="utf-8")
    assert "absent.ndjson" in run("run", "absent.ndjson", "--report", str(report), **CREDENTIALS).stderr
    assert report.read_text(encoding="utf-8") == "of the run before"


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resources of a stage, and clients that do nothing, without asking AWS for them."""
    found = Resources("bus", "archive", "q", "dlq", "the-table", datetime.now(UTC))
    monkeypatch.setattr(pipeline_module, "find_resources", lambda *_: found)
    monkeypatch.setattr("boto3.Session.client", lambda *_, **__: None)


@pytest.mark.usefixtures("resources")
@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        (1234, "at least 1,234 events. To account for them: shipments --env dev audit out/journal.ndjson\n"),
        (0, "at least 0 events.\n"),
    ],
)
def test_an_interrupted_run_says_what_is_on_the_bus_and_what_accounts_for_it(
    monkeypatch: pytest.MonkeyPatch, accepted: int, said: str
) -> None:
    def interrupted(*_: object, on_progress: Callable[[FeedProgress], None], **__: object) -> None:
        on_progress(FeedProgress(accepted=accepted))
        raise KeyboardInterrupt

    monkeypatch.setattr(FeedRunner, "run", interrupted)
    monkeypatch.setattr(Publisher, "connect", lambda *_, **__: None)
    result = run("run", "-", "--report", "out/report.json")
    assert result.exit_code == 130
    assert result.stderr == f"\nInterrupted; the bus has accepted {said}"


def test_an_interrupt_while_modules_are_imported_has_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == cli.__name__:
                raise KeyboardInterrupt

    monkeypatch.setattr(sys, "meta_path", [Interrupting, *sys.meta_path])
    monkeypatch.delitem(sys.modules, cli.__name__)
    with pytest.raises(SystemExit) as ended:
        entry_point.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == ""


def test_the_entry_point_runs_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["shipments", "schema"])
    with pytest.raises(SystemExit) as ended:
        entry_point.main()
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out) == event_schema()


@pytest.mark.usefixtures("resources")
def test_says_which_restored_table_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def pages(**_: object) -> Iterator[None]:
        raise service_error("ResourceNotFoundException", "Scan")
        yield

    client = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=pages))
    monkeypatch.setattr("boto3.Session.client", lambda *_, **__: client)
    error = said_once(run("recover", "absent"))
    assert "there is no table absent" in error
    assert "docs/deploy.md#restoring-what-was-lost" in error


def test_feed_prints_the_feed() -> None:
    result = run("feed", "--events", "300", "--seed", "5", "--broken-share", "0.2")
    assert result.exit_code == 0
    expected = [line.text for line in generate(300, seed=5, shares=Shares(broken=0.2))]
    assert result.stdout.splitlines() == expected


def test_schema_is_json() -> None:
    assert json.loads(run("schema").stdout) == event_schema()


@pytest.mark.parametrize("kind", Kind)
def test_schema_of_a_change_is_the_published_one(kind: Kind) -> None:
    assert run("schema", kind.value).stdout == (ROOT / "schemas" / f"{kind}.schema.json").read_text()


def stored(sort_key: str, processing_status: str = "PROCESSED", /, **detail: Any) -> StoredEvent:
    return StoredEvent(sort_key, processing_status, "id-1", "2025-03-01T13:05:01.000000Z", "envelope", detail)


@pytest.fixture
def timeline(monkeypatch: pytest.MonkeyPatch, resources: None) -> Callable[..., Result]:  # noqa: ARG001
    """Runs ``shipments timeline`` on events that a test chooses."""

    def invoke(*arguments: str, events: list[StoredEvent]) -> Result:
        monkeypatch.setattr(EventTable, "timeline", lambda *_: iter(events))
        return run("timeline", *arguments, COLUMNS="200")

    return invoke


def test_timeline_shows_events_in_order_and_marks_conflicts(timeline: Callable[..., Result]) -> None:
    events = [
        stored(
            "1", event_type="shipment.departed", event_timestamp="2025-03-01T14:05:00+01:00", status="MOVING"
        ),
        stored("2", "CONFLICT", event_type="shipment.arrived", location={"city": "東京", "country": "JP"}),
    ]
    result = timeline("S-1", events=events)
    assert result.exit_code == 0
    rows = [line for line in result.stdout.splitlines() if "shipment" not in line.lower()]
    departed = next(row for row in rows if "departed" in row)
    arrived = next(row for row in rows if "arrived" in row)
    assert rows.index(departed) < rows.index(arrived)
    assert "2025-03-01T14:05:00+01:00" in departed
    assert "MOVING" in departed
    assert "東京 JP" in arrived
    assert "CONFLICT" in arrived
    assert "CONFLICT" not in departed


@pytest.mark.parametrize("text", ["[red]x", "[/]", "\\[bold]", "[link=http://x]y", "[[x]]"])
def test_timeline_shows_foreign_text_as_it_is(timeline: Callable[..., Result], text: str) -> None:
    result = timeline(text, events=[stored("1", event_type="shipment.x", description=text)])
    assert result.exit_code == 0
    assert result.stdout.count(text) == 2


def test_timeline_shows_no_control_characters(timeline: Callable[..., Result]) -> None:
    result = timeline(
        "S\x1b[2J", events=[stored("1", event_type="shipment.x", description="a\x1b]0;b\x07\nc")]
    )
    assert "a·]0;b··c" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout


def test_timeline_in_json_is_one_object_an_event_to_the_last_digit(timeline: Callable[..., Result]) -> None:
    deepest = loads("[" * 30 + "]" * 30)
    details = [loads('{"x":0.12345678901234567890,"place":"Łódź"}'), {"history": deepest}]
    events = [stored(f"2025#{number}", **detail) for number, detail in enumerate(details)]
    result = timeline("S-1", "--json", events=events)
    assert result.exit_code == 0
    lines = [loads(line) for line in result.stdout.splitlines()]
    assert [line["detail"] for line in lines] == details
    assert [line["event_timestamp"] for line in lines] == ["2025#0", "2025#1"]
    assert lines[0].keys() == {
        "shipment_id", "event_timestamp", "event_id", "processing_status", "stored_at", "correlation_id",
        "detail",
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_timeline_of_an_unknown_shipment_has_status_1(
    timeline: Callable[..., Result], arguments: list[str]
) -> None:
    result = timeline("S-9", *arguments, events=[])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "the-table has no events of shipment 'S-9'.\n"


class OutOfOrder(BaseHTTPRequestHandler):
    """A bus that is there and takes nothing."""

    asked = threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        describes = self.headers["X-Amz-Target"].endswith("DescribeEventBus")
        self.send_response(200 if describes else 400)
        body = b"{}" if describes else b'{"__type":"ThrottlingException"}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if not describes:
            self.asked.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def out_of_order() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OutOfOrder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_interrupt_ends_a_publication_at_once_though_the_bus_is_out_of_order(
    out_of_order: str, tmp_path: Path
) -> None:
    (tmp_path / "events.ndjson").write_text(f"{EVENT}\n" * 500, encoding="utf-8")
    environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": out_of_order}
    with subprocess.Popen(
        [*SHIPMENTS, "publish", "events.ndjson"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert OutOfOrder.asked.wait(20)
        # Now it waits for its second attempts, and would for ten seconds more.
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 4
    assert "Run the same command again" in errors
    assert "Traceback" not in errors


def test_an_interrupt_while_waiting_for_input_has_status_130() -> None:
    with subprocess.Popen(
        [*SHIPMENTS, "publish", "--dry-run", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stderr
        process.stdin.write("broken\n")
        process.stdin.flush()
        assert process.stderr.readline().startswith("-:1: invalid_json")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_a_reader_that_has_enough_is_no_error() -> None:
    with subprocess.Popen(
        [*SHIPMENTS, "feed", "--events", "100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
