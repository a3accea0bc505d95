"""Going through dead letters when requests fail in part: what is not confirmed stays in the queue."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from shipment_events.accounting.audit import audit_journal
from shipment_events.accounting.reconcile import Reconciliation
from shipment_events.contract.exact_json import dumps, loads
from shipment_events.dead_letters.edits import Edit, broken_after, edited
from shipment_events.dead_letters.explain import explain
from shipment_events.dead_letters.exports import (
    Decision,
    LetterExportError,
    open_export,
    read_letters,
    write_export,
)
from shipment_events.dead_letters.letters import DeadLetterMessage, Selection
from shipment_events.dead_letters.queue import CAME_BACK, DeadLetterQueue
from shipment_events.publishing.journal import JournalRecord, JournalWriter
from shipment_events.table.item import StoredEvent
from tests.stand_ins.queues import dead_letters_on

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)


class Queues:
    """Two queues in memory; what is in ``unsendable``, ``garbled`` or ``undeletable`` fails."""

    def __init__(self, *bodies: str) -> None:
        self.letters = {f"m{number}": body for number, body in enumerate(bodies)}
        self.hidden: set[str] = set()
        self.sent: list[str] = []
        self.unsendable: set[str] = set()
        self.undeletable: set[str] = set()
        self.garbled: set[str] = set()
        self.come_back = False

    @property
    def client(self) -> Any:
        return cast("Any", self)

    def receive_message(self, *, MaxNumberOfMessages: int, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's
        visible = [name for name in self.letters if name not in self.hidden][:MaxNumberOfMessages]
        self.hidden.update(visible)
        return {
            "Messages": [
                {
                    "MessageId": name,
                    "ReceiptHandle": name,
                    "Body": self.letters[name],
                    "Attributes": {"SentTimestamp": "1", "ApproximateReceiveCount": "1"},
                }
                for name in visible
            ]
        }

    def send_message_batch(self, *, Entries: Sequence[Mapping[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in Entries:
            if entry["MessageBody"] in self.unsendable:
                answer["Failed"].append({"Id": entry["Id"], "Code": "InternalError"})
                continue
            self.sent.append(entry["MessageBody"])
            digest = hashlib.md5(entry["MessageBody"].encode(), usedforsecurity=False).hexdigest()
            if entry["MessageBody"] in self.garbled:
                digest = "0" * 32
            answer["Successful"].append({"Id": entry["Id"], "MD5OfMessageBody": digest})
            if self.come_back:
                self.letters[f"again-{len(self.sent)}"] = entry["MessageBody"]
        return answer

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self.letters))}}

    def delete_message_batch(self, *, Entries: Sequence[Mapping[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in Entries:
            if entry["ReceiptHandle"] in self.undeletable:
                answer["Failed"].append({"Id": entry["Id"], "Code": "InternalError"})
            else:
                del self.letters[entry["ReceiptHandle"]]
                answer["Successful"].append({"Id": entry["Id"]})
        return answer

    def change_message_visibility_batch(
        self,
        *,
        Entries: Sequence[Mapping[str, str]],  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        self.hidden.difference_update(entry["ReceiptHandle"] for entry in Entries)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


def letters_in(queues: Queues) -> DeadLetterQueue:
    return dead_letters_on(queues.client, "letters", "queue")


def body(name: str, **fields: Any) -> str:
    detail = {
        "shipment_id": f"S-{name}",
        "event_timestamp": "2026-05-04T10:00:00Z",
        "event_type": "shipment.scanned",
        **fields,
    }
    envelope = {"id": name, "source": "shipment.service", "detail-type": "shipment.scanned"}
    return json.dumps({**envelope, "detail": detail})


FOREIGN: Final = body("a").replace("shipment.service", "order.service")


def letter(reason: str, text: str, **fields: Any) -> DeadLetterMessage:
    values = {
        "message_id": "0123456789",
        "envelope_id": "e",
        "detail": "",
        "shipment_id": "",
        "event_id": "",
        "sent_at": NOW,
        "receives": 1,
    }
    return DeadLetterMessage(**{**values, "reason": reason, "body": text, **fields})


def test_what_the_queue_did_not_confirm_stays_and_is_visible_again() -> None:
    queues = Queues(body("a"), body("b"), body("c"))
    queues.unsendable = {body("b")}
    result = letters_in(queues).redrive(Selection())
    assert queues.sent == [body("a"), body("c")]
    assert list(queues.letters.values()) == [body("b")]
    assert not queues.hidden & set(queues.letters)
    assert [why for _, why in result.failed] == ["InternalError"]
    assert not result.succeeded


def test_what_arrived_as_something_else_is_not_deleted() -> None:
    queues = Queues(body("a"), body("b"))
    queues.garbled = {body("b")}
    result = letters_in(queues).redrive(Selection())
    assert list(queues.letters.values()) == [body("b")]
    assert [why for _, why in result.failed] == ["IncompleteResponse"]


def test_half_a_line_of_a_killed_command_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "copies"
    path.write_text('{"message_id": "m1", "bo')
    for name in ("a", "b"):
        with open_export(path) as file:
            letters_in(Queues(body(name))).discard(Selection(), file)
    _, *whole = path.read_text().splitlines()
    assert [json.loads(line)["body"] for line in whole] == [body("a"), body("b")]


def audited(
    journal: JournalRecord, folder: Path, *stored: StoredEvent, export: str = "discarded"
) -> Reconciliation:
    """The account of one event, with what the export says of it."""
    with JournalWriter(folder / "journal") as writer:
        writer.write(journal)
    table = SimpleNamespace(timeline=lambda _: iter(stored))
    return audit_journal(
        folder / "journal", cast("Any", table), letters_in(Queues()), exports=[folder / export]
    )


@pytest.mark.parametrize("edits", [[], [Edit("carrier", "Meridian")]], ids=["as it was", "changed"])
def test_a_discarded_event_that_is_sent_again_and_lost_is_missing(tmp_path: Path, edits: list[Edit]) -> None:
    sent = loads(body("a"))
    record = JournalRecord(
        "a", NOW.isoformat(), "shipment.service", "shipment.scanned", dumps(sent["detail"])
    )
    path = tmp_path / "discarded"
    with open_export(path) as file:
        letters_in(Queues(body("a"))).discard(Selection(), file)
    found = audited(record, tmp_path)
    assert (found.discarded, found.lost) == (1, [])

    queues = Queues()
    for _ in range(2):
        with open_export(path) as notes:
            letters_in(queues).redrive_export(read_letters(path), notes, edits=edits)
    assert queues.sent == [edited(body("a"), edits)] * 2, "each time once, though the file has it more often"
    found = audited(record, tmp_path)
    assert found.discarded == 0
    assert [lost.envelope_id for lost in found.lost] == ["a"]


def test_a_later_redrive_keeps_the_changes_of_an_earlier_one(tmp_path: Path) -> None:
    """A redriven event that fails again is a dead letter with its changes."""
    path = tmp_path / "redriven"
    changed = edited(body("a"), [Edit("carrier", "Meridian")])
    both = edited(changed, [Edit("status", "DELIVERED")])
    for dead, changes in (
        (body("a"), {"carrier": "Meridian"}),
        (changed, {"status": "DELIVERED"}),
        (both, {}),
    ):
        with open_export(path) as file:
            write_export(file, [letter("invalid_field", dead, envelope_id="a")], Decision.REDRIVEN, changes)
    detail = loads(both)["detail"]
    record = JournalRecord(
        "a", NOW.isoformat(), "shipment.service", "shipment.scanned", dumps(loads(body("a"))["detail"])
    )
    item = StoredEvent("key", "PROCESSED", "1", NOW.isoformat(), "a", detail)
    found = audited(record, tmp_path, item, export="redriven")
    assert (found.lost, found.altered) == ([], [])


@pytest.mark.parametrize("line", ['"abc"', "null", "12", "[]", "{}", '{"decision": "maybe"}', "no JSON"])
def test_a_line_that_is_no_dead_letter_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "letters.ndjson"
    path.write_text(line + "\n")
    with pytest.raises(LetterExportError, match=r"letters\.ndjson, line 1: not an exported dead letter"):
        read_letters(path)


def test_nothing_is_sent_from_an_export_that_cannot_note_it() -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    queues = Queues()
    with pytest.raises(OSError, match="No space"):
        letters_in(queues).redrive_export([letter("unmatched", body("a"))], Full())
    assert queues.sent == []


def test_the_audit_does_not_stumble_over_a_change_that_could_not_be_made(tmp_path: Path) -> None:
    text = body("a", location=7)
    record = JournalRecord("a", NOW.isoformat(), "s", "t", dumps(loads(text)["detail"]))
    with (tmp_path / "discarded").open("w") as originals:
        edits = [Edit("location.code", "ZRH")]
        letters_in(Queues(text)).redrive(Selection(), edits=edits, originals=originals)
    assert [lost.envelope_id for lost in audited(record, tmp_path).lost] == ["a"]


def test_what_was_sent_and_not_deleted_is_named() -> None:
    queues = Queues(body("a"), body("b"))
    queues.undeletable = {"m1"}
    result = letters_in(queues).redrive(Selection())
    assert [one.message_id for one in result.settled] == ["m0"]
    assert [one.message_id for one, _ in result.undeleted] == ["m1"]
    assert queues.sent == [body("a"), body("b")]
    assert not result.succeeded


def test_what_the_answer_leaves_out_is_not_counted_as_deleted() -> None:
    class Silent(Queues):
        def delete_message_batch(self, **_: Any) -> dict[str, Any]:
            return {}

    result = letters_in(Silent(body("a"))).redrive(Selection())
    assert [why for _, why in result.undeleted] == ["IncompleteResponse"]
    assert not result.settled


def test_an_event_that_comes_back_is_not_sent_round_for_ever() -> None:
    queues = Queues(body("a"))
    queues.come_back = True
    result = letters_in(queues).redrive(Selection())
    assert queues.sent == [body("a")]
    assert [why for _, why in result.failed] == [CAME_BACK]
    assert list(queues.letters.values()) == [body("a")]


def test_the_walk_ends_though_kept_messages_come_by_again() -> None:
    class Forgetful(Queues):
        def receive_message(self, **request: Any) -> dict[str, Any]:
            answer = super().receive_message(**request)
            self.hidden.clear()
            return answer

    queues = Forgetful(*(body(f"keep{number}") for number in range(25)), body("a"))
    result = letters_in(queues).redrive(Selection(shipment_id="S-none"))
    assert (result.passed_over, result.unseen) == (10, 16)
    assert not result.succeeded, "what was not seen may have been meant"
    assert len(queues.letters) == 26


def test_an_interrupt_while_letters_are_put_back_still_says_what_was_done() -> None:
    class Impatient(Queues):
        def change_message_visibility_batch(self, **_: Any) -> dict[str, Any]:
            raise KeyboardInterrupt

    queues = Impatient(body("a"), body("b"))
    result = letters_in(queues).redrive(Selection(shipment_id="S-a"))
    assert [letter.shipment_id for letter in result.settled] == ["S-a"]
    assert result.interrupted


def test_an_edit_that_cannot_be_made_leaves_the_letter(tmp_path: Path) -> None:
    queues = Queues("no JSON", body("a", location=7), body("b"))
    edits = [Edit("location.code", "ZRH")]
    with (tmp_path / "originals").open("w") as file:
        result = letters_in(queues).redrive(Selection(), edits=edits, originals=file)
    assert [json.loads(text)["detail"]["location"] for text in queues.sent] == [{"code": "ZRH"}]
    assert list(queues.letters.values()) == ["no JSON", body("a", location=7)]
    assert [why.split(":")[0] for _, why in result.failed] == ["invalid_json", "location.code"]
    assert len((tmp_path / "originals").read_text().splitlines()) == 3


def test_nothing_is_deleted_that_is_not_in_the_export() -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    queues = Queues(body("a"))
    with pytest.raises(OSError, match="No space"):
        letters_in(queues).discard(Selection(), Full())
    assert list(queues.letters.values()) == [body("a")]
    assert not queues.hidden


def test_an_edit_keeps_every_digit_of_the_rest() -> None:
    text = edited('{"detail":{"n":0.10000000000000000001}}', [Edit("m", "x")])
    assert text == '{"detail":{"n":0.10000000000000000001,"m":"x"}}'
    assert edited('{"n": 1.0}', []) == '{"n": 1.0}'


def test_an_edit_of_the_envelope() -> None:
    changed = json.loads(
        edited(body("a"), [Edit("detail-type", "shipment.x"), Edit("event_type", "shipment.x")])
    )
    assert (changed["detail-type"], changed["detail"]["event_type"]) == ("shipment.x", "shipment.x")


@pytest.mark.parametrize(
    ("selection", "takes"),
    [
        (Selection(), True),
        (Selection(reason="a"), True),
        (Selection(reason="b"), False),
        (Selection(shipment_id="S"), True),
        (Selection(shipment_id="T"), False),
        (Selection(identifier="0123"), True),
        (Selection(identifier="e"), True),
        (Selection(identifier="123"), False),
        (Selection(sent_before=NOW + timedelta(1)), True),
        (Selection(sent_before=NOW), False),
        (Selection(sent_after=NOW - timedelta(1)), True),
        (Selection(sent_after=NOW), False),
        (Selection(reason="a", shipment_id="T"), False),
    ],
)
def test_selection(selection: Selection, takes: bool) -> None:
    assert selection.takes(letter("a", body("x"), shipment_id="S")) is takes


@pytest.mark.parametrize(
    ("reason", "text", "command"),
    [
        ("retries_exhausted", body("a"), "redrive --reason retries_exhausted"),
        ("invalid_field", body("a"), "redrive --reason invalid_field"),
        ("invalid_field", body("a", carrier=7), "redrive --id 01234567 --set carrier=VALUE"),
        ("invalid_text", body("a", **{"x; rm": "\ud800"}), "redrive --id 01234567 --set FIELD=VALUE"),
        ("unmatched", body("a"), "--set source=shipment.service --export"),
        ("unmatched", FOREIGN, "--set source=shipment.service --export"),
        ("source_mismatch", FOREIGN, "--set source=shipment.service --export"),
        ("unmatched", "{", "discard --id 01234567 --export"),
        ("unmatched", body("a", event_type="shipmnet.x"), "--set detail-type=shipment.TYPE"),
        ("invalid_json", "{", "discard --id 01234567 --export"),
    ],
)
def test_an_explanation_ends_with_a_command_that_helps(reason: str, text: str, command: str) -> None:
    explanation = explain(letter(reason, text), "prod")
    assert explanation.what_happened
    assert explanation.likely_cause
    assert any(command in step for step, _ in explanation.next_steps)
    # The command may be copied to a shell of another stage.
    assert all(step.startswith("shipments --env prod ") for step, _ in explanation.next_steps)


def test_no_correction_is_proposed_for_an_event_that_has_to_be_published_again() -> None:
    """A field can be set, but nothing can be taken out."""
    large = letter("too_large", body("a", note="x" * 410_000))
    steps = [step for step, _ in explain(large, "prod").next_steps]
    assert not any("--set" in step for step in steps)
    assert any("publish" in step for step in steps)


@pytest.mark.parametrize(
    "text",
    ["{", "", "null", "7", '"text"', "[]", '{"a":1,"a":2}', '{"detail":[]}', '{"detail":NaN}', "[" * 100_000],
    ids=lambda text: text[:14] or "empty",
)
@pytest.mark.parametrize("reason", ["invalid_json", "invalid_envelope", "unmatched", "retries_exhausted"])
def test_no_change_is_proposed_that_cannot_be_made(reason: str, text: str) -> None:
    steps = [step for step, _ in explain(letter(reason, text), "prod").next_steps]
    assert not any("--set" in step for step in steps)
    assert any("publish" in step for step in steps)
    assert any("discard --id 01234567" in step for step in steps)


def test_no_foreign_text_gets_into_a_proposed_command() -> None:
    explanation = explain(letter("x; rm -rf ~", body("a")), "prod")
    assert [step for step, _ in explanation.next_steps] == [
        "shipments --env prod dead-letters redrive --id 01234567"
    ]


def test_what_the_processor_refuses_is_known_before_it_is_redriven() -> None:
    """By the same function, so also what no field is to blame for."""
    foreign, large = letter("unmatched", FOREIGN), letter("too_large", body("a", note="x" * 410_000))
    assert broken_after([foreign], []) == {
        "source_mismatch: source: expected shipment.service, got 'order.service';"
        " --set source=shipment.service corrects it": 1
    }
    assert explain(foreign, "prod").now == next(iter(broken_after([foreign], [])))
    assert broken_after([foreign], [Edit("source", "shipment.service")]) == {}
    assert next(iter(broken_after([large], []))).startswith("too_large: event: expected an item of at most")
