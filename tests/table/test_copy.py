"""Copying back what is missing: what DynamoDB may answer in between."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from shipment_events.table.copy import Copied, copy_missing

NOW: Final = datetime(2026, 5, 4, 10, tzinfo=UTC)


def item(number: int, **more: Any) -> dict[str, Any]:
    return {
        "shipment_id": {"S": f"S-{number}"},
        "event_timestamp": {"S": "2026-05-04T10:00:00.000000Z#1"},
        "expires_at": {"N": str(int(NOW.timestamp()) + 1)},
        **more,
    }


def event(content: str, *, beside: bool = False, by: str = "first") -> dict[str, Any]:
    """An item of the processor. All these events have one identity; ``by`` is the delivery that stored it."""
    return item(
        1,
        event_timestamp={"S": f"2026-05-04T10:00:00.000000Z#1{f'#{content}' if beside else ''}"},
        processing_status={"S": "CONFLICT#3" if beside else "PROCESSED#3"},
        processing={"M": {"content_hash": {"S": content}, "correlation_id": {"S": by}}},
    )


def key(item: dict[str, Any]) -> tuple[str, str]:
    return item["shipment_id"]["S"], item["event_timestamp"]["S"]


class Tables:
    """Two tables by name, behind as much of a DynamoDB client as is called."""

    def __init__(self, restored: Sequence[dict[str, Any]], live: Sequence[dict[str, Any]] = ()) -> None:
        self.restored = list(restored)
        self.live = {key(each): each for each in live}
        self.appears: dict[str, Any] | None = None
        """Stored by the pipeline between our look and our write."""
        self.most_keys = 100
        self.refusal = "ConditionalCheckFailedException"

    def get_paginator(self, operation: str) -> "Tables":
        assert operation == "scan"
        return self

    def paginate(self, *, TableName: str, ConsistentRead: bool) -> Iterator[dict[str, Any]]:  # noqa: N803 - AWS's names
        assert (TableName, ConsistentRead) == ("restored", True)
        yield {"Items": self.restored}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - AWS's name
        keys = RequestItems["live"]["Keys"]
        assert 1 <= len(keys) <= 100
        now, later = keys[: self.most_keys], keys[self.most_keys :]
        assert len({key(each) for each in keys}) == len(keys), "the service refuses a key that is there twice"
        found = [self.live[key(each)] for each in now if key(each) in self.live]
        if self.appears is not None:
            self.live[key(self.appears)] = self.appears
        left = {"live": {**RequestItems["live"], "Keys": later}} if later else {}
        return {"Responses": {"live": found}, "UnprocessedKeys": left}

    def put_item(self, *, TableName: str, Item: dict[str, Any], ConditionExpression: str, **_: Any) -> None:  # noqa: N803 - AWS's names
        assert (TableName, ConditionExpression) == ("live", "attribute_not_exists(shipment_id)")
        if key(Item) in self.live or self.refusal == "AccessDeniedException":
            raise ClientError({"Error": {"Code": self.refusal}}, "PutItem")
        self.live[key(Item)] = Item


def copied(tables: Tables, *, trial: bool = False) -> Copied:
    (*_, last) = copy_missing(tables, "restored", "live", NOW, trial=trial)  # type: ignore[arg-type]
    return last


def test_all_are_compared_when_the_service_answers_in_parts() -> None:
    tables = Tables([item(n) for n in range(250)], [item(n) for n in range(0, 250, 2)])
    tables.most_keys = 30
    assert copied(tables) == Copied(copied=125, present=125)
    assert len(tables.live) == 250


def test_keys_that_were_not_processed_are_asked_for_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table throttles: asking again at once would go on for ever."""
    slept: list[float] = []
    monkeypatch.setattr("shipment_events.table.copy.time.sleep", slept.append)
    tables = Tables([item(n) for n in range(50)])
    tables.most_keys = 10
    assert copied(tables).copied == 50
    assert len(slept) == 4
    assert min(slept) > 0


@pytest.mark.parametrize("expires_at", [{}, {"expires_at": {"S": "never"}}])
def test_an_item_that_never_expires_is_copied(expires_at: dict[str, Any]) -> None:
    """Somebody wrote it by hand."""
    foreign = {name: value for name, value in item(1).items() if name != "expires_at"} | expires_at
    tables = Tables([foreign])
    assert copied(tables) == Copied(copied=1)
    assert list(tables.live.values()) == [foreign]


def test_an_event_that_the_pipeline_stores_meanwhile_is_not_overwritten() -> None:
    tables = Tables([item(1)])
    tables.appears = item(1, by={"S": "pipeline"})
    assert copied(tables) == Copied(different=1)
    assert list(tables.live.values()) == [tables.appears]


@pytest.mark.parametrize("meanwhile", [False, True])
def test_an_event_that_was_published_again_is_there(meanwhile: bool) -> None:
    again = event("a", by="second")
    tables = Tables([event("a")], [] if meanwhile else [again])
    tables.appears = again if meanwhile else None
    assert copied(tables) == Copied(present=1)
    assert list(tables.live.values()) == [again]


@pytest.mark.parametrize("meanwhile", [False, True])
def test_an_event_whose_key_was_taken_comes_back_beside_it(meanwhile: bool) -> None:
    tables = Tables([event("a")], [] if meanwhile else [event("b")])
    tables.appears = event("b") if meanwhile else None
    assert copied(tables) == Copied(conflict=1)
    assert list(tables.live.values()) == [event("b"), event("a", beside=True)]
    assert copied(tables) == Copied(present=1), "a second run finds it"


def test_a_conflict_that_has_its_own_place_now_is_not_doubled() -> None:
    """Both were lost, and the second was published again first."""
    tables = Tables([event("a"), event("b", beside=True)], [event("b", by="second")])
    assert copied(tables) == Copied(conflict=1, present=1)
    assert list(tables.live.values()) == [event("b", by="second"), event("a", beside=True)]


def test_an_event_and_the_conflict_beside_it_come_back_as_they_were() -> None:
    restored = [event("a"), event("b", beside=True)]
    tables = Tables(restored)
    assert copied(tables) == Copied(copied=2)
    assert list(tables.live.values()) == restored


def test_a_trial_writes_nothing() -> None:
    tables = Tables([item(1), item(2, expires_at={"N": str(int(NOW.timestamp()))})])
    assert copied(tables, trial=True) == Copied(copied=1, expired=1)
    assert not tables.live


def test_what_else_goes_wrong_is_no_count() -> None:
    tables = Tables([item(1)])
    tables.refusal = "AccessDeniedException"
    with pytest.raises(ClientError, match="AccessDenied"):
        copied(tables)


def test_a_batch_is_counted_before_the_next_is_read() -> None:
    progress = [
        (each.copied, each.present)
        for each in copy_missing(Tables([item(n) for n in range(150)]), "restored", "live", NOW)  # type: ignore[arg-type]
    ]
    assert progress == [(50, 0), (100, 0), (150, 0)]
