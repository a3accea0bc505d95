import json
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from shipment_events.publishing.journal import JournalRecord, JournalWriter, read_journal
from shipment_events.publishing.publish_file import KeptEvents
from shipment_events.publishing.publisher import Accepted
from shipment_events.publishing.put_events import Entry

RECEIPT = Accepted(
    Entry(1, "shipment.departed", '{"place":"Łódź \\n","x":0.10}'),
    "envelope-1",
    datetime(2025, 3, 1, tzinfo=UTC),
)


def write(path: Path, *records: JournalRecord, append: bool = False) -> None:
    with JournalWriter(path, append=append) as journal:
        for record in records:
            journal.write(record)


def read(path: Path) -> list[JournalRecord]:
    with path.open(encoding="utf-8") as lines:
        return list(read_journal(lines))


def test_a_record_says_what_the_bus_accepted_and_when() -> None:
    assert JournalRecord.of(RECEIPT) == JournalRecord(
        envelope_id="envelope-1",
        sent_at="2025-03-01T00:00:00.000000+00:00",
        source="shipment.service",
        detail_type="shipment.departed",
        detail='{"place":"Łódź \\n","x":0.10}',
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "journal.ndjson"
    records = [
        JournalRecord.of(RECEIPT),
        JournalRecord("2", "2025-03-01T00:00:01+00:00", "s", "t", "\u2028\x85{"),
    ]
    write(path, *records)
    assert read(path) == records
    assert path.read_bytes().count(b"\n") == 2


def test_a_journal_begins_anew_or_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    record = JournalRecord.of(RECEIPT)
    write(path, record)
    write(path, record, append=True)
    assert read(path) == [record, record]
    write(path, record)
    assert read(path) == [record]


def test_an_interrupted_run_leaves_the_journal_of_what_was_accepted(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    record = JournalRecord.of(RECEIPT)

    def interrupted() -> None:
        with JournalWriter(path) as journal:
            journal.write(record)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read(path) == [record]


def dying(write: Callable[[], None]) -> None:
    """Do it in a process that is killed right after."""
    if (child := os.fork()) == 0:
        try:
            write()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_a_killed_process_loses_no_line_that_it_wrote(tmp_path: Path) -> None:
    record = JournalRecord.of(RECEIPT)

    def publish() -> None:
        journal = JournalWriter(tmp_path / "journal")
        for _ in range(3):
            journal.write(record)

    dying(publish)
    assert read(tmp_path / "journal") == [record] * 3


def test_a_killed_process_loses_no_event_that_was_not_sent(tmp_path: Path) -> None:
    dying(lambda: KeptEvents(tmp_path / "unsent").add("{}"))
    assert (tmp_path / "unsent").read_text(encoding="utf-8") == "{}\n"


def test_waits_for_the_disk_at_once_then_once_a_second_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, synced = SimpleNamespace(now=0.0), list[float]()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(clock.now))
    with JournalWriter(tmp_path / "journal") as journal:
        for clock.now in (100.0, 100.5, 100.9, 101.0, 101.1, 150.0, 150.1):
            journal.write(JournalRecord.of(RECEIPT))
    assert synced == [100.0, 101.0, 150.0, 150.1]


@pytest.mark.parametrize("append", [False, True])
def test_a_journal_may_go_to_what_is_no_file(*, append: bool) -> None:
    write(Path(os.devnull), JournalRecord.of(RECEIPT), append=append)


def test_half_a_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"envelope_id":"1","se', encoding="utf-8")
    record = JournalRecord.of(RECEIPT)
    write(path, record, append=True)
    _, whole = path.read_text(encoding="utf-8").splitlines()
    assert list(read_journal([whole])) == [record]


def line(**changed: object) -> str:
    record = {"envelope_id": "1", "sent_at": "2025-03-01T00:00:00Z", "source": "s", "detail_type": "t"}
    return json.dumps({**record, "detail": "{}", **changed})


OTHER = "it is not an object of envelope_id, sent_at, source, detail_type, detail"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("nonsense", "it is not JSON"),
        ("", "it is not JSON"),
        ("[]", OTHER),
        ("{}", OTHER),
        ('"text"', OTHER),
        ('{"shipment_id":"S-1","event_timestamp":"2025-03-01T14:05:00+01:00"}', OTHER),
        (line(x="1"), OTHER),
        (line(sent_at="yesterday"), "sent_at is no time"),
        (line(sent_at="2025-03-01T00:00:00"), "sent_at has no offset"),
        (line(sent_at=7), "its values are not all texts"),
        (line(detail={}), "its values are not all texts"),
    ],
)
def test_names_the_line_that_is_no_record_and_what_writes_journals(broken: str, why: str) -> None:
    records = read_journal([line(), broken])
    next(records)
    with pytest.raises(ValueError, match="line 2 is no record of a journal") as refused:
        next(records)
    assert f"journal: {why}. 'shipments publish --journal' writes one" in str(refused.value)
