"""The shim that fails parts of requests: an answer stays one, and what failed did not reach the service."""

from random import Random
from typing import Any

import pytest

from workbench.drill.partial_faults import (
    FAILED_STATEMENTS,
    UNANSWERED_STATEMENTS,
    partial_fault,
)

SEEDS = range(40)


def faults(operation: str, request: dict[str, Any]) -> list[Any]:
    made = [partial_fault(operation, request, Random(seed)) for seed in SEEDS]
    assert all(fault is not None for fault in made)
    return made


def test_statements_that_fail_do_not_reach_the_table_and_the_others_keep_their_places() -> None:
    request = {"Statements": [{"Statement": f"s{number}"} for number in range(5)]}
    for fault in faults("BatchExecuteStatement", request):
        if fault.kind != FAILED_STATEMENTS:
            continue
        sent = [statement["Statement"] for statement in (fault.request or {"Statements": []})["Statements"]]
        answer = fault.complete({"Responses": [{"TableName": name} for name in sent]})
        assert len(answer["Responses"]) == 5
        for number, response in enumerate(answer["Responses"]):
            if "Error" in response:
                assert f"s{number}" not in sent
            else:
                assert response == {"TableName": f"s{number}"}
        assert any("Error" in response for response in answer["Responses"])


def test_statements_whose_answer_is_lost_were_executed() -> None:
    request = {"Statements": [{"Statement": "a"}, {"Statement": "b"}]}
    kinds = set()
    for fault in faults("BatchExecuteStatement", request):
        kinds.add(fault.kind)
        if fault.kind == UNANSWERED_STATEMENTS:
            assert fault.request == request
            answer = fault.complete({"Responses": [{}, {}]})
            assert {"Code": "InternalServerError", "Message": "made by the drill"} in [
                response.get("Error") for response in answer["Responses"]
            ]
    assert kinds == {FAILED_STATEMENTS, UNANSWERED_STATEMENTS}


def test_keys_are_read_or_named_as_unprocessed() -> None:
    keys = [{"pk": {"S": str(number)}} for number in range(4)]
    request = {"RequestItems": {"t": {"Keys": keys, "ConsistentRead": True}}}
    for fault in faults("BatchGetItem", request):
        read = fault.request["RequestItems"]["t"]["Keys"] if fault.request else []
        answer = fault.complete({"Responses": {"t": read}} if fault.request else {})
        unprocessed = answer["UnprocessedKeys"]["t"]
        assert unprocessed["ConsistentRead"] is True
        assert unprocessed["Keys"]
        assert sorted(map(str, [*read, *unprocessed["Keys"]])) == sorted(map(str, keys))
        assert answer["Responses"] == {"t": read}


def test_entries_are_accepted_or_have_an_error_in_their_place() -> None:
    request = {"Entries": [{"Detail": str(number)} for number in range(6)]}
    for fault in faults("PutEvents", request):
        sent = [entry["Detail"] for entry in (fault.request or {"Entries": []})["Entries"]]
        answer = fault.complete({"FailedEntryCount": 0, "Entries": [{"EventId": name} for name in sent]})
        assert answer["FailedEntryCount"] == 6 - len(sent) > 0
        for number, entry in enumerate(answer["Entries"]):
            assert entry.get("EventId") == (str(number) if str(number) in sent else None)


@pytest.mark.parametrize("operation", ["SendMessageBatch", "ChangeMessageVisibilityBatch"])
def test_messages_succeed_or_are_named_as_failed(operation: str) -> None:
    request = {"QueueUrl": "q", "Entries": [{"Id": str(number)} for number in range(3)]}
    for fault in faults(operation, request):
        sent = [entry["Id"] for entry in (fault.request or {"Entries": []})["Entries"]]
        answer = fault.complete({"Successful": [{"Id": name} for name in sent]})
        failed = [entry["Id"] for entry in answer["Failed"]]
        assert failed
        assert sorted([*failed, *sent]) == ["0", "1", "2"]


def test_other_operations_have_no_parts() -> None:
    assert partial_fault("DescribeEventBus", {}, Random(1)) is None
