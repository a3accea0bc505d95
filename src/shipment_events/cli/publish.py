"""``shipments publish``."""

import json
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from shipment_events.cli.errors import INTERRUPTED
from shipment_events.cli.options import FilePath, NonEmptyText
from shipment_events.cli.presentation import printable, short
from shipment_events.contract.outcome import InvalidEventError
from shipment_events.pipeline import Pipeline
from shipment_events.publishing.event_files import EventFileError, EventText, read_events
from shipment_events.publishing.journal import JournalWriter
from shipment_events.publishing.publish_file import KeptEvents, Publication, publish_events


@click.command()
@click.argument("files", type=NonEmptyText(), nargs=-1, required=True, metavar="FILE...")
@click.option("--dry-run", is_flag=True, help="Validate only: send nothing, need no AWS.")
@click.option(
    "--unsent", type=FilePath(), default=Path("unsent.ndjson"),
    show_default=True, help="Where events go that the bus did not take, to be published again.",
)  # fmt: skip
@click.option(
    "--refused", type=FilePath(),
    help="Where broken events go as they came, to be mended; for what is read from standard input.",
)  # fmt: skip
@click.option(
    "--journal", type=FilePath(),
    help="Append a line for each event that the bus accepted, as evidence for an audit; a kill loses answers"
    " on their way alone.",
)  # fmt: skip
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Requests under way at once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_obj
def publish(
    pipeline: Pipeline,
    *,
    files: tuple[str, ...],
    dry_run: bool,
    unsent: Path,
    refused: Path | None,
    journal: Path | None,
    concurrency: int,
    as_json: bool,
) -> None:
    """Publish events from files: NDJSON or a JSON array, gzipped or not; - is standard input.

    Good events are sent and broken ones are named with their line and reason; nothing stops the rest.
    Publishing a file again is harmless: an event that is stored already is not stored twice.

    \b
    Examples:
      shipments publish events.ndjson
      zcat old.ndjson.gz | shipments publish --dry-run -

    Exit status: 0 all events are on the bus (dry run: all are valid), 1 some are not, 130 interrupted.
    """
    if refused and refused.resolve() == unsent.resolve():
        raise click.UsageError("--refused and --unsent name the same file: name two.")
    publisher = None if dry_run else pipeline.publisher(concurrency=concurrency)
    console = Console(stderr=True)
    counts = Publication()
    unreadable: list[str] = []
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    try:
        with (
            Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
            JournalWriter(journal, append=True) if journal else nullcontext() as writer,
            KeptEvents(unsent, files) as kept_unsent,
            KeptEvents(refused, files) if refused else nullcontext() as kept_refused,
        ):
            for file in files:
                task = progress.add_task(f"publishing {short(file)}", total=None)
                try:
                    publish_events(
                        read_events(file, partial(_watch, progress, task)),
                        publisher,
                        on_refused=partial(
                            _name, file, kept_unsent if kept_unsent.replaces(file) else kept_refused
                        ),
                        on_unsent=lambda receipt: kept_unsent.add(receipt.entry.detail),
                        journal=writer,
                        publication=counts,
                    )
                except EventFileError as error:
                    unreadable.append(file)
                    kept_unsent.leave(file)
                    if kept_refused:
                        kept_refused.leave(file)
                    click.echo(f"Error: {printable(error)}", err=True)
    except KeyboardInterrupt:
        click.echo(
            f"\nInterrupted; the bus has accepted at least {counts.accepted:,} events."
            " Run the same command again: nothing is stored twice.",
            err=True,
        )
        sys.exit(INTERRUPTED)
    _print_summary(counts, unreadable, dry_run=dry_run, unsent=unsent, as_json=as_json)
    if counts.refused or counts.unsent or unreadable:
        sys.exit(1)


def _watch(progress: Progress, task: TaskID, raw: BinaryIO, size: int) -> BinaryIO:
    return progress.wrap_file(raw, total=size, task_id=task)


def _name(file: str, kept: KeptEvents | None, event: EventText, error: InvalidEventError) -> None:
    where = f"{event.position}" if event.unit == "line" else f" element {event.position}"
    click.echo(printable(f"{file}:{where}: {error}"), err=True)
    if kept:
        kept.add(event.text)
        if event.is_cut:
            kept.leave(file)


def _print_summary(
    counts: Publication, unreadable: list[str], *, dry_run: bool, unsent: Path, as_json: bool
) -> None:
    if as_json:
        summary = {
            "dry_run": dry_run,
            "valid": counts.valid,
            "accepted": counts.accepted,
            "unsent": counts.unsent,
            "unsent_by_error": counts.unsent_by_error,
            "unsent_file": str(unsent) if counts.unsent else None,
            "refused": counts.refused,
            "refused_by_reason": counts.refused_by_reason,
            "unreadable_files": unreadable,
        }
        click.echo(json.dumps(summary))
        return
    done = f"{counts.valid:,} valid" if dry_run else f"{counts.accepted:,} accepted"
    click.echo(f"{done}, {counts.refused:,} refused, {counts.unsent:,} unsent")
    if counts.unsent:
        why = ", ".join(f"{code} {number:,}" for code, number in counts.unsent_by_error.items())
        click.echo(f"Unsent ({why}): in {unsent}; try again with: shipments publish {unsent}", err=True)
