"""``shipments recover``."""

import json
import sys
from dataclasses import asdict

import click
from rich.console import Console

from shipment_events.cli.options import NonEmptyText
from shipment_events.cli.presentation import counts
from shipment_events.pipeline import Pipeline
from shipment_events.table.copy import Copied


@click.command()
@click.argument("restored", type=NonEmptyText(), metavar="TABLE")
@click.option("--dry-run", is_flag=True, help="Count what is missing, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def recover(pipeline: Pipeline, *, restored: str, dry_run: bool, as_json: bool) -> None:
    """Copy back what the stage's table has lost, from a TABLE restored to an earlier point in time.

    Only items whose key is missing are written, as they were; nothing is overwritten, and what has expired
    stays away. It may be interrupted, repeated, and run beside the pipeline.

    \b
    Examples:
      shipments recover shipmentevents-prod-restored --dry-run
      shipments recover shipmentevents-prod-restored

    Exit status: 0 all of TABLE is there, 1 something is there with other content, which was left alone.
    """
    if restored == pipeline.table.name:
        raise click.UsageError(f"{restored} is the stage's own table: name the restored one.")
    found = Copied()
    with Console(stderr=True).status("comparing") as status:
        for found in pipeline.recover_from(restored, trial=dry_run):
            status.update(counts(asdict(found)))
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        click.echo(("Would be copied: " if dry_run else "") + counts(asdict(found)))
        if found.different:
            click.echo(
                "Items with other content were left alone: compare them with shipments timeline.", err=True
            )
    if found.different:
        sys.exit(1)
