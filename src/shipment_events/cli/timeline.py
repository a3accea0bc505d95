"""``shipments timeline``."""

import sys

import click

from shipment_events.cli.options import NonEmptyText
from shipment_events.cli.presentation import event_line, output, print_table, timeline_table
from shipment_events.pipeline import Pipeline


@click.command()
@click.argument("shipment_id", type=NonEmptyText())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object an event.")
@click.pass_obj
def timeline(pipeline: Pipeline, shipment_id: str, *, as_json: bool) -> None:
    """Show a shipment's events in the order in which they happened.

    \b
    Example:
      shipments timeline C2K-00030

    Exit status: 0 there are events, 1 there are none.
    """
    events = list(pipeline.table.timeline(shipment_id))
    if as_json:
        for event in events:
            click.echo(event_line(shipment_id, event))
    elif events:
        print_table(output(), timeline_table(shipment_id, events))
    if not events:
        click.echo(f"No events of shipment {shipment_id!r} in {pipeline.table.name}.", err=True)
        sys.exit(1)
