"""What is retried: within the invocation, and through the queue."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from shipment_events.contract.outcome import Outcome
from shipment_events.function.pauses import LONGEST_PAUSE
from shipment_events.processor import batch as batch_module
from shipment_events.processor.records import Retried
from shipment_events.table.item import prepare_write
from tests.processor.pipelines import POLICY, TIME_OUT, Pipeline, distinct, record
from tests.stand_ins.fakes import (
    FakeQueues,
    FakeTable,
    Fault,
    client_error,
)


class TestRetried:
    def test_blip_is_over_within_the_invocation(self) -> None:
        pipeline = Pipeline(FakeTable(faults=[Fault(codes={3: "ThrottlingError", 5: "InternalServerError"})]))
        assert pipeline.outcomes(*distinct(10)) == [Outcome.STORED] * 10
        assert [len(statements) for statements in pipeline.table.statements] == [10, 2]
        (pause,) = pipeline.clock.slept
        assert 0.025 <= pause <= 0.05

    def test_request_that_failed_is_tried_again(self) -> None:
        faults = [Fault(error=client_error("InternalServerError")), Fault(error=TIME_OUT)]
        pipeline = Pipeline(FakeTable(faults=faults))
        assert pipeline.outcomes(*distinct(3)) == [Outcome.STORED] * 3

    def test_write_whose_answer_was_lost_is_found_and_not_doubled(self) -> None:
        pipeline = Pipeline(FakeTable(faults=[Fault(error=TIME_OUT, acted=True)]))
        assert pipeline.outcomes(*distinct(3)) == [Outcome.DUPLICATE] * 3
        assert len(pipeline.table.items) == 3

    def test_conflict_whose_answer_was_lost_is_found_and_not_doubled(self) -> None:
        pipeline = Pipeline()
        pipeline.process(record(1, event_id="E", note="first"))
        pipeline.table.faults = [Fault(), Fault(error=TIME_OUT, acted=True)]
        assert pipeline.outcomes(record(2, event_id="E", note="second")) == [Outcome.DUPLICATE]
        assert pipeline.statuses() == {"first": "PROCESSED", "second": "CONFLICT"}

    def test_read_back_that_fails_is_tried_again(self) -> None:
        pipeline = Pipeline(FakeTable(returns_old_items=False))
        pipeline.process(record(1))
        pipeline.table.read_faults = [1, TIME_OUT]
        assert pipeline.outcomes(record(2)) == [Outcome.DUPLICATE]
        assert pipeline.table.reads == 3

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(error=client_error("ProvisionedThroughputExceededException")),
            Fault(error=EndpointConnectionError(endpoint_url="https://dynamodb")),
            Fault(codes=dict.fromkeys(range(10), "ThrottlingError")),
            Fault(lost_responses=1),
        ],
    )
    def test_outage_is_given_up_within_the_budget(self, fault: Fault) -> None:
        pipeline = Pipeline(FakeTable(faults=[fault] * 1000))
        assert pipeline.outcomes(*distinct(10)) == [Outcome.RETRIED] * 10
        assert 5 < sum(pipeline.clock.slept) <= POLICY.budget
        assert max(pipeline.clock.slept) <= LONGEST_PAUSE
        assert len(pipeline.table.statements) < 25

    def test_one_that_stays_throttled_does_not_hold_the_others(self) -> None:
        class Table(FakeTable):
            def batch_execute_statement(self, **request: Any) -> dict[str, Any]:
                hot = {
                    position: "ThrottlingError"
                    for position, statement in enumerate(request["Statements"])
                    if statement["Parameters"][0] == {"S": "S-2"}
                }
                self.faults = [Fault(codes=hot)]
                return super().batch_execute_statement(**request)

        pipeline = Pipeline(Table())
        assert pipeline.outcomes(*distinct(4)) == [Outcome.STORED] * 2 + [Outcome.RETRIED, Outcome.STORED]
        assert len(pipeline.table.items) == 3

    def test_slow_outage_is_given_up_before_the_deadline(self) -> None:
        pipeline = Pipeline(FakeTable(faults=[Fault(error=TIME_OUT)] * 1000))
        pipeline.seconds = POLICY.reserve + 5
        pipeline.table.after_request = lambda: pipeline.clock.sleep(4)
        assert pipeline.outcomes(*distinct(10)) == [Outcome.RETRIED] * 10
        assert len(pipeline.table.statements) == 2

    def test_conflict_that_could_not_be_written_any_more_is_retried(self) -> None:
        pipeline = Pipeline()
        pipeline.process(record(1, event_id="E", note="first"))
        pipeline.table.faults = [Fault(), *[Fault(error=TIME_OUT)] * 1000]
        assert pipeline.outcomes(record(2, event_id="E", note="second")) == [Outcome.RETRIED]
        assert pipeline.statuses() == {"first": "PROCESSED"}

    def test_cause_is_told(self) -> None:
        pipeline = Pipeline(FakeTable(faults=[Fault(error=TIME_OUT)] * 1000))
        (result,) = pipeline.process(record())
        assert isinstance(result, Retried)
        assert result.detail == "ReadTimeoutError"

    @pytest.mark.parametrize(
        ("receive_count", "least", "most"), [(1, 5, 15), (2, 360, 360), (3, 360, 360), (7, 360, 360)]
    )
    def test_wait_in_the_queue_depends_on_how_often_it_was_received(
        self, receive_count: int, least: int, most: int
    ) -> None:
        faults = [Fault(error=TIME_OUT)] * 1000
        pipeline = Pipeline(FakeTable(faults=faults))
        records = [
            record(number, shipment_id=f"S-{number}", receive_count=receive_count) for number in range(25)
        ]
        pipeline.process(*records)
        waits = pipeline.queues.visibility
        assert set(waits) == {f"receipt-{number}" for number in range(25)}
        assert least <= min(waits.values()) <= max(waits.values()) <= most
        assert len(set(waits.values())) > 1 or least == most, "all would come back at once"

    def test_visibility_that_cannot_be_changed_changes_no_outcome(self) -> None:
        faults = [Fault(error=TIME_OUT)] * 1000
        queues = FakeQueues(refused_receipts=frozenset({"receipt-1"}))
        results = Pipeline(FakeTable(faults=faults), queues).process(*distinct(3))
        details = {r.record.message_id: r.detail for r in results if isinstance(r, Retried)}
        assert len(details) == 3
        assert details["m-1"] == "ReadTimeoutError; put off: Expired"
        assert details["m-2"] == "ReadTimeoutError"
        assert set(queues.visibility) == {"receipt-0", "receipt-2"}

    def test_queue_that_is_away_changes_no_outcome(self) -> None:
        queues = FakeQueues(put_off_error=EndpointConnectionError(endpoint_url="https://sqs"))
        pipeline = Pipeline(FakeTable(faults=[Fault(error=TIME_OUT)] * 1000), queues)
        assert pipeline.outcomes(*distinct(3)) == [Outcome.RETRIED] * 3

    def test_defect_of_ours_holds_up_one_event_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def defective(text: str) -> Any:
            if '"S-1"' in text:
                raise ZeroDivisionError("a defect")
            return prepare_write(text)

        monkeypatch.setattr(batch_module, "prepare_write", defective)
        pipeline = Pipeline()
        settled = {result.record.message_id: result for result in pipeline.process(*distinct(3))}
        assert [settled[f"m-{number}"].outcome for number in range(3)] == [
            Outcome.STORED,
            Outcome.RETRIED,
            Outcome.STORED,
        ]
        assert isinstance(settled["m-1"], Retried)
        assert settled["m-1"].detail.endswith("ZeroDivisionError")
        assert "in defective" in settled["m-1"].detail
        assert settled["m-1"].correlation_id == "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
        assert set(pipeline.queues.visibility) == {"receipt-1"}
