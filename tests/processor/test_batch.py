"""The processor: each record ends as exactly one outcome, and none that the table does not bear out."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from shipment_events.contract.outcome import Outcome, Reason
from shipment_events.processor.records import Record, Retried, Stored
from tests.processor.pipelines import POLICY, TIME_OUT, Pipeline, body, distinct, record
from tests.stand_ins.fakes import (
    FakeQueues,
    FakeTable,
    Fault,
    client_error,
)


class TestStored:
    def test_new_events_take_one_request(self) -> None:
        pipeline = Pipeline()
        assert pipeline.outcomes(*distinct(10)) == [Outcome.STORED] * 10
        assert len(pipeline.table.items) == 10
        assert (len(pipeline.table.statements), pipeline.table.reads) == (1, 0)
        assert not pipeline.clock.slept
        assert not pipeline.queues.visibility
        assert not pipeline.queues.letters

    def test_batch_beyond_the_limit_of_a_request_is_split(self) -> None:
        pipeline = Pipeline()
        assert pipeline.outcomes(*distinct(60)) == [Outcome.STORED] * 60
        assert [len(statements) for statements in pipeline.table.statements] == [25, 25, 10]

    def test_two_events_of_one_second_are_two(self) -> None:
        pipeline = Pipeline()
        both = record(1, note="scan"), record(2, note="photo")
        assert pipeline.outcomes(*both) == [Outcome.STORED] * 2
        assert pipeline.statuses() == {"scan": "PROCESSED", "photo": "PROCESSED"}

    def test_settled_event_tells_what_telemetry_needs(self) -> None:
        (result,) = Pipeline().process(record())
        assert result.correlation_id == "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
        assert isinstance(result, Stored)
        assert result.envelope.detail_type == "shipment.departed"
        assert result.stored_at.utcoffset() is not None

    def test_empty_batch_asks_for_nothing(self) -> None:
        pipeline = Pipeline()
        assert pipeline.process() == []
        assert not pipeline.table.statements


@pytest.mark.parametrize("returns_old_items", [True, False])
class TestSameIdentity:
    @pytest.fixture
    def pipeline(self, returns_old_items: bool) -> Pipeline:
        return Pipeline(FakeTable(returns_old_items=returns_old_items))

    def test_repeat_is_a_duplicate(self, pipeline: Pipeline) -> None:
        pipeline.process(record(1, note="one"))
        before = dict(pipeline.table.items)
        assert pipeline.outcomes(record(2, note="one")) == [Outcome.DUPLICATE]
        assert pipeline.table.items == before

    def test_repeat_in_the_same_batch_is_a_duplicate(self, pipeline: Pipeline) -> None:
        outcomes = pipeline.outcomes(*(record(number, note="one") for number in range(3)))
        assert outcomes == [Outcome.STORED, Outcome.DUPLICATE, Outcome.DUPLICATE]
        assert len(pipeline.table.items) == 1

    def test_message_that_comes_twice_in_a_batch_is_stored_once(self, pipeline: Pipeline) -> None:
        settled = pipeline.process(record(1), record(1))
        assert sorted(result.outcome for result in settled) == [Outcome.DUPLICATE, Outcome.STORED]

    def test_other_content_is_a_conflict_beside_the_first(self, pipeline: Pipeline) -> None:
        pipeline.process(record(1, event_id="E", note="first"))
        assert pipeline.outcomes(record(2, event_id="E", note="second")) == [Outcome.CONFLICT]
        assert pipeline.statuses() == {"first": "PROCESSED", "second": "CONFLICT"}

    def test_other_content_in_the_same_batch_is_a_conflict(self, pipeline: Pipeline) -> None:
        outcomes = pipeline.outcomes(
            record(1, event_id="E", note="first"),
            record(2, event_id="E", note="second"),
            record(3, event_id="E", note="first"),
            record(4, event_id="E", note="third"),
            record(5, event_id="E", note="second"),
        )
        assert outcomes == [
            Outcome.STORED,
            Outcome.CONFLICT,
            Outcome.DUPLICATE,
            Outcome.CONFLICT,
            Outcome.DUPLICATE,
        ]
        assert pipeline.statuses() == {"first": "PROCESSED", "second": "CONFLICT", "third": "CONFLICT"}

    def test_conflict_that_is_repeated_is_a_duplicate(self, pipeline: Pipeline) -> None:
        for number, note in enumerate(["first", "second", "third"]):
            pipeline.process(record(number, event_id="E", note=note))
        before = dict(pipeline.table.items)
        for note in ("third", "second", "first"):
            assert pipeline.outcomes(record(9, event_id="E", note=note)) == [Outcome.DUPLICATE]
        assert pipeline.table.items == before

    def test_conflict_finds_its_place_although_another_event_took_it(self, pipeline: Pipeline) -> None:
        """An event id may be any text, even one that is the place of a conflict to come."""
        pipeline.process(record(1, event_id="E", note="first"))
        (second,) = Pipeline().process(record(2, event_id="E", note="second"))
        assert second.write
        squatter = record(3, event_id=f"E#{second.write.content_hash}", note="squatter")
        assert pipeline.outcomes(squatter) == [Outcome.STORED]
        assert pipeline.outcomes(record(4, event_id="E", note="second")) == [Outcome.CONFLICT]
        assert pipeline.outcomes(record(5, event_id="E", note="second")) == [Outcome.DUPLICATE]
        assert pipeline.statuses() == {"first": "PROCESSED", "squatter": "PROCESSED", "second": "CONFLICT"}


def ago(**spent: float) -> str:
    """As the bus writes a moment that was so long ago."""
    return (datetime.now(UTC) - timedelta(**spent)).strftime("%Y-%m-%dT%H:%M:%SZ")


LATE: Final[dict[str, dict[str, Any]]] = {
    "replayed": {"replay-name": "after-outage"},
    "accepted six minutes ago": {"time": ago(minutes=6)},
    "accepted in an hour": {"time": ago(hours=-1)},
    "time without offset": {"time": "2125-03-01T13:05:01"},
    "no time": {"time": None},
    "time that is none": {"time": "yesterday"},
}


class TestLate:
    """An event that may have been stored before: its own place may have become free since."""

    @pytest.fixture(params=[True, False], ids=["returned", "read"])
    def pipeline(self, request: pytest.FixtureRequest) -> Pipeline:
        """With the conflict ``second`` beside a place that is free again."""
        pipeline = Pipeline(FakeTable(returns_old_items=request.param))
        pipeline.process(record(1, event_id="E", note="first"), record(2, event_id="E", note="second"))
        self.delete(pipeline, "first")
        return pipeline

    @staticmethod
    def delete(pipeline: Pipeline, note: str) -> None:
        """By hand, or because it expired."""
        items = pipeline.table.items
        (key,) = [key for key, item in items.items() if item["detail"]["M"]["note"] == {"S": note}]
        del items[key]

    @staticmethod
    def late(number: int = 9, how: str = "replayed", **fields: Any) -> Record:
        return record(number, text=body(LATE[how], event_id="E", **fields))

    @pytest.mark.parametrize("how", LATE)
    def test_conflict_stays_once_when_its_first_is_gone(self, pipeline: Pipeline, how: str) -> None:
        before = dict(pipeline.table.items)
        assert pipeline.outcomes(self.late(how=how, note="second")) == [Outcome.DUPLICATE]
        assert pipeline.table.items == before

    def test_one_that_was_received_before_may_have_been_stored_then(self, pipeline: Pipeline) -> None:
        """The answer of the first time may be lost, and the event that it lies beside deleted since."""
        again = record(2, event_id="E", note="second", receive_count=2)
        assert pipeline.outcomes(again) == [Outcome.DUPLICATE]
        assert pipeline.statuses() == {"second": "CONFLICT"}

    def test_what_was_deleted_comes_back(self, pipeline: Pipeline) -> None:
        outcomes = pipeline.outcomes(self.late(1, note="first"), self.late(2, note="second"))
        assert outcomes == [Outcome.STORED, Outcome.DUPLICATE]
        assert pipeline.statuses() == {"first": "PROCESSED", "second": "CONFLICT"}

    def test_one_that_lies_beside_says_nothing_of_another_at_its_place(self, pipeline: Pipeline) -> None:
        assert pipeline.outcomes(self.late(note="third")) == [Outcome.STORED]
        outcomes = pipeline.outcomes(self.late(1, note="second"), self.late(2, note="third"))
        assert outcomes == [Outcome.DUPLICATE] * 2
        assert pipeline.statuses() == {"third": "PROCESSED", "second": "CONFLICT"}

    def test_derived_id_may_stand_in_the_way_of_another(self) -> None:
        """A producer may send the id that the pipeline derived; so an event without an id may lie beside."""
        pipeline = Pipeline()
        (derived,) = Pipeline().process(record(1, note="first"))
        assert derived.write
        event_id = derived.write.own_sort_key.partition("#")[2]
        pipeline.process(record(2, event_id=event_id, note="second"))
        assert pipeline.outcomes(record(3, note="first")) == [Outcome.CONFLICT]
        self.delete(pipeline, "second")
        again = record(4, text=body(LATE["replayed"], note="first"))
        assert pipeline.outcomes(again) == [Outcome.DUPLICATE]

    def test_conflict_is_found_behind_the_event_that_took_its_place(self, pipeline: Pipeline) -> None:
        (second,) = pipeline.process(self.late(note="second"))
        self.delete(pipeline, "second")
        assert second.write
        squatter = record(3, event_id=f"E#{second.write.content_hash}", note="squatter")
        pipeline.process(record(1, event_id="E", note="first"), squatter)
        assert pipeline.outcomes(record(2, event_id="E", note="second")) == [Outcome.CONFLICT]
        self.delete(pipeline, "first")
        assert pipeline.outcomes(self.late(note="second")) == [Outcome.DUPLICATE]

    def test_late_events_cost_one_read_and_fresh_ones_none(self) -> None:
        pipeline = Pipeline()
        late = [record(n, text=body(LATE["replayed"], shipment_id=f"S-{n}")) for n in range(10)]
        assert pipeline.outcomes(*late) == [Outcome.STORED] * 10
        assert (len(pipeline.table.statements), pipeline.table.reads) == (1, 1)
        minutes_ago = {"time": ago(minutes=4)}
        assert pipeline.outcomes(record(text=body(minutes_ago, event_id="F"))) == [Outcome.STORED]
        assert pipeline.table.reads == 1

    @pytest.mark.parametrize("fault", [TIME_OUT, client_error("ThrottlingException"), 1])
    def test_look_that_fails_is_no_look(self, pipeline: Pipeline, fault: Exception | int) -> None:
        before = dict(pipeline.table.items)
        pipeline.table.statements.clear()
        pipeline.table.read_faults = [fault]
        assert pipeline.outcomes(self.late(note="second")) == [Outcome.DUPLICATE]
        pipeline.table.read_faults = [fault] * 1000
        neighbour = record(1, shipment_id="S-2")
        assert pipeline.outcomes(self.late(note="second"), neighbour) == [Outcome.RETRIED, Outcome.STORED]
        assert len(pipeline.table.statements) == 1, "only the neighbour is written"
        assert len(pipeline.table.items) == len(before) + 1

    def test_looks_again_before_it_tries_again(self, pipeline: Pipeline) -> None:
        """Another function may have stored it beside meanwhile."""
        self.delete(pipeline, "second")
        key, item = self.second_beside()
        pipeline.table.faults = [Fault(error=client_error("ThrottlingException"))]
        pipeline.table.after_request = lambda: pipeline.table.items.update({key: item})
        assert pipeline.outcomes(self.late(note="second")) == [Outcome.DUPLICATE]
        assert list(pipeline.table.items) == [key]

    @staticmethod
    def second_beside() -> tuple[tuple[str, str], dict[str, Any]]:
        other = Pipeline()
        other.process(record(1, event_id="E", note="first"), record(2, event_id="E", note="second"))
        return list(other.table.items.items())[1]


class TestQuarantined:
    @pytest.mark.parametrize(
        ("text", "reason", "says"),
        [
            ("not JSON", "invalid_json", "expected JSON"),
            ('{"detail-type":"shipment.departed"}', "invalid_envelope", "detail: expected an object"),
            (body({"source": "order.service"}), "source_mismatch", "source: expected shipment.service, got"),
            (body(shipment_id=""), "invalid_field", "shipment_id: expected a non-empty text"),
            (body(event_timestamp="yesterday"), "invalid_timestamp", "event_timestamp: expected ISO 8601"),
            (
                body(event_type="shipment.arrived"),
                "event_type_mismatch",
                "event_type: expected the detail-type",
            ),
            (body(event_id="\ud800"), "invalid_text", "event_id: expected Unicode text"),
            (body(note="x" * 410_000), "too_large", "event: expected an item of at most"),
        ],
    )
    def test_hopeless_event_goes_to_the_dead_letter_queue_as_it_came(
        self, text: str, reason: str, says: str
    ) -> None:
        pipeline = Pipeline()
        assert pipeline.outcomes(record(text=text)) == [Outcome.QUARANTINED]
        ((letter, attributes),) = pipeline.queues.letters
        assert letter == text
        assert attributes["reason"] == reason
        assert attributes["detail"].startswith(says)
        assert set(attributes) == {"reason", "detail"}
        assert not pipeline.table.statements
        assert not pipeline.queues.visibility

    def test_what_there_is_no_time_to_send_is_retried(self) -> None:
        """Each request may take as long as its client waits, and a batch of large events needs several."""
        pipeline = Pipeline(seconds=POLICY.reserve + 10)

        class SlowQueues(FakeQueues):
            def send_message_batch(self, **request: Any) -> dict[str, Any]:
                pipeline.clock.now += 12
                return super().send_message_batch(**request)

        pipeline.queues = SlowQueues()
        records = [record(n, text=body(note="x" * 600_000, shipment_id=f"S-{n}")) for n in range(3)]
        outcomes = pipeline.outcomes(*records)
        assert outcomes == [Outcome.QUARANTINED, Outcome.RETRIED, Outcome.RETRIED]
        assert len(pipeline.queues.letters) == 1

    def test_neighbours_are_stored(self) -> None:
        pipeline = Pipeline()
        records = distinct(10)
        records[3] = record(3, text="broken")
        records[7] = record(7, shipment_id=7)
        outcomes = pipeline.outcomes(*records)
        assert Counter(outcomes) == {Outcome.STORED: 8, Outcome.QUARANTINED: 2}
        assert outcomes[3] == outcomes[7] == Outcome.QUARANTINED
        assert len(pipeline.table.items) == 8

    @pytest.mark.parametrize(
        "why", ["Item size has exceeded the maximum allowed size", "größer als 400 KB", ""]
    )
    def test_event_that_the_table_refuses_leaves_its_neighbours_alone(self, why: str) -> None:
        class Table(FakeTable):
            def batch_execute_statement(self, **request: Any) -> dict[str, Any]:
                if any(statement["Parameters"][0] == {"S": "S-4"} for statement in request["Statements"]):
                    raise client_error("ValidationException", why)
                return super().batch_execute_statement(**request)

        pipeline = Pipeline(Table())
        records = distinct(10)
        outcomes = pipeline.outcomes(*records)
        assert outcomes == [Outcome.STORED] * 4 + [Outcome.QUARANTINED] + [Outcome.STORED] * 5
        ((letter, attributes),) = pipeline.queues.letters
        assert letter == records[4].body
        assert attributes["reason"] == Reason.UNSTORABLE
        assert attributes["detail"]
        assert attributes["detail"].isascii()
        assert not pipeline.clock.slept

    def test_event_that_shares_its_place_with_a_refused_one_is_not_refused_with_it(self) -> None:
        def refuse(item: Mapping[str, Any]) -> str | None:
            return "no" if item["detail"]["M"]["note"]["S"] == "bad" else None

        pipeline = Pipeline(FakeTable(refuses=refuse))
        both = record(1, event_id="E", note="bad"), record(2, event_id="E", note="good")
        assert pipeline.outcomes(*both) == [Outcome.QUARANTINED, Outcome.STORED]

    def test_letter_that_cannot_be_sent_is_retried_alone(self) -> None:
        pipeline = Pipeline(queues=FakeQueues(refuses=lambda text: text == "broken 2"))
        records = [record(1, text="broken 1"), record(2, text="broken 2"), record(3)]
        settled = {result.record.message_id: result for result in pipeline.process(*records)}
        assert settled["m-1"].outcome is Outcome.QUARANTINED
        assert isinstance(settled["m-2"], Retried)
        assert settled["m-2"].detail == "quarantine: InternalError"
        assert settled["m-3"].outcome is Outcome.STORED
        assert [text for text, _ in pipeline.queues.letters] == ["broken 1"]
        assert set(pipeline.queues.visibility) == {"receipt-2"}

    def test_letters_whose_request_fails_are_retried(self) -> None:
        pipeline = Pipeline(queues=FakeQueues(send_errors=[client_error("ServiceUnavailable")]))
        records = [record(number, text=f"broken {number}") for number in range(12)]
        assert pipeline.outcomes(*records) == [Outcome.RETRIED] * 10 + [Outcome.QUARANTINED] * 2

    def test_letter_that_the_answer_does_not_mention_is_retried(self) -> None:
        pipeline = Pipeline(queues=FakeQueues(forgets=1))
        records = [record(number, text=f"broken {number}") for number in range(3)]
        assert pipeline.outcomes(*records) == [Outcome.QUARANTINED] * 2 + [Outcome.RETRIED]

    def test_letters_that_are_too_much_for_one_request_are_split(self) -> None:
        pipeline = Pipeline()
        records = [record(number, shipment_id=number, note="x" * 500_000) for number in range(5)]
        assert pipeline.outcomes(*records) == [Outcome.QUARANTINED] * 5
        assert len(pipeline.queues.letters) == 5
