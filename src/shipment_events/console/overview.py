"""The overview: is the pipeline healthy? Nothing here receives from a queue."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shipment_events.console.plots import Line, plot
from shipment_events.console.rendering import page
from shipment_events.console.state import Console, Read, console_of, panel, view
from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome
from shipment_events.watching.series import (
    Reasons,
    Series,
    Window,
    latency_series,
    logged_reasons,
    outcome_series,
    queue_series,
    tracking_series,
)
from shipment_events.watching.status import PipelineStatus
from shipment_events.watching.tracking_flow import TrackingSources

WINDOWS: Final[Mapping[str, Window]] = {
    "15m": Window(15, 60),
    "1h": Window(60, 60),
    "6h": Window(360, 300),
    "1d": Window(1440, 900),
}
_DEFAULT: Final = "15m"
_VERDICT_MINUTES: Final = 15
# SQS measures an age each minute, and CloudWatch has it within minutes.
_AGE_MINUTES: Final = 5
_CHANGES: Final = (Line("changes", "changes"), Line("again", "events tried again"))


def overview(request: Request) -> Response:
    """The page, whose panels come on their own."""
    return view(
        request,
        "overview.html",
        places=PLACES,
        windows=WINDOWS,
        chosen=_window_name(request),
        here="overview",
    )


@panel("Verdict")
def verdict(request: Request) -> Response:
    """What ``shipments status`` says, and what to do next."""
    console = console_of(request)
    found: PipelineStatus = console.memo.get("status", lambda: _status(console))
    return page("verdict.html", found=found, minutes=_VERDICT_MINUTES, console=console)


def _status(console: Console) -> PipelineStatus:
    return console.pipeline.status_reader(receives=False).read(_VERDICT_MINUTES)


@panel("Events")
def events(request: Request) -> Response:
    """Events a minute by outcome."""
    pipeline, now = console_of(request).pipeline, datetime.now(UTC)
    window = WINDOWS[_window_name(request)]
    found: Series = console_of(request).memo.get(
        ("events", window), lambda: outcome_series(pipeline.metrics, pipeline.log, window, now)
    )
    lines = [Line(outcome.value, outcome.value) for outcome in Outcome]
    shown = plot("Events a minute", found, lines, digits=1)
    return page(
        "events.html", shown=shown, totals=found.totals, minutes=window.minutes, **_measured(found, now)
    )


@panel("From the bus to the table")
def latency(request: Request) -> Response:
    """Time from the bus to the table."""
    pipeline, now = console_of(request).pipeline, datetime.now(UTC)
    window = WINDOWS[_window_name(request)]
    found: Series = console_of(request).memo.get(
        ("latency", window), lambda: latency_series(pipeline.metrics, pipeline.log, window, now)
    )
    shown = plot("Milliseconds", found, [Line("p50", "median"), Line("p99", "99th percentile")], unit="ms")
    return page("latency.html", shown=shown, minutes=window.minutes, **_measured(found, now))


@panel("Queue")
def queue(request: Request) -> Response:
    """Depth and age of the queue."""
    console, now = console_of(request), datetime.now(UTC)
    window = WINDOWS[_window_name(request)]
    depth = console.memo.get("depth", console.pipeline.queue.depth)
    console.samples.add(now, depth)
    found = console.memo.get(("queue", window), lambda: queue_series(console.pipeline.metrics, window, now))
    lines = [Line("waiting", "waiting"), Line("oldest_seconds", "oldest, in seconds")]
    oldest = None
    if found is None:
        found = console.samples.series(window.buckets(now), timedelta(seconds=window.bucket_seconds))
        lines = lines[:1]
    elif depth.total:
        # A bucket of the plot can be long, and has its highest age.
        since = now - timedelta(minutes=_AGE_MINUTES)
        oldest = console.memo.get(
            "oldest", lambda: console.pipeline.metrics.oldest_message_seconds(since, now)
        )
    shown = plot("Messages", found, lines)
    return page(
        "queue.html", shown=shown, depth=depth, oldest=oldest, age_minutes=_AGE_MINUTES,
        since=console.samples.since, minutes=window.minutes, **_measured(found, now),
    )  # fmt: skip


@panel("Dead letters")
def letters(request: Request) -> Response:
    """The count of dead letters, and the reasons that the log has."""
    console, now = console_of(request), datetime.now(UTC)
    pipeline = console.pipeline
    window = WINDOWS[_window_name(request)]
    depth = console.memo.get("letters", pipeline.dead_letters.depth)
    since = window.buckets(now)[0]
    found: Reasons = console.memo.get(("reasons", window), lambda: logged_reasons(pipeline.log, since, now))
    return page(
        "letters_panel.html", depth=depth, reasons=found.counts.most_common(8), is_whole=found.is_whole,
        minutes=window.minutes, now=now,
    )  # fmt: skip


@panel("From the table to the state")
def states(request: Request) -> Response:
    """Lag of the states, and what the tracker could not fold."""
    console, now = console_of(request), datetime.now(UTC)
    sources = console.pipeline.tracking_sources
    if sources is None:
        return page("untracked.html", title="From the table to the state")
    failures = console.memo.get("failures", sources.failures.depth)
    found, minutes = _tracked(request, sources, now)
    lines = [Line("p50", "median"), Line("p99", "99th percentile")]
    shown = plot("Milliseconds", found, lines, unit="ms")
    measured = _measured(found, now, "tracker")
    next_step = names.command(console.stage, "rebuild --failures")
    return page(
        "states.html",
        shown=shown,
        failures=failures.total,
        minutes=minutes,
        next_step=next_step,
        **measured,
    )


@panel("Changes")
def changes(request: Request) -> Response:
    """Changes of shipments that the tracker announced."""
    console, now = console_of(request), datetime.now(UTC)
    sources = console.pipeline.tracking_sources
    if sources is None:
        return page("untracked.html", title="Changes")
    found, minutes = _tracked(request, sources, now)
    shown = plot("Changes a minute", found, _CHANGES, digits=1)
    return page(
        "changes.html", shown=shown, totals=found.totals, minutes=minutes, **_measured(found, now, "tracker")
    )


def _tracked(request: Request, sources: TrackingSources, now: datetime) -> tuple[Series, int]:
    """What the tracker did, which two panels show, and the minutes of the window."""
    console, window = console_of(request), WINDOWS[_window_name(request)]
    found: Series = console.memo.get(
        ("tracked", window),
        lambda: tracking_series(console.pipeline.metrics, sources.log, window, now),
    )
    return found, window.minutes


@panel("Alarms")
def alarms(request: Request) -> Response:
    """The alarms, firing ones first."""
    console = console_of(request)
    found = console.memo.get("alarms", console.pipeline.metrics.alarms)
    return page("alarms.html", alarms=found, now=datetime.now(UTC))


@panel("Deployment")
def deployment(request: Request) -> Response:
    """When the stack was deployed last."""
    console = console_of(request)
    found = console.memo.get("deployment", console.pipeline.read_resources)
    return page(
        "deployment.html", found=found, now=datetime.now(UTC), version=version("shipment-events"),
    )  # fmt: skip


def _window_name(request: Request) -> str:
    chosen = request.query_params.get("window", _DEFAULT)
    return chosen if chosen in WINDOWS else _DEFAULT


def _measured(found: Series, now: datetime, function: str = "processor") -> dict[str, Any]:
    """Where the numbers of a panel come from, and when they were read."""
    sources = {
        "metrics": "CloudWatch metrics, which can be minutes old",
        "log": f"the {function}'s log",
        "page": "counts that this page took",
    }
    return {"source": sources[found.source], "is_whole": found.is_whole, "now": now}


@dataclass(frozen=True, slots=True)
class Place:
    """A panel of the overview.

    Attributes:
        read: its view, whose address is ``/panels/`` and the name.
        seconds: how often the page asks for it.
        is_wide: whether it has a plot.
    """

    name: str
    title: str
    read: Read
    seconds: int
    is_wide: bool = False


PLACES: Final = (
    Place("events", "Events", events, 15, is_wide=True),
    Place("latency", "From the bus to the table", latency, 15, is_wide=True),
    Place("queue", "Queue", queue, 10, is_wide=True),
    Place("states", "From the table to the state", states, 15, is_wide=True),
    Place("changes", "Changes", changes, 15, is_wide=True),
    Place("letters", "Dead letters", letters, 15),
    Place("alarms", "Alarms", alarms, 30),
    Place("deployment", "Deployment", deployment, 60),
)
ROUTES: Final = [
    Route("/", overview),
    Route("/panels/verdict", verdict),
    *(Route(f"/panels/{place.name}", place.read) for place in PLACES),
]
