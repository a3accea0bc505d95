"""``shipments schema``."""

import json
from typing import Final

import click

from shipment_events.contract.schema import event_schema
from shipment_events.tracking.changes import Kind
from shipment_events.tracking.schema import change_schema

_EVENT: Final = "event"


@click.command()
@click.argument(
    "name", type=click.Choice([_EVENT, *(kind.value for kind in Kind)]), metavar="[NAME]", default=_EVENT
)
def schema(name: str) -> None:
    """Print the JSON Schema of the event or of a change.

    NAME is "event" (the default) or the detail-type of a change.

    \b
    Examples:
      shipments schema > shipment-event.schema.json
      shipments schema shipment.status_changed
    """
    found = event_schema() if name == _EVENT else change_schema(Kind(name))
    click.echo(json.dumps(found, indent=2))
