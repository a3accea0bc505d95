"""Going through dead letters when requests fail in part: what is not confirmed stays in the queue."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from shipment_events.dead_letters.explain import explain
from shipment_events.dead_letters.exports import open_export
from shipment_events.dead_letters.letters import DeadLetterMessage, Selection
from shipment_events.dead_letters.redrive import CAME_BACK, Edit, discard, edited, redrive

QUEUE = "queue"
LETTERS = "letters"
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
        failed = [entry for entry in Entries if entry["ReceiptHandle"] in self.undeletable]
        for entry in Entries:
            if entry not in failed:
                del self.letters[entry["ReceiptHandle"]]
        return {"Failed": [{"Id": entry["Id"], "Code": "InternalError"} for entry in failed]}

    def change_message_visibility_batch(
        self,
        *,
        Entries: Sequence[Mapping[str, str]],  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        self.hidden.difference_update(entry["ReceiptHandle"] for entry in Entries)
        return {}


def body(name: str, **fields: Any) -> str:
    detail = {
        "shipment_id": f"S-{name}",
        "event_timestamp": "2026-05-04T10:00:00Z",
        "event_type": "shipment.scanned",
        **fields,
    }
    envelope = {"id": name, "source": "shipment.service", "detail-type": "shipment.scanned"}
    return json.dumps({**envelope, "detail": detail})


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
    result = redrive(queues.client, LETTERS, QUEUE, Selection())
    assert queues.sent == [body("a"), body("c")]
    assert list(queues.letters.values()) == [body("b")]
    assert not queues.hidden & set(queues.letters)
    assert [why for _, why in result.failed] == ["InternalError"]
    assert not result.succeeded


def test_what_arrived_as_something_else_is_not_deleted() -> None:
    queues = Queues(body("a"), body("b"))
    queues.garbled = {body("b")}
    result = redrive(queues.client, LETTERS, QUEUE, Selection())
    assert list(queues.letters.values()) == [body("b")]
    assert [why for _, why in result.failed] == ["IncompleteResponse"]


def test_half_a_line_of_a_killed_command_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "copies"
    path.write_text('{"message_id": "m1", "bo')
    for name in ("a", "b"):
        with open_export(path) as file:
            discard(Queues(body(name)).client, LETTERS, Selection(), file)
    _, *whole = path.read_text().splitlines()
    assert [json.loads(line)["body"] for line in whole] == [body("a"), body("b")]


def test_what_was_sent_and_not_deleted_is_named() -> None:
    queues = Queues(body("a"), body("b"))
    queues.undeletable = {"m1"}
    result = redrive(queues.client, LETTERS, QUEUE, Selection())
    assert [one.message_id for one in result.settled] == ["m0"]
    assert [one.message_id for one, _ in result.undeleted] == ["m1"]
    assert queues.sent == [body("a"), body("b")]
    assert not result.succeeded


def test_an_event_that_comes_back_is_not_sent_round_for_ever() -> None:
    queues = Queues(body("a"))
    queues.come_back = True
    result = redrive(queues.client, LETTERS, QUEUE, Selection())
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
    result = redrive(queues.client, LETTERS, QUEUE, Selection(shipment_id="S-none"))
    assert (result.passed_over, result.unseen) == (10, 16)
    assert not result.succeeded, "what was not seen may have been meant"
    assert len(queues.letters) == 26


def test_an_interrupt_while_letters_are_put_back_still_says_what_was_done() -> None:
    class Impatient(Queues):
        def change_message_visibility_batch(self, **_: Any) -> dict[str, Any]:
            raise KeyboardInterrupt

    queues = Impatient(body("a"), body("b"))
    result = redrive(queues.client, LETTERS, QUEUE, Selection(shipment_id="S-a"))
    assert [letter.shipment_id for letter in result.settled] == ["S-a"]
    assert result.interrupted


def test_an_edit_that_cannot_be_made_leaves_the_letter(tmp_path: Path) -> None:
    queues = Queues("no JSON", body("a", location=7), body("b"))
    edits = [Edit("location.code", "ZRH")]
    with (tmp_path / "originals").open("w") as file:
        result = redrive(queues.client, LETTERS, QUEUE, Selection(), edits=edits, originals=file)
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
        discard(queues.client, LETTERS, Selection(), Full())
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
        ("invalid_field", body("a", carrier=7), "redrive --id 01234567 --set FIELD=VALUE"),
        ("unmatched", body("a"), "--set source=shipment.service --export"),
        ("unmatched", body("a", event_type="shipmnet.x"), "--set detail-type=shipment.TYPE"),
        ("invalid_json", "{", "discard --id 01234567 --export"),
    ],
)
def test_an_explanation_ends_with_a_command_that_helps(reason: str, text: str, command: str) -> None:
    explanation = explain(letter(reason, text))
    assert explanation.what_happened
    assert explanation.likely_cause
    assert any(command in step for step, _ in explanation.next_steps)
