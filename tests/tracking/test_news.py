"""What one stored event says, and what is odd about it."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from shipment_events.contract.event import parse_event
from shipment_events.table.item import ATTRIBUTES, ItemTimes, Write, parameters_json
from shipment_events.tracking.news import Finding, News, UnfoldableError, news_of, news_of_item
from tests.tracking.histories import NOON, stored, text
from tests.tracking.small_tracker import RETENTION

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef


def item_of(**fields: Any) -> "dict[str, AttributeValueTypeDef]":
    """The item that the processor writes of an event."""
    event = parse_event(
        {"shipment_id": "S-1", "event_timestamp": text(NOON), "event_type": "shipment.arrived", **fields}
    )
    values = parameters_json(Write.of(event, "c"), ItemTimes.of(NOON, RETENTION), shards=8)
    return dict(zip(ATTRIBUTES, json.loads(values), strict=True))


def news(**fields: Any) -> News:
    found = news_of(stored(NOON, "a", **fields))
    assert found
    return found


def test_item_of_the_processor_is_read_also_from_a_sharded_index() -> None:
    found = news_of_item(item_of(event_id="e#1", carrier="DHL", location={"n": Decimal("1.5")}))
    assert found == News(
        place="2025-03-01T12:00:00.000000Z3#e#1",
        stored_at="2025-03-01T12:00:00.000000Z",
        values={"carrier": "DHL"},
        summary={"event_id": "e#1", "event_type": "shipment.arrived", "location": {"n": Decimal("1.5")}},
    )


def test_copy_of_a_conflict_does_not_count() -> None:
    assert news_of(stored(NOON, "a", status="CONFLICT")) is None


@pytest.mark.parametrize(
    ("fields", "findings"),
    [
        ({"estimated_delivery": "2025-03-05"}, (Finding.INVALID_ESTIMATE,)),
        ({"estimated_delivery": Decimal(1)}, (Finding.INVALID_ESTIMATE,)),
        ({"estimated_delivery": None, "retracts": None}, ()),
        ({"retracts": ""}, (Finding.INVALID_RETRACTION,)),
        ({"retracts": "x" * 901}, (Finding.INVALID_RETRACTION,)),
        ({"retracts": ["a"]}, (Finding.INVALID_RETRACTION,)),
        ({"event_type": "shipment.manifested", "word": "IN_TRANSIT"}, (Finding.CONTRADICTION,)),
        ({"stored_at": NOON - timedelta(days=1, microseconds=1)}, (Finding.FUTURE,)),
    ],
)
def test_what_is_odd_is_counted(fields: dict[str, Any], findings: tuple[Finding, ...]) -> None:
    assert news(**fields).findings == findings


def test_invalid_retraction_is_news_like_any_other_event() -> None:
    assert news(retracts=1).is_news
    assert not news(retracts="a").is_news


def test_retraction_has_no_status_of_its_own() -> None:
    """So it is folded before the news of the same moment, whatever it repeats of what it voids."""
    assert news(retracts="a", word="DELIVERED").place == "2025-03-01T12:00:00.000000Z0#a"


def test_estimate_is_told_in_utc() -> None:
    found = news(estimated_delivery="2025-03-05T12:00+01:00")
    assert found.values == {"estimated_delivery": "2025-03-05T11:00:00.000000Z"}


@pytest.mark.parametrize(
    "spoilt",
    [
        {"detail": {"M": {}}},
        {"detail": {"S": "x"}},
        {"detail": {"M": {"event_type": {"N": "1"}}}},
        {"processing": {"M": {"content_hash": {"S": "x"}}}},
        {"processing": {"M": {name: {"S": "x"} for name in ("content_hash", "correlation_id", "stored_at")}}},
        {"event_timestamp": {"S": "2025-03-01#a"}},
        {"event_timestamp": {"N": "1"}},
        {"event_timestamp": {}},
        {"processing_status": {"NULL": True}},
        {"detail": {"M": {"event_type": {"S": "shipment.x"}, "location": {"B": b"x"}}}},
    ],
)
def test_foreign_item_is_refused_with_a_reason(spoilt: "dict[str, Any]") -> None:
    with pytest.raises(UnfoldableError, match="expected"):
        news_of_item(item_of(event_id="a") | spoilt)
