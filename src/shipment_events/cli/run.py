"""``shipments run``."""

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from shipment_events.accounting.run import FeedProgress, FeedRun, FeedRunner
from shipment_events.cli.errors import INTERRUPTED
from shipment_events.cli.options import FilePath
from shipment_events.cli.presentation import (
    output,
    print_feed_report,
    print_table,
    printable,
    timeline_table,
)
from shipment_events.pipeline import Pipeline
from shipment_events.publishing.event_files import read_events
from shipment_events.table.store import EventTable


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1),
    help="Events a second; without it as fast as the pipeline stores them.",
)
@click.option(
    "--report", type=FilePath(), default=Path(".local/report.json"),
    show_default=True, help="Where the report goes as JSON; the journal goes beside it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def run(
    pipeline: Pipeline,
    *,
    file: str,
    rate: float | None,
    report: Path,
    as_json: bool,
) -> None:
    """Send a feed through the deployed pipeline and account for every event of it.

    FILE may be -, standard input. Broken events go out as well, the way a producer without our publisher
    would send them. The account compares what the bus accepted with what lies in the table and the
    dead-letter queue.

    \b
    Example:
      shipments run events.ndjson.gz

    Exit status: 0 nothing is lost, doubled, altered, unsent, unread or undecided; 1 otherwise; 130
    interrupted.
    """
    runner = FeedRunner(pipeline.table, pipeline.queue, pipeline.dead_letters, pipeline.bus)
    journal = report.with_name("journal.ndjson")
    console = Console(stderr=True)
    accepted = 0
    try:
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        ) as progress:  # fmt: skip
            task = progress.add_task("publishing", total=None)

            def show(state: FeedProgress) -> None:
                nonlocal accepted
                accepted = state.accepted
                waiting = f", {state.waiting:,} waiting" if state.waiting else ""
                progress.update(task, description=f"{accepted:,} events on the bus{waiting}")

            result = runner.run(read_events(file), journal, rate=rate, on_progress=show)
    except KeyboardInterrupt:
        click.echo(
            f"\nInterrupted; the bus has accepted at least {accepted:,} events."
            + (f" To account for them: shipments audit {journal}" if accepted else ""),
            err=True,
        )
        sys.exit(INTERRUPTED)
    report.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(result.as_json()))
    else:
        _print(result, pipeline.table, report)
    if result.input_error:
        click.echo(f"Error: {printable(result.input_error)}", err=True)
    if not result.succeeded:
        sys.exit(1)


def _print(result: FeedRun, table: EventTable, report: Path) -> None:
    console = output()
    print_feed_report(console, result)
    console.print(Text(f"Report: {report}", "dim"))
    if result.shipment_ids:
        (shipment_id, _), *_ = result.shipment_ids.most_common(1)
        console.print()
        print_table(console, timeline_table(shipment_id, table.timeline(shipment_id)))
