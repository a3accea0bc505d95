"""The routes of the API. The OpenAPI document is drawn from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shipment_events.api.cursors import cursor_of, position_of
from shipment_events.api.parameters import (
    BEFORE,
    CURSOR,
    DEFAULT_LIMIT,
    ID,
    LIMIT,
    REQUIRED_SHIPMENT_ID,
    SHIPMENT_ID,
    STATUS,
    TRACKING_NUMBER,
    Parameter,
)
from shipment_events.api.paths import PATHS, route_key
from shipment_events.api.problems import invalid, not_found
from shipment_events.api.reads import INDEXES, Page, Reads
from shipment_events.api.representations import page_json

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A route: ``GET`` of a path.

    Attributes:
        operation: name of the operation, in ``PATHS``.
        summary: a sentence about it.
        parameters: those of path and query.
        result: schema of the response, by its name in the document.
        answer: gives the body. Its arguments are reads, stage and values of the parameters.
    """

    operation: str
    summary: str
    parameters: tuple[Parameter, ...]
    result: str
    answer: Callable[[Reads, str, Values], str]

    @property
    def path(self) -> str:
        """The path."""
        return PATHS[self.operation]

    @property
    def key(self) -> str:
        """API Gateway's key of the route."""
        return route_key(self.path)


def _get_shipment(reads: Reads, _: str, values: Values) -> str:
    shipment = reads.shipment(values["id"])
    if shipment is None:
        raise not_found("expected the id of a shipment that has events")
    return shipment


def _get_shipments(reads: Reads, stage: str, values: Values) -> str:
    chosen = [name for name in ("shipment_id", *INDEXES) if name in values]
    if len(chosen) != 1:
        raise invalid("query", f"expected exactly one of shipment_id, {', '.join(INDEXES)}")
    (attribute,) = chosen
    if attribute == "shipment_id":
        for name in ("before", "cursor"):
            if name in values:
                raise invalid(name, f"expected it only with {' or '.join(INDEXES)}")
        shipment = reads.shipment(values[attribute])
        return page_json("shipments", [shipment] if shipment else [], None)
    before = values.get("before")
    query = {
        "collection": "shipments",
        attribute: values[attribute],
        **({"before": before} if before else {}),
    }
    page = reads.shipments(
        attribute,
        values[attribute],
        before=before,
        after=_after(stage, query, values),
        limit=values.get("limit", DEFAULT_LIMIT),
    )
    return _page("shipments", page, stage, query)


def _get_events(reads: Reads, stage: str, values: Values) -> str:
    return _events(reads, stage, values["shipment_id"], values)


def _get_shipment_events(reads: Reads, stage: str, values: Values) -> str:
    body = _events(reads, stage, values["id"], values)
    if "cursor" not in values and body == _NO_EVENTS:
        raise not_found("expected the id of a shipment that has events")
    return body


def _events(reads: Reads, stage: str, shipment_id: str, values: Values) -> str:
    query = {"collection": "events", "shipment_id": shipment_id}
    limit = values.get("limit", DEFAULT_LIMIT)
    page = reads.events(shipment_id, after=_after(stage, query, values), limit=limit)
    return _page("events", page, stage, query)


def _after(stage: str, query: Mapping[str, str], values: Values) -> str | None:
    return position_of(values["cursor"], stage, query) if "cursor" in values else None


def _page(name: str, page: Page, stage: str, query: Mapping[str, str]) -> str:
    cursor = None if page.position is None else cursor_of(page.position, stage, query)
    return page_json(name, page.entries, cursor)


_NO_EVENTS: Final = page_json("events", [], None)

ROUTES: Final = (
    Route("getShipment", "The state of a shipment.", (ID,), "Shipment", _get_shipment),
    Route(
        "findShipments",
        "Shipments by exactly one of shipment_id, status and tracking_number. By status or number, the one"
        " with the latest event comes first.",
        (SHIPMENT_ID, STATUS, TRACKING_NUMBER, BEFORE, LIMIT, CURSOR),
        "Shipments",
        _get_shipments,
    ),
    Route(
        "getShipmentEvents",
        "The events of a shipment, in the order in which they happened.",
        (ID, LIMIT, CURSOR),
        "Events",
        _get_shipment_events,
    ),
    Route(
        "findEvents",
        "The events of a shipment with any id, in the order in which they happened.",
        (REQUIRED_SHIPMENT_ID, LIMIT, CURSOR),
        "Events",
        _get_events,
    ),
)
