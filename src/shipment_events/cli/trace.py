"""``shipments trace``."""

import json
import sys
from datetime import datetime
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from shipment_events.cli.options import FilePath, Moment, NonEmptyText
from shipment_events.cli.presentation import LONGEST_SENTENCE, output, print_table, printable, short
from shipment_events.pipeline import Pipeline
from shipment_events.publishing.journal import read_journal_file
from shipment_events.resources import TrackingNotDeployedError
from shipment_events.watching.trace import Step
from shipment_events.watching.trace import trace as trace_steps


@click.command()
@click.argument("identifier", metavar="EVENT_OR_SHIPMENT", type=NonEmptyText())
@click.option(
    "--from",
    "--since",
    "since",
    type=Moment(),
    default="1d",
    show_default=True,
    help="How far back to search the log.",
)
@click.option(
    "--shipment", type=NonEmptyText(), metavar="TEXT", help="Shipment of the event, if you know it."
)
@click.option("--journal", type=FilePath(exists=True), help="The producer's journal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per step.")
@click.pass_obj
def trace(
    pipeline: Pipeline,
    *,
    identifier: str,
    since: datetime,
    shipment: str | None,
    journal: Path | None,
    as_json: bool,
) -> None:
    """Show everything that is known of one event or shipment.

    The steps are: published, settled or another outcome, stored, state, unfoldable, dead letter. What an
    event did to the state of its shipment is computed from the stored events. The tracker may have folded
    several in one step, and then have announced a change with another one as its cause. EVENT_OR_SHIPMENT is
    a shipment id, an event id, a correlation id (the envelope's id) or a message id. The table is read by
    shipment, so give the --shipment or a --journal to find a stored event by its id.

    \b
    Examples:
      shipments trace C2K-00030
      shipments trace 5d0c9c1e-… --journal journal.ndjson

    Exit status: 0 something was found, 1 nothing was found.
    """
    records = list(read_journal_file(journal)) if journal else []
    found = trace_steps(identifier, pipeline.trace_sources(records), since, shipment)
    steps = found.steps
    if as_json:
        for step in steps:
            click.echo(json.dumps(_as_json(step)))
    elif steps:
        print_table(output(), steps_table(identifier, steps))
    if not found.is_whole:
        click.echo(
            "Only a part of the matching log lines was read. Narrow the search with --from, or give a"
            " correlation id.",
            err=True,
        )
    if not pipeline.resources.shipments_table_name:
        click.echo(
            f"No step tells a state: {TrackingNotDeployedError(pipeline.stage.environment)}.", err=True
        )
    if not steps:
        click.echo(
            f"Nothing found for {identifier!r} in {pipeline.table.name}, the visible dead letters, the log"
            f" since {since:%Y-%m-%d %H:%M} and the journal ({journal or 'none given'})."
            " To find a stored event, give its --shipment or a --journal that has it.",
            err=True,
        )
        sys.exit(1)


def _as_json(step: Step) -> dict[str, object]:
    return {
        "at": step.at.isoformat(),
        "what": step.what,
        "shipment_id": step.shipment_id,
        "correlation_id": step.correlation_id,
        "detail": step.detail,
        "fields": step.fields,
    }


def steps_table(identifier: str, steps: list[Step]) -> Table:
    """The steps of a trace as a table, in the given order."""
    correlation_ids = {step.correlation_id for step in steps}
    title = f"Trace of {short(identifier)}"
    columns = ["shipment", "correlation id", "detail"]
    if len(correlation_ids) == 1:
        columns.remove("correlation id")
        title += f", correlation id {short(*correlation_ids)}"
    table = Table(title=Text(title), title_justify="left", header_style="bold")
    table.add_column("at", no_wrap=True)
    table.add_column("what", no_wrap=True)
    for name in columns:
        # The detail may hold ids. The longest is a trace id of 35 characters.
        is_detail = name == "detail"
        table.add_column(name, no_wrap=not is_detail, min_width=35 if is_detail else None, overflow="fold")
    for step in steps:
        values = {
            "shipment": short(step.shipment_id),
            "correlation id": short(step.correlation_id),
            "detail": printable(step.detail, most=2 * LONGEST_SENTENCE),
        }
        table.add_row(
            f"{step.at:%m-%d %H:%M:%S.%f}"[:-3],
            Text(short(step.what)),
            *(Text(values[name]) for name in columns),
        )
    return table
