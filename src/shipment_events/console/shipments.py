"""One shipment: where it is, what has happened to it, and what is known of each event."""

import shlex
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shipment_events.console.history import history
from shipment_events.console.rendering import page
from shipment_events.console.state import Console, console_of, panel, view
from shipment_events.contract import names
from shipment_events.contract.limits import MAX_SHIPMENT_ID_BYTES
from shipment_events.contract.moments import utc_text
from shipment_events.dead_letters.letters import Reading
from shipment_events.tracking.delays import is_overdue, is_stalled, silent_since
from shipment_events.watching.trace import trace

MOST_EVENTS: Final = 1_000
_TRACE_DAYS: Final = 1


def shipment(request: Request) -> Response:
    """One shipment."""
    shipment_id = request.path_params["shipment_id"]
    return view(
        request, "shipment.html", here="shipments", shipment_id=shipment_id, query=_query(shipment_id)
    )


@panel("Current state")
def state(request: Request) -> Response:
    """Where a shipment is."""
    shipment_id, now = request.query_params.get("id", ""), datetime.now(UTC)
    pipeline = console_of(request).pipeline
    found = pipeline.shipments.get(shipment_id)
    late = []
    if found:
        silent = silent_since(now, pipeline.stage.stalled_after_hours)
        if is_stalled(found.status, found.latest_at, silent):
            late.append("stalled")
        if is_overdue(found.status, found.estimated_delivery, utc_text(now)):
            late.append("overdue")
    return page(
        "state.html",
        shipment=found,
        latest=(found and found.latest_event) or {},
        late=late,
        table=pipeline.shipments.name,
        now=now,
    )


@panel("History")
def timeline(request: Request) -> Response:
    """The events of a shipment."""
    shipment_id = request.query_params.get("id", "")
    console = console_of(request)
    pipeline = console.pipeline
    can_exist = 0 < len(shipment_id.encode()) <= MAX_SHIPMENT_ID_BYTES
    newest = pipeline.table.timeline(shipment_id, latest_first=True)
    found = list(islice(newest, MOST_EVENTS + 1)) if can_exist else []
    is_whole = len(found) <= MOST_EVENTS
    with_effects = is_whole and bool(pipeline.resources.shipments_table_name)
    return page(
        "timeline.html",
        shipment_id=shipment_id,
        entries=history(shipment_id, reversed(found[:MOST_EVENTS]), with_effects=with_effects),
        is_whole=is_whole,
        command=names.command(console.stage, f"timeline {shlex.quote(shipment_id)}"),
        days=pipeline.stage.event_retention_days,
        by_arrival=request.query_params.get("order") == "arrival",
        query=_query(shipment_id),
        now=datetime.now(UTC),
    )


@panel("Trace")
def traced(request: Request) -> Response:
    """What the log and the read dead letters know of a shipment, or of one of its events.

    An event is named by its correlation id.
    """
    console = console_of(request)
    shipment_id, event = request.query_params.get("id", ""), request.query_params.get("event", "")
    since = datetime.now(UTC) - timedelta(days=_TRACE_DAYS)
    sources = console.pipeline.trace_sources(letters=_AsRead(console))
    found = trace(event or shipment_id, sources, since, shipment_id)
    return page(
        "trace.html",
        steps=found.steps,
        is_whole=found.is_whole,
        days=_TRACE_DAYS,
        event=event,
        query=_query(shipment_id),
        read_at=console.shelf.read_at,
    )


def _query(shipment_id: str) -> str:
    return f"id={quote(shipment_id, safe='')}"


class _AsRead:
    """The dead letters that a person has read. A trace here must not receive any."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def read(self) -> Reading:
        return Reading(self._console.shelf.letters())


ROUTES: Final = [
    Route("/panels/state", state),
    Route("/panels/timeline", timeline),
    Route("/panels/trace", traced),
    Route("/shipments/{shipment_id:path}", shipment),
]
