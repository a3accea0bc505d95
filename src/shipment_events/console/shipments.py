"""Shipments: where is a parcel, and what has happened to it?"""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shipment_events.console.history import history
from shipment_events.console.rendering import page, segment
from shipment_events.console.state import Console, console_of, panel, view
from shipment_events.dead_letters.letters import Reading
from shipment_events.watching.trace import Sources, trace

MOST_EVENTS: Final = 1_000
_TRACE_DAYS: Final = 1


def shipments(request: Request) -> Response:
    """Search a shipment."""
    wanted = request.query_params.get("q", "").strip()
    return view(request, "shipments.html", here="shipments", wanted=wanted)


@panel("Search")
def search(request: Request) -> Response:
    """What a search finds."""
    wanted = request.query_params.get("q", "").strip()
    table = console_of(request).pipeline.table
    if wanted and next(table.timeline(wanted), None) is not None:
        answer = page("search.html", wanted=wanted, found=[wanted])
        answer.headers["HX-Redirect"] = f"/shipments/{segment(wanted)}"
        return answer
    return page("search.html", wanted=wanted, found=[])


def shipment(request: Request) -> Response:
    """One shipment."""
    shipment_id = request.path_params["shipment_id"]
    return view(
        request,
        "shipment.html",
        here="shipments",
        shipment_id=shipment_id,
        query=f"id={quote(shipment_id, safe='')}",
    )


@panel("History")
def timeline(request: Request) -> Response:
    """The events of a shipment."""
    shipment_id = request.query_params.get("id", "")
    table = console_of(request).pipeline.table
    found = list(islice(table.timeline(shipment_id), MOST_EVENTS + 1)) if shipment_id else []
    return page(
        "timeline.html",
        shipment_id=shipment_id,
        entries=history(found[:MOST_EVENTS]),
        is_whole=len(found) <= MOST_EVENTS,
        most=MOST_EVENTS,
        by_arrival=request.query_params.get("order") == "arrival",
        query=f"id={quote(shipment_id, safe='')}",
        now=datetime.now(UTC),
    )


@panel("Trace")
def traced(request: Request) -> Response:
    """What the log and the read dead letters know of a shipment."""
    console = console_of(request)
    shipment_id = request.query_params.get("id", "")
    since = datetime.now(UTC) - timedelta(days=_TRACE_DAYS)
    pipeline = console.pipeline
    tracker_log = pipeline.tracker_log if pipeline.resources.shipments_table_name else None
    sources = Sources(pipeline.table, _AsRead(console), pipeline.log, tracker_log=tracker_log)
    found = trace(shipment_id, sources, since)
    return page(
        "trace.html",
        steps=found.steps,
        is_whole=found.is_whole,
        days=_TRACE_DAYS,
        read_at=console.shelf.read_at,
    )


class _AsRead:
    """The dead letters that a person has read. A trace here must not receive any."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def read(self) -> Reading:
        return Reading(self._console.shelf.letters())


ROUTES: Final = [
    Route("/shipments", shipments),
    Route("/panels/search", search),
    Route("/panels/timeline", timeline),
    Route("/panels/trace", traced),
    Route("/shipments/{shipment_id:path}", shipment),
]
