"""``shipments events``."""

import sys
from datetime import datetime
from itertools import islice

import click

from shipment_events.cli.options import Moment
from shipment_events.cli.presentation import event_line, events_table, output, print_table
from shipment_events.contract.names import PARTITION_KEY
from shipment_events.pipeline import Pipeline
from shipment_events.table.item import CONFLICT, PROCESSED


@click.command()
@click.option(
    "--status", type=click.Choice([CONFLICT, PROCESSED], case_sensitive=False), default=CONFLICT,
    show_default=True, help="Processing status. Somebody should look at the conflicts.",
)  # fmt: skip
@click.option(
    "--from", "since", type=Moment(), default="1d", show_default=True,
    help="Start of the window: ISO 8601 with an offset, or 2h for two hours ago.",
)  # fmt: skip
@click.option("--to", "until", type=Moment(), default="0s", help="End of the window. Default: now.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Maximum number.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per event.")
@click.pass_obj
def events(
    pipeline: Pipeline, *, status: str, since: datetime, until: datetime, limit: int, as_json: bool
) -> None:
    """List the events of all shipments with one processing status.

    Events are sorted by the time at which they happened. An event that was stored a moment ago may be
    missing, because the index is updated shortly after the table.

    \b
    Examples:
      shipments events --from 1d
      shipments events --status PROCESSED --from 2026-11-20T08:00:00Z --to 2026-11-20T08:05:00Z --json

    Exit status: 0 events were found, 1 none was found.
    """
    if until <= since:
        raise click.UsageError(
            f"the window ends at {until.isoformat(timespec='seconds')},"
            f" before its start at {since.isoformat(timespec='seconds')}."
        )
    table = pipeline.table
    found = list(islice(table.by_status(status, since, until, latest_first=True), limit + 1))
    shown = found[:limit][::-1]
    if as_json:
        for event in shown:
            click.echo(event_line(event.detail[PARTITION_KEY], event))
    elif shown:
        print_table(output(), events_table(f"{status} in {table.name}", shown, of_many=True))
    if len(found) > limit:
        click.echo(f"These are the latest {limit:,} events. Raise --limit or narrow the window.", err=True)
    if not found:
        click.echo(f"{table.name} has no event with processing status {status} in this window.", err=True)
        sys.exit(1)
