"""``shipments status``."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shipment_events.cli.options import ago
from shipment_events.cli.presentation import LONGEST_SENTENCE, counts, output, printable, short
from shipment_events.contract.outcome import Outcome
from shipment_events.pipeline import Pipeline
from shipment_events.watching.status import Health, PipelineStatus, StatusReader
from shipment_events.watching.tracking_flow import TrackingStatus

_STYLES: Final = {Health.HEALTHY: "bold green", Health.BEHIND: "bold yellow", Health.FAILING: "bold red"}


@click.command()
@click.option(
    "--minutes", type=click.IntRange(1, 1440), default=15, show_default=True, help="Time to look back."
)
@click.option(
    "--watch", type=click.FloatRange(min=1), is_flag=False, flag_value=5.0, metavar="[SECONDS]",
    help="Repeat every SECONDS (5 if omitted) until Ctrl-C.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per reading.")
@click.pass_obj
def status(pipeline: Pipeline, *, minutes: int, watch: float | None, as_json: bool) -> None:
    """Show whether the pipeline is healthy, behind or failing.

    \b
    Examples:
      shipments status
      shipments --env prod status --watch

    Exit status: 0 healthy, 1 behind or failing. With --watch: 0 after Ctrl-C.
    """
    environment = pipeline.stage.environment
    reader = pipeline.status_reader()
    if watch is None:
        found = reader.read(minutes)
        if as_json:
            click.echo(json.dumps(_as_json(environment, found)))
        else:
            output().print(_view(environment, found))
        if found.health is not Health.HEALTHY:
            sys.exit(1)
        return
    try:
        _watch(environment, reader, minutes, watch, as_json=as_json)
    except KeyboardInterrupt:
        return


def _watch(environment: str, reader: StatusReader, minutes: int, seconds: float, *, as_json: bool) -> None:
    if as_json:
        while True:
            click.echo(json.dumps(_as_json(environment, reader.read(minutes))))
            time.sleep(seconds)
    with Live(console=Console(), screen=False, auto_refresh=False) as live:
        while True:
            live.update(_view(environment, reader.read(minutes)), refresh=True)
            time.sleep(seconds)


def _view(environment: str, found: PipelineStatus) -> RenderableType:
    head = Text.assemble(
        (f"{environment}: {found.health}", _STYLES[found.health]), f"  at {found.at:%Y-%m-%d %H:%M:%SZ}"
    )
    parts: list[RenderableType] = [head]
    parts += [
        Text(
            f"  {printable(trouble.what, most=LONGEST_SENTENCE)}. Next: {short(trouble.next_step)}",
            _STYLES[trouble.health],
        )
        for trouble in found.troubles
    ]
    minutes = (found.at - found.since).total_seconds() / 60
    flow = found.flow
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    settled = counts({outcome.value: flow.counts[outcome] for outcome in Outcome})
    more = "" if flow.is_whole else ", and more: only a part of the log was read"
    table.add_row(f"last {minutes:.0f} min", f"{flow.total / minutes:,.1f} events/min: {settled}{more}")
    latency = flow.latency_ms
    table.add_row(
        "bus to table",
        f"p50 {latency[0]:,.0f} ms, p99 {latency[1]:,.0f} ms (slowest of a batch)" if latency else "unknown",
    )
    table.add_row("waiting", f"{found.queue.visible:,} visible, {found.queue.in_flight:,} in flight")
    oldest = "unknown" if found.oldest_seconds is None else f"{found.oldest_seconds:,.0f} s"
    table.add_row("oldest message", oldest)
    letters = counts(dict(sorted(found.dead_letters_by_reason.items())))
    table.add_row("dead letters", Text(f"{found.dead_letters.total:,}  {letters}"))
    for name, text in _tracking_rows(found.tracking, minutes):
        table.add_row(name, text)
    alarms = ", ".join(f"{short(alarm.name)} ({ago(alarm.since)})" for alarm in found.firing)
    table.add_row("alarms", Text(alarms or "none"))
    table.add_row("last deploy", f"{found.deployed_at:%Y-%m-%d %H:%M:%SZ} ({ago(found.deployed_at)})")
    source = "CloudWatch metrics" if flow.source == "metrics" else "the processor's log"
    table.add_row("numbers from", f"{source}; queue counts, which can be a minute old on AWS")
    return Group(*parts, "", table)


def _tracking_rows(tracking: TrackingStatus | None, minutes: float) -> Iterator[tuple[str, str]]:
    if tracking is None:
        yield "states", "none: the stage does not track shipments"
        return
    flow = tracking.flow
    folded, announced = (f"{count / minutes:,.1f}" for count in (flow.folded, flow.announced))
    more = "" if flow.is_whole else ", and more: only a part of the log was read"
    again = f", {flow.unsettled:,} tried again" if flow.unsettled else ""
    yield "states", f"{folded} events/min, {announced} changes/min{again}{more}"
    lag = flow.lag_ms
    yield (
        "table to state",
        (f"p50 {lag[0]:,.0f} ms, p99 {lag[1]:,.0f} ms (slowest of a batch)" if lag else "unknown"),
    )
    yield "tracker failures", f"{tracking.failures.total:,}"


def _tracking_json(tracking: TrackingStatus | None) -> dict[str, Any] | None:
    if tracking is None:
        return None
    flow = tracking.flow
    return {
        "folded": flow.folded,
        "changes": flow.announced,
        "unsettled": flow.unsettled,
        "source": flow.source,
        "whole": flow.is_whole,
        "lag_ms": {"p50": flow.lag_ms[0], "p99": flow.lag_ms[1]} if flow.lag_ms else None,
        "failures": tracking.failures.total,
    }


def _as_json(environment: str, found: PipelineStatus) -> dict[str, Any]:
    flow = found.flow
    return {
        "environment": environment,
        "at": found.at.isoformat(timespec="seconds"),
        "health": found.health.value,
        "troubles": [
            {"health": trouble.health.value, "what": trouble.what, "next_step": trouble.next_step}
            for trouble in found.troubles
        ],
        "since": found.since.isoformat(timespec="seconds"),
        "outcomes": {outcome.value: flow.counts[outcome] for outcome in Outcome},
        "retry_errors": dict(found.retry_errors),
        "outcomes_source": flow.source,
        "outcomes_whole": flow.is_whole,
        "latency_ms": {"p50": flow.latency_ms[0], "p99": flow.latency_ms[1]} if flow.latency_ms else None,
        "waiting": found.queue.visible,
        "in_flight": found.queue.in_flight,
        "oldest_seconds": found.oldest_seconds,
        "dead_letters": found.dead_letters.total,
        "dead_letters_by_reason": dict(found.dead_letters_by_reason),
        "tracking": _tracking_json(found.tracking),
        "alarms": [{"name": alarm.name, "since": alarm.since.isoformat()} for alarm in found.firing],
        "deployed_at": found.deployed_at.isoformat(timespec="seconds"),
    }
