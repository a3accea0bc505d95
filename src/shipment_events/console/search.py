"""Shipments by their id or tracking number, of a status, stalled or overdue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shipment_events.console.rendering import page, segment
from shipment_events.console.state import Console, console_of, panel, view
from shipment_events.contract.limits import MAX_SHIPMENT_ID_BYTES
from shipment_events.pipeline import Pipeline
from shipment_events.tracking.reader import InvalidSearchError
from shipment_events.tracking.shipment import Shipment
from shipment_events.tracking.vocabulary import STATUSES

_SHOWN: Final = 100
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Choice:
    """A list that the page offers.

    Attributes:
        query: the query of its address. The names are those of the options of ``shipments list``.
        search: arguments for ``Shipments.find``.
        order: what its order is, for people.
    """

    query: str
    label: str
    search: Mapping[str, Any]
    order: str = "latest news first"


_SILENT: Final = "longest without news first"
CHOICES: Final = (
    Choice("stalled=1", "stalled", {"stalled": True}, _SILENT),
    Choice("overdue=1", "overdue", {"overdue": True}, _SILENT),
    *(Choice(f"status={one}", one.replace("_", " "), {"status": one}) for one in STATUSES),
)


def shipments(request: Request) -> Response:
    """Search a shipment, or list some."""
    return view(
        request,
        "shipments.html",
        here="shipments",
        wanted=_wanted(request),
        choices=CHOICES,
        chosen=_chosen(request),
        limit=_limit(request),
    )


@panel("Search")
def found(request: Request) -> Response:
    """What a search finds. A single shipment is shown at once."""
    console, wanted = console_of(request), _wanted(request)
    by_number = list(_by_number(console.pipeline, wanted))
    has_id = _is_shipment(console, wanted)
    ids = dict.fromkeys([wanted] if has_id else []) | dict.fromkeys(one.shipment_id for one in by_number)
    answer = page(
        "found.html",
        wanted=wanted,
        has_id=has_id,
        shipments=by_number[:_SHOWN],
        is_whole=len(by_number) <= _SHOWN,
        shown=_SHOWN,
        tracks=bool(console.pipeline.resources.shipments_table_name),
        now=datetime.now(UTC),
    )
    if len(ids) == 1:
        answer.headers["HX-Redirect"] = f"/shipments/{segment(next(iter(ids)))}"
    return answer


def _is_shipment(console: Console, wanted: str) -> bool:
    """Whether events of a shipment with this id are stored. Its state may be missing for a moment."""
    if not 0 < len(wanted.encode()) <= MAX_SHIPMENT_ID_BYTES:
        return False
    return next(console.pipeline.table.timeline(wanted), None) is not None


def _by_number(pipeline: Pipeline, wanted: str) -> Iterator[Shipment]:
    if not wanted or not pipeline.resources.shipments_table_name:
        return
    try:
        yield from pipeline.shipments.find(tracking_number=wanted, limit=_SHOWN + 1)
    except InvalidSearchError:
        # No shipment can have a number of this length.
        return


@panel("Shipments")
def listed(request: Request) -> Response:
    """The shipments of a list."""
    choice, limit = _chosen(request) or CHOICES[0], _limit(request)
    shipments = list(console_of(request).pipeline.shipments.find(**choice.search, limit=limit + 1))
    return page(
        "listed.html",
        choice=choice,
        shipments=shipments[:limit],
        is_whole=len(shipments) <= limit,
        next_limit=min(limit * 5, _MOST) if limit < _MOST else None,
        now=datetime.now(UTC),
    )


def _wanted(request: Request) -> str:
    return request.query_params.get("q", "").strip()


def _chosen(request: Request) -> Choice | None:
    queries = {f"{name}={value}" for name, value in request.query_params.items()}
    return next((one for one in CHOICES if one.query in queries), None)


def _limit(request: Request) -> int:
    given = request.query_params.get("limit", "")
    return min(max(int(given), 1), _MOST) if given.isdecimal() and len(given) < 7 else _SHOWN


ROUTES: Final = [
    Route("/shipments", shipments),
    Route("/panels/search", found),
    Route("/panels/list", listed),
]
