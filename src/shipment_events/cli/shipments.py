"""``shipments where`` and ``shipments list``."""

import shlex
import sys
from datetime import datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from shipment_events.cli.options import NonEmptyText, ago, command
from shipment_events.cli.presentation import (
    LONGEST_SENTENCE,
    json_line,
    output,
    place,
    print_table,
    printable,
    short,
)
from shipment_events.pipeline import Pipeline
from shipment_events.tracking.shipment import Shipment
from shipment_events.tracking.vocabulary import STATUSES


@click.command()
@click.argument("shipment_id", type=NonEmptyText())
@click.option("--json", "as_json", is_flag=True, help="Print the state as one JSON object.")
@click.pass_obj
def where(pipeline: Pipeline, shipment_id: str, *, as_json: bool) -> None:
    """Show where a shipment is: its current state.

    \b
    Example:
      shipments where C2K-00030

    Exit status: 0 there is a state, 1 there is none.
    """
    shipments = pipeline.shipments
    found = shipments.get(shipment_id)
    if found is None:
        click.echo(f"{shipments.name} has no shipment {printable(repr(shipment_id))}.", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json_line(found.as_json))
        return
    console = output()
    console.print(_view(found))
    if short(shipment_id) == shipment_id:
        console.print(Text(f"All its events: {command(f'timeline {shlex.quote(shipment_id)}')}", "dim"))


@click.command(name="list")
@click.option("--status", type=click.Choice(STATUSES, case_sensitive=False), help="Shipments of this status.")
@click.option("--stalled", is_flag=True, help="Shipments under way without news for too long.")
@click.option("--overdue", is_flag=True, help="Open shipments whose estimated delivery is past.")
@click.option("--tracking-number", type=NonEmptyText(), metavar="TEXT", help="Shipments with this number.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Maximum number.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per shipment.")
@click.pass_obj
def list_command(
    pipeline: Pipeline,
    *,
    status: str | None,
    stalled: bool,
    overdue: bool,
    tracking_number: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List shipments by status or tracking number, or late ones.

    Give one of --status, --stalled, --overdue and --tracking-number. With --status and --tracking-number, the
    shipment with the latest news comes first, else the one without news for the longest time. A change of a
    moment ago may be missing.

    \b
    Examples:
      shipments list --stalled
      shipments list --status exception --limit 1000 --json

    Exit status: 0 shipments were found, 1 none was found.
    """
    if sum((status is not None, stalled, overdue, tracking_number is not None)) != 1:
        raise click.UsageError("give one of --status, --stalled, --overdue and --tracking-number.")
    shipments = pipeline.shipments
    found = list(
        shipments.find(
            status=status, stalled=stalled, overdue=overdue, tracking_number=tracking_number, limit=limit + 1
        )
    )
    shown = found[:limit]
    if as_json:
        for shipment in shown:
            click.echo(json_line(shipment.as_json))
    elif shown:
        print_table(output(), _table(shown))
    if len(found) > limit:
        click.echo(f"These are the first {limit:,} shipments. Raise --limit to see more.", err=True)
    if not found:
        click.echo(f"{shipments.name} has no such shipment.", err=True)
        sys.exit(1)


def _view(found: Shipment) -> Table:
    latest: Any = found.latest_event or {}
    title = Text(f"Shipment {short(found.shipment_id)}")
    table = Table(show_header=False, box=None, pad_edge=False, title=title, title_justify="left")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    what = " ".join(filter(None, (short(latest.get("event_type")), short(latest.get("event_id")))))
    rows = {
        "status": found.status or "unknown: no event has given one",
        "since": _when(found.status_at),
        "last seen": place(latest.get("location")),
        "estimated delivery": _when(found.estimated_delivery),
        "delivered": _when(found.delivered_at),
        "last event": what,
        "at": _when(found.latest_at),
        "description": printable(latest.get("description"), most=LONGEST_SENTENCE),
        "reason": short(latest.get("reason_code")),
        "carrier": short(found.carrier),
        "tracking number": short(found.tracking_number),
        "first event": _when(found.first_at),
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, Text(text, "bold" if name == "status" else ""))
    return table


def _when(moment: str | None) -> str:
    """A moment of a state for people. It can be of any year."""
    if not moment:
        return ""
    then = datetime.fromisoformat(moment)
    shown = f"{moment[:10]} {moment[11:19]}Z"
    return shown if then > datetime.now(then.tzinfo) else f"{shown} ({ago(then)})"


def _table(shipments: list[Shipment]) -> Table:
    table = Table(header_style="bold")
    table.add_column("shipment", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for name in ("since", "latest news", "estimated delivery"):
        table.add_column(name, no_wrap=True)
    for name in ("where", "carrier", "tracking number"):
        table.add_column(name, overflow="fold")
    for one in shipments:
        cells = (
            short(one.shipment_id),
            one.status or "",
            *map(_minute, (one.status_at, one.latest_at, one.estimated_delivery)),
            place((one.latest_event or {}).get("location")),
            short(one.carrier),
            short(one.tracking_number),
        )
        table.add_row(*map(Text, cells))
    return table


def _minute(moment: str | None) -> str:
    return f"{moment[:10]} {moment[11:16]}Z" if moment else ""
