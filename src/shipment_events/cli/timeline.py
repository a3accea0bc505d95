"""``shipments timeline``."""

import sys

import boto3
import click

from shipment_events.cli.errors import CLIENT_CONFIG
from shipment_events.cli.options import Identifier
from shipment_events.cli.presentation import event_line, output, print_table, timeline_table
from shipment_events.resources import find_resources
from shipment_events.table.store import EventTable


@click.command()
@click.argument("shipment_id", type=Identifier())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object an event.")
@click.pass_obj
def timeline(environment: str, shipment_id: str, *, as_json: bool) -> None:
    """Show a shipment's events in the order in which they happened.

    \b
    Example:
      shipments timeline C2K-00030

    Exit status: 0 there are events, 1 there are none.
    """
    resources = find_resources(boto3.client("cloudformation", config=CLIENT_CONFIG), environment)
    table = EventTable(boto3.client("dynamodb", config=CLIENT_CONFIG), resources.table_name)
    events = list(table.timeline(shipment_id))
    if as_json:
        for event in events:
            click.echo(event_line(shipment_id, event))
    elif events:
        print_table(output(), timeline_table(shipment_id, events))
    if not events:
        click.echo(f"No events of shipment {shipment_id!r} in {resources.table_name}.", err=True)
        sys.exit(1)
