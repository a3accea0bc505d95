"""``shipments publish``."""

import json
import shlex
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from shipment_events.cli.errors import INTERRUPTED
from shipment_events.cli.interrupts import graceful_stop
from shipment_events.cli.options import FilePath, NonEmptyText, command
from shipment_events.cli.presentation import printable, short
from shipment_events.contract.outcome import InvalidEventError
from shipment_events.pipeline import Pipeline
from shipment_events.publishing.event_files import EventFileError, EventText, read_events
from shipment_events.publishing.journal import JournalWriter
from shipment_events.publishing.pauses import interruptible
from shipment_events.publishing.publish_file import KeptEvents, Publication, is_input, publish_events
from shipment_events.publishing.publisher import CONCURRENCY, Publisher


@click.command()
@click.argument("files", type=NonEmptyText(), nargs=-1, required=True, metavar="FILE...")
@click.option("--dry-run", is_flag=True, help="Validate only. Send nothing; AWS is not needed.")
@click.option(
    "--unsent", type=FilePath(), default=Path("unsent.ndjson"),
    show_default=True, help="File for events that the bus did not accept. Publish it again.",
)  # fmt: skip
@click.option(
    "--refused", type=FilePath(),
    help="File for broken events, unchanged, so that you can correct them. Useful with standard input.",
)  # fmt: skip
@click.option(
    "--journal", type=FilePath(),
    help="Append a line for each event that the bus accepted, for 'shipments audit'. If the command is"
    " killed, only the lines of requests under way are missing.",
)  # fmt: skip
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=CONCURRENCY,
    show_default=True,
    help="Number of parallel requests.",
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
    """Publish events from files.

    A FILE is NDJSON or a JSON array, gzipped or not; - is standard input. Valid events are sent. Each broken
    event is reported with its line and reason, and does not stop the rest. Publishing a file again is
    harmless: an event is stored once.

    \b
    Examples:
      shipments publish events.ndjson
      zcat old.ndjson.gz | shipments publish --dry-run -

    Exit status: 0 all events are on the bus (with --dry-run: valid), 1 some are not, 130 interrupted.
    """
    _refuse_shared_files(files, unsent=unsent, refused=refused, journal=journal, dry_run=dry_run)
    publisher = None if dry_run else pipeline.publisher(concurrency=concurrency)
    console = Console(stderr=True)
    counts, stop = Publication(), Event()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    try:
        with (
            graceful_stop(stop),
            Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
            JournalWriter(journal, append=True) if journal else nullcontext() as writer,
            KeptEvents(unsent, () if dry_run else files) as kept_unsent,
            KeptEvents(refused, files) if refused else nullcontext() as kept_refused,
        ):
            kept = _Kept(kept_unsent, kept_refused, writer, stop)
            unreadable = [
                file for file in files if not _publish_file(file, publisher, counts, kept, progress)
            ]
    except KeyboardInterrupt:
        click.echo(f"\nInterrupted; the bus has accepted at least {_again(counts, files)}", err=True)
        sys.exit(INTERRUPTED)
    if stop.is_set():
        _say_interrupted(counts, files, unsent)
        sys.exit(INTERRUPTED)
    _print_summary(counts, unreadable, dry_run=dry_run, unsent=unsent, as_json=as_json)
    if counts.refused or counts.unsent or unreadable:
        sys.exit(1)


def _refuse_shared_files(
    files: tuple[str, ...], *, unsent: Path, refused: Path | None, journal: Path | None, dry_run: bool
) -> None:
    """Refuse names with which one event would replace another.

    A file for what is left replaces its input, and only if this was read to its end.
    """
    if refused and refused.resolve() == unsent.resolve():
        raise click.UsageError("--refused and --unsent name the same file: name two different files.")
    for option, path in (("--unsent", unsent), ("--refused", refused)):
        if path is None or (dry_run and option == "--unsent"):
            continue
        if journal and journal.resolve() == path.resolve():
            raise click.UsageError(f"--journal names the same file as {option}: name another one.")
        if not is_input(path, files):
            continue
        if len(files) > 1:
            raise click.UsageError(
                f"{option} names {path}, which is one of several inputs: publish it alone, or give another"
                f" {option}."
            )
        if dry_run:
            raise click.UsageError(f"{option} names the input, which a dry run does not change.")
    if journal and is_input(journal, files):
        raise click.UsageError(f"--journal names {journal}, which is an input: name another file.")


@dataclass(frozen=True, slots=True)
class _Kept:
    """The files to which events are written, and what ends the command early."""

    unsent: KeptEvents
    refused: KeptEvents | None
    journal: JournalWriter | None
    stop: Event

    def leave(self, file: str) -> None:
        """Do not replace this input, because it was not read to its end."""
        self.unsent.leave(file)
        if self.refused:
            self.refused.leave(file)


def _publish_file(
    file: str, publisher: Publisher | None, counts: Publication, kept: _Kept, progress: Progress
) -> bool:
    """Whether the file was read to its end, or until the interrupt."""
    watch = partial(_watch, progress, progress.add_task(f"publishing {short(file)}", total=None))
    try:
        publish_events(
            interruptible(file, read_events(file, watch), kept.stop),
            publisher,
            on_refused=partial(_name, file, kept.unsent if kept.unsent.replaces(file) else kept.refused),
            on_unsent=lambda receipt: kept.unsent.add(receipt.entry.detail),
            journal=kept.journal,
            publication=counts,
            stop=kept.stop,
        )
    except EventFileError as error:
        kept.leave(file)
        click.echo(f"Error: {printable(error)}", err=True)
        return False
    if kept.stop.is_set():
        kept.leave(file)
    return True


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
        _say_unsent(counts, unsent)


def _say_interrupted(counts: Publication, files: tuple[str, ...], unsent: Path) -> None:
    click.echo(f"\nInterrupted; the bus has accepted {_again(counts, files)}", err=True)
    if counts.unsent:
        _say_unsent(counts, unsent)


def _say_unsent(counts: Publication, unsent: Path) -> None:
    why = ", ".join(f"{code} {number:,}" for code, number in counts.unsent_by_error.items())
    again = command(f"publish {shlex.quote(str(unsent))}")
    click.echo(f"Unsent ({why}): in {unsent}. Try again with: {again}", err=True)


def _again(counts: Publication, files: tuple[str, ...]) -> str:
    """After an interrupt: how many events were accepted, and how to go on."""
    rest = " The rest of standard input was not read." if "-" in files else ""
    return f"{counts.accepted:,} events.{rest} Run the same command again; each event is stored once."
