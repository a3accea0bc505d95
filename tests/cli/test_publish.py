import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from shipment_events.cli import main
from shipment_events.publishing.event_files import MAX_EVENT_BYTES
from shipment_events.publishing.journal import read_journal
from tests.stand_ins.bus import FakeBus
from workbench.feed import Shares, generate

Run = Callable[..., Result]


def event(number: int, **fields: Any) -> str:
    required = {
        "shipment_id": f"S-{number}",
        "event_timestamp": "2025-03-01T14:05:00+01:00",
        "event_type": "shipment.departed",
    }
    return json.dumps({**required, **fields}, ensure_ascii=False)


def shipment_ids(texts: Any) -> list[str]:
    return sorted(json.loads(text)["shipment_id"] for text in texts)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``shipments publish`` in a folder of its own, on a fake bus."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("random.uniform", lambda *_: 0.0)

    def invoke(*arguments: str, bus: FakeBus | None = None, stdin: bytes = b"") -> Result:
        monkeypatch.setattr("boto3.Session.client", lambda *_, **__: bus or FakeBus())
        return CliRunner().invoke(main, ["publish", *arguments], input=stdin)

    return invoke


def throttled(batch: Sequence[Any]) -> list[str | None]:
    return ["ThrottlingException"] * len(batch)


def refusing(*shipments: str) -> FakeBus:
    """A bus that is out of order for some shipments."""
    return FakeBus(
        lambda batch: [
            "InternalFailure" if json.loads(entry["Detail"])["shipment_id"] in shipments else None
            for entry in batch
        ]
    )


BROKEN = {
    50: ("{", "invalid_json"),
    51: ("null", "invalid_envelope"),
    100: (event(1)[:-1] + ',"shipment_id":"twice"}', "duplicate_key"),
    204: (event(1, shipment_id=""), "invalid_field"),
    205: (event(1, shipment_id=5), "invalid_field"),
    206: (event(1, event_type="departed"), "invalid_field"),
    207: (event(1, location="Łódź"), "invalid_field"),
    300: (event(1, event_timestamp="2025-03-01T14:05:00"), "invalid_timestamp"),
    301: (event(1, event_timestamp="2025-02-30T14:05:00Z"), "invalid_timestamp"),
    302: (event(1, event_timestamp=None), "invalid_timestamp"),
    400: ("{}", "missing_field"),
    500: (event(1)[:-1] + ',"x":NaN}', "invalid_json"),
    501: (event(1)[:-1] + ',"x":1e999}', "number_out_of_range"),
    502: (event(1)[:-1] + ',"x":12345678901234567890}', "number_out_of_range"),
    600: (event(1)[:-1] + ',"x":' + "[" * 40 + "]" * 40 + "}", "too_deep"),
    601: (event(1, description="x" * 420_000), "too_large"),
    700: (event(1)[:-1] + ',"x":"\\ud800"}', "invalid_text"),
    701: ("<html>", "invalid_json"),
    1019: ("[1]", "invalid_envelope"),
    1020: ("{'single': 1}", "invalid_json"),
}


def mixed_file(path: Path) -> Path:
    """1,000 good lines and 20 broken ones."""
    numbers = iter(range(1_000))
    lines = [BROKEN[n][0] if n in BROKEN else event(next(numbers)) for n in range(1, 1_021)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("arguments", [["--dry-run"], []])
def test_names_exactly_the_broken_lines_and_publishes_the_rest(
    run: Run, tmp_path: Path, arguments: list[str]
) -> None:
    bus = FakeBus()
    path = mixed_file(tmp_path / "mixed.ndjson")
    result = run(*arguments, str(path), bus=bus)
    assert result.exit_code == 1
    assert len(BROKEN) == 20
    named = [line.removeprefix(f"{path}:").split(": ")[:2] for line in result.stderr.splitlines()]
    assert named == [[str(number), reason] for number, (_, reason) in BROKEN.items()]
    assert result.stdout.startswith("1,000 valid" if arguments else "1,000 accepted")
    assert shipment_ids(bus.accepted) == ([] if arguments else sorted(f"S-{n}" for n in range(1_000)))
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_dry_run_needs_no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("boto3.Session.client", forbidden)
    result = CliRunner().invoke(main, ["publish", "--dry-run", "-"], input=event(1))
    assert result.exit_code == 0
    assert result.stdout == "1 valid, 0 refused, 0 unsent\n"


def test_names_the_elements_of_an_array(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    path.write_text(json.dumps([json.loads(event(1)), {"shipment_id": "S-2"}], indent=2), encoding="utf-8")
    result = run(str(path))
    assert result.exit_code == 1
    assert f"{path}: element 2: missing_field: event_timestamp" in result.stderr


def test_json_summary_counts_everything(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join([event(1), event(2), "{}", event(3)]), encoding="utf-8")
    result = run("--json", str(path), "absent.ndjson", bus=refusing("S-2"))
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "dry_run": False,
        "valid": 3,
        "accepted": 2,
        "unsent": 1,
        "unsent_by_error": {"InternalFailure": 1},
        "unsent_file": "unsent.ndjson",
        "refused": 1,
        "refused_by_reason": {"missing_field": 1},
        "unreadable_files": ["absent.ndjson"],
    }


def test_success_is_silent_on_stderr(run: Run) -> None:
    result = run("--json", "-", stdin=event(1).encode())
    assert result.exit_code == 0
    assert result.stderr == ""
    assert json.loads(result.stdout)["unsent_file"] is None


def test_unsent_events_can_be_published_again(run: Run, tmp_path: Path) -> None:
    first = FakeBus(throttled)
    texts = [event(number, place="Łódź\u2028", x=0.1) for number in range(25)]
    failed = run("-", bus=first, stdin="\n".join(texts).encode())
    assert failed.exit_code == 1
    assert "Try again with: shipments --env dev publish unsent.ndjson" in failed.stderr
    second = FakeBus()
    assert run("unsent.ndjson", bus=second).exit_code == 0
    # The same identities as were tried at first, so that nothing can double.
    assert set(second.accepted) == {entry["Detail"] for request in first.requests for entry in request}
    assert len(second.accepted) == 25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["unsent.ndjson"]
    # All are on the bus, so the file must not offer them again.
    assert (tmp_path / "unsent.ndjson").read_text() == ""


def test_unsent_events_of_several_files_are_all_kept(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(event(1, event_id=name), encoding="utf-8")
    assert run("a", "b", "c", bus=FakeBus(throttled)).exit_code == 1
    kept = (tmp_path / "unsent.ndjson").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event_id"] for line in kept] == ["a", "b", "c"]


def test_unsent_events_of_an_earlier_command_are_kept(run: Run, tmp_path: Path) -> None:
    for number in (1, 2):
        run("-", bus=FakeBus(throttled), stdin=event(number).encode())
    kept = (tmp_path / "unsent.ndjson").read_text(encoding="utf-8").splitlines()
    assert shipment_ids(kept) == ["S-1", "S-2"]


def test_the_unsent_file_can_be_published_into_itself(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "unsent.ndjson"
    path.write_text("\n".join(map(event, range(30))), encoding="utf-8")
    result = run("./unsent.ndjson", bus=refusing("S-3", "S-29"))
    assert result.exit_code == 1
    assert shipment_ids(path.read_text(encoding="utf-8").splitlines()) == ["S-29", "S-3"]
    assert list(tmp_path.iterdir()) == [path]


def test_the_unsent_file_keeps_its_broken_events_too(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "unsent.ndjson"
    path.write_text("\n".join([event(1), "broken", event(2)]), encoding="utf-8")
    assert run("unsent.ndjson", bus=refusing("S-2")).exit_code == 1
    left = path.read_text(encoding="utf-8").splitlines()
    assert sorted(left, key=len)[0] == "broken"
    assert shipment_ids([line for line in left if line != "broken"]) == ["S-2"]
    assert list(tmp_path.iterdir()) == [path]


def test_an_unsent_file_that_cannot_be_read_whole_is_left_as_it_is(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "unsent.ndjson"
    cut_off = gzip.compress("\n".join(map(event, range(200))).encode())[:-20]
    too_long = b"{" + b"x" * (MAX_EVENT_BYTES + 1) + b"\n"
    for content in (cut_off, too_long):
        path.write_bytes(content)
        assert run("unsent.ndjson", bus=FakeBus(throttled)).exit_code == 1
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


def test_refused_and_unsent_events_do_not_share_a_file(run: Run) -> None:
    bus = FakeBus()
    result = run("-", "--refused", "kept", "--unsent", "./kept", bus=bus, stdin=event(1).encode())
    assert result.exit_code == 2
    assert not bus.requests


@pytest.mark.parametrize("option", ["--unsent", "--refused"])
@pytest.mark.parametrize("files", [("kept", "-"), ("other", "./kept"), ("kept", "kept")])
def test_a_file_for_what_is_left_is_the_only_input_or_none(
    run: Run, tmp_path: Path, option: str, files: tuple[str, str]
) -> None:
    """It replaces its input if that was read to its end. Otherwise other inputs' events would be gone."""
    for name in ("kept", "other"):
        (tmp_path / name).write_text(event(1) + "\nbroken", encoding="utf-8")
    bus = FakeBus(throttled)
    result = run(*files, option, "kept", bus=bus, stdin=event(2).encode())
    assert result.exit_code == 2
    assert f"{option} names kept, which is one of several inputs: publish it alone" in result.stderr
    assert not bus.requests


@pytest.mark.parametrize("option", ["--unsent", "--refused"])
def test_a_dry_run_changes_no_input(run: Run, tmp_path: Path, option: str) -> None:
    path = tmp_path / "kept"
    path.write_text(event(1) + "\nbroken", encoding="utf-8")
    result = run("kept", "--dry-run", option, "kept")
    assert result.exit_code == (1 if option == "--unsent" else 2)
    assert path.read_text(encoding="utf-8") == event(1) + "\nbroken"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("option", ["--unsent", "--refused"])
def test_the_journal_is_a_file_of_its_own(run: Run, tmp_path: Path, option: str) -> None:
    (tmp_path / "in").write_text(event(1), encoding="utf-8")
    for arguments in (("in", "--journal", "./in"), ("in", option, "kept", "--journal", "kept")):
        bus = FakeBus()
        result = run(*arguments, bus=bus)
        assert result.exit_code == 2
        assert "--journal names" in result.stderr
        assert not bus.requests
    assert (tmp_path / "in").read_text(encoding="utf-8") == event(1)


def test_an_interrupted_command_leaves_the_unsent_file_that_it_reads(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "unsent.ndjson"
    text = "\n".join(map(event, range(500)))
    path.write_text(text, encoding="utf-8")
    requests = 0

    def interrupted(batch: Sequence[Any]) -> Any:
        nonlocal requests
        requests += 1
        if requests > 20:
            raise KeyboardInterrupt
        return ["AccessDeniedException"] * len(batch)

    result = run("unsent.ndjson", bus=FakeBus(interrupted))
    assert result.exit_code == 130
    assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]
    assert "Run the same command again; each event is stored once." in result.stderr


def test_unsent_events_go_where_they_are_asked_to(run: Run, tmp_path: Path) -> None:
    result = run("-", "--unsent", "new/folder/left.ndjson", bus=FakeBus(throttled), stdin=event(1).encode())
    assert result.exit_code == 1
    kept = (tmp_path / "new/folder/left.ndjson").read_text(encoding="utf-8").splitlines()
    assert shipment_ids(kept) == ["S-1"]


def test_refused_events_from_standard_input_are_kept_as_they_came(run: Run, tmp_path: Path) -> None:
    broken = [b'{"shipment_id": 0.10}', "Zürich".encode("latin-1"), b"<html>"]
    result = run("--refused", "refused.txt", "-", stdin=b"\n".join([event(1).encode(), *broken]))
    assert result.exit_code == 1
    assert (tmp_path / "refused.txt").read_bytes() == b"\n".join(broken) + b"\n"


def test_a_refused_element_of_an_array_is_kept_as_one_line(run: Run, tmp_path: Path) -> None:
    broken = {"shipment_id": "Łódź\n", "x": [1, 2]}
    content = json.dumps([broken, broken], indent=2, ensure_ascii=False).replace("\n", "\r\n")
    run("--refused", "refused.ndjson", "-", stdin=content.encode())
    lines = (tmp_path / "refused.ndjson").read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == [broken, broken]


def test_no_file_is_made_where_nothing_is_left(run: Run, tmp_path: Path) -> None:
    assert run("--refused", "refused.ndjson", "-", stdin=event(1).encode()).exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_file_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    texts = "".join(f"{event(number)}\n" for number in range(5_000)).encode()
    (tmp_path / "cut.gz").write_bytes(gzip.compress(texts)[:-2_000])
    (tmp_path / "cut.json").write_text(f"[\n{event(7_001)},\n{event(7_002)},\n{{", encoding="utf-8")
    (tmp_path / "good.ndjson").write_text(event(8_000), encoding="utf-8")
    bus = FakeBus()
    result = run("--json", "cut.gz", "absent", "cut.json", "good.ndjson", bus=bus)
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert summary["unreadable_files"] == ["cut.gz", "absent", "cut.json"]
    # Everything that could be read is on the bus, to the last event before the damage.
    assert summary["valid"] == summary["accepted"] == bus.accepted.total()
    assert {"S-0", "S-999", "S-7001", "S-7002", "S-8000"} <= set(shipment_ids(bus.accepted))
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        ["Error", "cut.gz"],
        ["Error", "absent"],
        ["Error", "cut.json"],
    ]


def test_the_journal_has_what_the_bus_accepted_and_grows(run: Run, tmp_path: Path) -> None:
    for numbers in ((1, 2), (2, 3)):
        stdin = "\n".join(map(event, numbers)).encode()
        run("--journal", "logs/journal.ndjson", "-", bus=refusing("S-2"), stdin=stdin)
    with (tmp_path / "logs/journal.ndjson").open(encoding="utf-8") as lines:
        assert shipment_ids(record.detail for record in read_journal(lines)) == ["S-1", "S-3"]


def test_nothing_is_accepted_for_a_bus_that_is_not_there(run: Run, tmp_path: Path) -> None:
    bus = FakeBus(is_there=False)
    result = run("-", bus=bus, stdin=event(1).encode())
    assert result.exit_code == 2
    assert bus.requests == []
    assert result.stderr == (
        "Error: no event bus shipmentevents-dev at http://bus.test. Check account, region and --env. To"
        " deploy: 'make up' (local engine) or 'make deploy' (AWS).\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_sends_a_generated_feed_whole(run: Run) -> None:
    lines = list(generate(2_000, shares=Shares(broken=0.1)))
    bus = FakeBus()
    result = run("--json", "-", bus=bus, stdin="".join(f"{line.text}\n" for line in lines).encode())
    summary = json.loads(result.stdout)
    assert summary["accepted"] == sum(line.expected_reason is None for line in lines)
    assert summary["refused"] == sum(line.expected_reason is not None for line in lines)
    expected = {"unmatched": "invalid_field"}
    for reason in {line.expected_reason for line in lines} - {None}:
        assert expected.get(reason or "", reason) in summary["refused_by_reason"]
