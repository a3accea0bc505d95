"""When a shipment is stalled or overdue. The bounds count: a parcel must not be both in time and late."""

from datetime import timedelta

import pytest

from shipment_events.contract.moments import utc_text
from shipment_events.tracking.delays import is_overdue, is_stalled, silent_since
from shipment_events.tracking.vocabulary import STATUSES
from tests.tracking.histories import NOON

LIMIT = silent_since(NOON, 48)
NOW = utc_text(NOON)


def test_limit_is_the_stages_hours_ago() -> None:
    assert utc_text(NOON - timedelta(days=2)) == LIMIT


@pytest.mark.parametrize("status", [None, *STATUSES])
def test_stalls_only_while_the_carrier_has_it(status: str | None) -> None:
    can = status in ("picked_up", "in_transit", "exception", "out_for_delivery")
    assert is_stalled(status, LIMIT, LIMIT) is can


@pytest.mark.parametrize(
    ("latest_at", "stalled"),
    [(utc_text(NOON - timedelta(days=2, microseconds=-1)), False), (LIMIT, True), (None, False)],
)
def test_stalled_from_the_limit_on(latest_at: str | None, stalled: bool) -> None:
    assert is_stalled("in_transit", latest_at, LIMIT) is stalled


@pytest.mark.parametrize("status", [None, *STATUSES])
def test_finished_shipment_is_never_overdue(status: str | None) -> None:
    finished = status in ("delivered", "returned", "cancelled")
    assert is_overdue(status, "2000-01-01T00:00:00.000000Z", NOW) is not finished


@pytest.mark.parametrize(
    ("expected", "overdue"),
    [(NOW, False), (utc_text(NOON - timedelta(microseconds=1)), True), (None, False)],
)
def test_overdue_after_the_estimate(expected: str | None, overdue: bool) -> None:
    assert is_overdue("in_transit", expected, NOW) is overdue
