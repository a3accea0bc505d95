"""``shipments run``."""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from shipment_events.accounting.feed_run import FeedRun
from shipment_events.accounting.pace import FeedProgress
from shipment_events.accounting.run import FeedRunner
from shipment_events.cli.errors import INTERRUPTED
from shipment_events.cli.interrupts import graceful_stop
from shipment_events.cli.options import FilePath, NonEmptyText, command
from shipment_events.cli.presentation import (
    output,
    print_feed_report,
    print_table,
    printable,
    timeline_table,
)
from shipment_events.pipeline import Pipeline
from shipment_events.publishing.event_files import EventText, read_events
from shipment_events.publishing.pauses import interruptible
from shipment_events.table.store import EventTable


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1),
    help="Events per second. Default: as fast as the pipeline stores them.",
)
@click.option(
    "--report", type=FilePath(), default=Path(".local/report.json"),
    show_default=True, help="File for the report as JSON. The journal is written to the same folder.",
)  # fmt: skip
@click.option(
    "--subscriber", type=NonEmptyText(), metavar="QUEUE_URL",
    help="Queue that subscribes to the status bus. The run deletes the changes that it receives. Without it,"
    " the run checks the states of shipments and not the changes.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def run(
    pipeline: Pipeline,
    *,
    file: str,
    rate: float | None,
    report: Path,
    subscriber: str | None,
    as_json: bool,
) -> None:
    """Send events from FILE and account for every one.

    - is standard input. Broken events are sent too, as a producer without our publisher would send them. The
    report compares what the bus accepted with the table and the dead-letter queue. It also compares the
    state of each shipment with its events, and the changes that the subscriber received with those that had
    to come.

    \b
    Example:
      shipments run events.ndjson.gz

    Exit status: 0 every event that a bus accepts was sent and accounted for, 1 an event is lost, doubled,
    altered, unsent, unread or undecided, a state is wrong, or a change is missing or impossible, 130
    interrupted. Lines that no bus accepts are counted as refused.
    """
    read_side = pipeline.read_side(subscriber)
    runner = FeedRunner(
        pipeline.table, pipeline.queue, pipeline.dead_letters, pipeline.bus, read_side=read_side
    )
    journal = report.with_name("journal.ndjson")
    result = _run(runner, file, journal, rate)
    report.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(result.as_json()))
    else:
        _print(result, pipeline.table, report)
    if result.input_error:
        click.echo(f"Error: {printable(result.input_error)}", err=True)
    if not result.succeeded:
        sys.exit(1)


def _run(runner: FeedRunner, file: str, journal: Path, rate: float | None) -> FeedRun:
    """Send the feed, and show the progress."""
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
                behind = f", {state.behind:,} shipments not right yet" if state.behind else ""
                progress.update(task, description=f"{accepted:,} events on the bus{waiting}{behind}")

            stop = Event()
            return runner.run(_feed(file, stop), journal, rate=rate, on_progress=show, stop=stop)
    except KeyboardInterrupt:
        click.echo(
            f"\nInterrupted; the bus has accepted at least {accepted:,} events."
            + (f" To account for them: {command(f'audit {shlex.quote(str(journal))}')}" if accepted else ""),
            err=True,
        )
        sys.exit(INTERRUPTED)


def _feed(file: str, stop: Event) -> Iterator[EventText | None]:
    """The events of the file. An interrupt ends them, and the journal gets the receipts of those before."""
    with graceful_stop(stop):
        yield from interruptible(file, read_events(file), stop)
    if stop.is_set():
        raise KeyboardInterrupt


def _print(result: FeedRun, table: EventTable, report: Path) -> None:
    console = output()
    print_feed_report(console, result)
    console.print(Text(f"Report: {report}", "dim"))
    if result.shipment_ids:
        (shipment_id, _), *_ = result.shipment_ids.most_common(1)
        console.print()
        print_table(console, timeline_table(shipment_id, table.timeline(shipment_id)))
