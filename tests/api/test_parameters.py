"""The parameters of a request: what is read, and what is refused with which name."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.api.parameters import read_parameters
from shipment_events.api.problems import ProblemError
from shipment_events.api.routes import ROUTES, Route

BY_KEY = {route.key: route for route in ROUTES}
FIND = BY_KEY["GET /shipments"]
GET = BY_KEY["GET /shipments/{id}"]
EVENTS = BY_KEY["GET /events"]

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(IDS)
def test_a_query_carries_any_id(shipment_id: str) -> None:
    for spelled in (quote(shipment_id, safe=""), quote_plus(shipment_id)):
        assert read_parameters(FIND.parameters, {}, f"shipment_id={spelled}") == {"shipment_id": shipment_id}


@given(IDS)
def test_a_path_carries_any_id_without_a_percent_sign(shipment_id: str) -> None:
    whole = shipment_id.replace("%", "")
    if whole:
        assert read_parameters(GET.parameters, {"id": whole}, "") == {"id": whole}
    with pytest.raises(ProblemError, match="shipment_id="):
        read_parameters(GET.parameters, {"id": shipment_id + "%"}, "")


@pytest.mark.parametrize(
    ("route", "path", "query", "name"),
    [
        (FIND, {}, "shipment_id=", "shipment_id"),
        (FIND, {}, "shipment_id=" + "%C3%BC" * 1025, "shipment_id"),
        (FIND, {}, "shipment_id=A&shipment_id=A", "shipment_id"),
        (FIND, {}, "shipment_id=%FF", "query"),
        (FIND, {}, "shipmentid=A", "query"),
        (FIND, {}, "id=A", "query"),
        (FIND, {}, "status=lost", "status"),
        (FIND, {}, "status=IN_TRANSIT", "status"),
        (FIND, {}, "status=in_transit&before=yesterday", "before"),
        (FIND, {}, "status=in_transit&before=2026-03-01T00:00:00", "before"),
        (FIND, {}, "status=in_transit&limit=0", "limit"),
        (FIND, {}, "status=in_transit&limit=101", "limit"),
        (FIND, {}, "status=in_transit&limit=-1", "limit"),
        (FIND, {}, "status=in_transit&limit=٣", "limit"),
        (FIND, {}, "&".join(f"a{n}=" for n in range(30)), "query"),
        (GET, {"id": "A%2FB"}, "", "id"),
        (GET, {"id": "x" * 2049}, "", "id"),
        (GET, {"id": "A"}, "id=B", "query"),
        (GET, {"id": "A"}, "limit=1", "query"),
        (EVENTS, {}, "limit=1", "shipment_id"),
    ],
)
def test_a_wrong_parameter_is_named(route: Route, path: dict[str, str], query: str, name: str) -> None:
    with pytest.raises(ProblemError) as caught:
        read_parameters(route.parameters, path, query)
    assert caught.value.body["parameter"] == name
    assert caught.value.body["status"] == 400
    assert f"{name}: expected" in caught.value.detail


def test_moments_get_the_form_of_the_table() -> None:
    values = read_parameters(
        FIND.parameters, {}, "status=delivered&before=2026-03-01T01:00%2B01:00&limit=100"
    )
    assert values == {"status": "delivered", "before": "2026-03-01T00:00:00.000000Z", "limit": 100}
