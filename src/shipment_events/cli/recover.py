"""``shipments recover``."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime

import boto3
import click
from botocore.exceptions import ClientError
from rich.console import Console

from shipment_events.aws_errors import error_code
from shipment_events.cli.errors import CLIENT_CONFIG
from shipment_events.cli.presentation import counts
from shipment_events.resources import find_resources
from shipment_events.table.copy import Copied, copy_missing


@click.command()
@click.argument("restored", metavar="TABLE")
@click.option("--dry-run", is_flag=True, help="Count what is missing, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def recover(environment: str, *, restored: str, dry_run: bool, as_json: bool) -> None:
    """Copy back what the stage's table has lost, from a TABLE restored to an earlier point in time.

    Only items whose key is missing are written, as they were; nothing is overwritten, and what has expired
    stays away. It may be interrupted, repeated, and run beside the pipeline.

    \b
    Examples:
      shipments recover shipmentevents-prod-restored --dry-run
      shipments recover shipmentevents-prod-restored

    Exit status: 0 all of TABLE is there, 1 something is there with other content, which was left alone.
    """
    resources = find_resources(boto3.client("cloudformation", config=CLIENT_CONFIG), environment)
    if restored == resources.table_name:
        raise click.UsageError(f"{restored} is the stage's own table: name the restored one.")
    dynamodb = boto3.client("dynamodb", config=CLIENT_CONFIG)
    found = Copied()
    copying = copy_missing(dynamodb, restored, resources.table_name, datetime.now(UTC), trial=dry_run)
    try:
        with Console(stderr=True).status("comparing") as status:
            for found in copying:
                status.update(counts(asdict(found)))
    except ClientError as error:
        # Nothing but the restored table is scanned.
        if (error.operation_name, error_code(error)) != ("Scan", "ResourceNotFoundException"):
            raise
        raise click.ClickException(
            f"there is no table {restored}. Restore one first, and wait until it is there:"
            " docs/deploy.md#restoring-what-was-lost"
        ) from error
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
