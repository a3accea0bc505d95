"""``shipments schema``."""

import json

import click

from shipment_events.contract.schema import event_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of the event, for producers.

    \b
    Example:
      shipments schema > shipment-event.schema.json
    """
    click.echo(json.dumps(event_schema(), indent=2))
