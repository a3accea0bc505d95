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
@click.option("--dry-run", is_flag=True, help="Count the missing items. Write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def recover(pipeline: Pipeline, *, restored: str, dry_run: bool, as_json: bool) -> None:
    """Copy lost items back from a restored TABLE.

    TABLE was restored to an earlier point in time. An event that is missing is copied unchanged. If another
    event has taken its key since, it comes back beside that event, as a conflict. Nothing is overwritten, and
    expired events are not copied. You can interrupt and repeat the command, and run it while the pipeline
    works.

    \b
    Examples:
      shipments recover shipmentevents-prod-restored --dry-run
      shipments recover shipmentevents-prod-restored

    Exit status: 0 done, 1 the table has items that are no events with other content.
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
                "Items with other content were not changed. Compare them in"
                f" {pipeline.table.name} and {restored}.",
                err=True,
            )
    if found.different:
        sys.exit(1)
