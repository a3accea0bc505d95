"""Delivery of a stream's batch as AWS documents it, with a reader that keeps account."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from workbench.engine.stream_delivery import Record, Rules, deliver

ERROR: dict[str, Any] = {"error": True, "body": {"errorMessage": "boom"}}
FINE: dict[str, Any] = {"body": None}


def records(names: str, *, age: float = 0) -> list[Record]:
    """A record for each letter; the letter is its sequence number."""
    return [{"dynamodb": {"SequenceNumber": name}, "age": age} for name in names]


def names_of(some: Sequence[Record]) -> str:
    return "".join(record["dynamodb"]["SequenceNumber"] for record in some)


def reports(*identifiers: Any) -> dict[str, Any]:
    return {"body": {"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]}}


class Account:
    """A reader whose function answers as it is told, and that notes all that happens."""

    def __init__(self, function: Callable[[str], dict[str, Any]], *, stops_after: int = 50) -> None:
        self.function = function
        self.stops_after = stops_after
        self.invoked: list[str] = []
        self.discarded: list[tuple[str, str]] = []
        self.settled = ""
        self.waits = 0

    def active(self) -> bool:
        return len(self.invoked) < self.stops_after

    def age(self, record: Record) -> float:
        return float(record["age"])

    def invoke(self, some: Sequence[Record]) -> dict[str, Any]:
        self.invoked.append(names_of(some))
        return self.function(self.invoked[-1])

    def checkpoint(self, last: Record) -> None:
        name = names_of([last])
        assert name > self.settled, "a checkpoint never goes back"
        self.settled = name

    def discard(self, some: Sequence[Record], condition: str, _answer: Any) -> None:
        self.discarded.append((names_of(some), condition))

    def back_off(self) -> None:
        self.waits += 1


def once(*answers: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """A function that gives these answers and is fine afterwards."""
    left = list(answers)
    return lambda _names: left.pop(0) if left else FINE


PARTIAL = Rules(reports_failures=True)


def test_a_batch_that_succeeds_is_delivered_once() -> None:
    account = Account(once())
    assert deliver(records("abc"), PARTIAL, account)
    assert (account.invoked, account.settled, account.waits) == (["abc"], "c", 0)


def test_a_batch_of_which_the_filter_left_nothing_invokes_nothing() -> None:
    account = Account(once())
    assert deliver([], PARTIAL, account)
    assert account.invoked == []


@pytest.mark.parametrize(
    "body", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, "ok", [1]]
)
def test_an_answer_without_failures_is_a_success(body: Any) -> None:
    account = Account(once({"body": body}))
    deliver(records("abc"), PARTIAL, account)
    assert account.invoked == ["abc"]


def test_the_lowest_failed_number_and_all_after_it_come_again() -> None:
    account = Account(once(reports("c", "b")))
    deliver(records("abcd"), PARTIAL, account)
    assert account.invoked == ["abcd", "bcd"]
    assert account.settled == "d"


@pytest.mark.parametrize(
    "answer",
    [
        reports(""),
        reports(None),
        reports("z"),
        reports(["b"]),
        reports("c", "z"),
        {"body": {"batchItemFailures": [{"id": "b"}]}},
        {"body": {"batchItemFailures": ["b"]}},
        {"body": {"batchItemFailures": 1}},
    ],
)
def test_an_identifier_that_names_no_record_fails_the_whole_batch(answer: dict[str, Any]) -> None:
    account = Account(once(answer))
    deliver(records("abc"), PARTIAL, account)
    assert account.invoked == ["abc", "abc"]


def test_failures_are_not_read_where_the_mapping_does_not_ask_for_them() -> None:
    account = Account(once(reports("b")))
    deliver(records("abc"), Rules(), account)
    assert account.invoked == ["abc"]


def test_a_batch_is_given_up_after_its_retries_and_reported() -> None:
    account = Account(lambda names: reports("b") if "b" in names else FINE)
    deliver(records("abc"), Rules(reports_failures=True, retries=2), account)
    assert account.invoked == ["abc", "bc", "bc"]
    assert account.discarded == [("bc", "RetryAttemptsExhausted")]
    assert (account.settled, account.waits) == ("c", 2)


def test_without_a_limit_it_blocks() -> None:
    account = Account(lambda _names: ERROR)
    deliver(records("ab"), Rules(), account)
    assert account.invoked == ["ab"] * 50
    assert (account.settled, account.discarded) == ("", [])


def test_bisecting_finds_the_record_that_fails_and_costs_no_retry() -> None:
    account = Account(lambda names: ERROR if "f" in names else FINE)
    deliver(records("abcdefgh"), Rules(bisects=True, retries=1), account)
    assert account.invoked == ["abcdefgh", "abcd", "efgh", "ef", "e", "f", "f", "gh"]
    assert account.discarded == [("f", "RetryAttemptsExhausted")]
    assert (account.settled, account.waits) == ("h", 1)


def test_bisecting_splits_a_partial_failure_at_its_record() -> None:
    account = Account(lambda names: reports("c") if "c" in names else FINE)
    deliver(records("abcd"), Rules(reports_failures=True, bisects=True, retries=0), account)
    assert account.invoked == ["abcd", "cd", "c", "d"]
    assert account.discarded == [("c", "RetryAttemptsExhausted")]


def test_a_throttled_invocation_is_no_retry() -> None:
    throttled = {"error": True, "throttle": True}
    account = Account(once(throttled, throttled))
    deliver(records("ab"), Rules(bisects=True, retries=0), account)
    assert account.invoked == ["ab"] * 3
    assert (account.settled, account.discarded) == ("b", [])


def test_what_is_too_old_is_discarded_before_the_function_sees_it() -> None:
    account = Account(once())
    deliver([*records("ab", age=61), *records("c", age=60)], Rules(maximum_age=60), account)
    assert account.invoked == ["c"]
    assert account.discarded == [("ab", "RecordAgeExceeded")]


def test_a_mapping_that_ends_leaves_the_rest_without_a_checkpoint() -> None:
    account = Account(lambda _names: reports("b"), stops_after=2)
    assert not deliver(records("abc"), PARTIAL, account)
    assert (account.invoked, account.settled) == (["abc", "bc"], "a")


def test_the_rules_of_a_mapping() -> None:
    assert Rules.of({}) == Rules()
    assert Rules.of({"MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": -1}) == Rules()
    assert Rules.of(
        {
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": 0,
            "MaximumRecordAgeInSeconds": 60,
        }
    ) == Rules(reports_failures=True, bisects=True, retries=0, maximum_age=60)
