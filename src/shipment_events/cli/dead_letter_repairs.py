"""``shipments dead-letters redrive`` and ``discard``: the commands that delete dead letters."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO, TypedDict

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shipment_events.cli.dead_letter_views import (
    hidden_note,
    print_letters,
    print_reasons,
    print_settlement,
    settlement_json,
)
from shipment_events.cli.dead_letters import json_option, read_selected, selected
from shipment_events.cli.errors import INTERRUPTED
from shipment_events.cli.options import FilePath, NonEmptyText
from shipment_events.cli.presentation import output
from shipment_events.dead_letters.edits import Edit, broken_after
from shipment_events.dead_letters.exports import open_export, read_letters
from shipment_events.dead_letters.letters import DeadLetterMessage, Reading, Selection, require_one
from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.dead_letters.settlement import Settlement
from shipment_events.pipeline import Pipeline


@click.command(name="redrive")
@selected
@click.option("--dry-run", is_flag=True, help="Show what would be sent and what would fail again.")
@click.option("--rate", type=click.FloatRange(min=0.1), help="Dead letters per second. Default: no limit.")
@click.option(
    "--set", "changes", type=NonEmptyText(), multiple=True, metavar="FIELD=VALUE",
    help="Change a field of each event first. A dot goes into an object: location.country. 'source' and"
    " 'detail-type' change the envelope. VALUE is JSON; anything else is a text. Needs --export.",
)  # fmt: skip
@click.option(
    "--export", "file", type=FilePath(),
    help="Append each original dead letter and its changes before it is sent. 'shipments audit' reads this"
    " file.",
)  # fmt: skip
@click.option(
    "--from-export", "source", type=FilePath(exists=True),
    help="Send the dead letters of an exported file, such as discarded ones, and note this in the file. The"
    " dead-letter queue does not change.",
)  # fmt: skip
@json_option
@click.pass_obj
def redrive_command(
    pipeline: Pipeline,
    *,
    selection: Selection,
    dry_run: bool,
    rate: float | None,
    changes: tuple[str, ...],
    file: Path | None,
    source: Path | None,
    as_json: bool,
) -> None:
    """Send dead letters to the queue again.

    Without options, all are sent. Each is deleted after the queue has confirmed the event. An event that is
    already stored is not stored twice.

    \b
    Examples:
      shipments dead-letters redrive --reason retries_exhausted
      shipments dead-letters redrive --id 3f2a --set location.country=CH --export originals.ndjson

    Exit status: 0 all selected dead letters are redriven, 1 some are not, 130 interrupted.
    """
    edits = [_edit(change) for change in changes]
    if source and file and not edits:
        raise click.UsageError(f"{source} already has the originals: leave out --export.")
    if edits and not (file or source or dry_run):
        raise click.UsageError("--set changes events: name a file for the originals with --export FILE.")
    exported = [letter for letter in read_letters(source) if selection.takes(letter)] if source else None
    if edits and exported is not None and selection.identifier:
        require_one(exported, selection)
    if dry_run:
        found = read_selected(pipeline.dead_letters, selection) if exported is None else Reading(exported)
        if edits and selection.identifier:
            require_one(found.letters, selection)
        _print_dry_run(found, edits, as_json=as_json)
        return
    with open_export(file) if file else nullcontext() as originals:
        options: _Options = {"edits": edits, "originals": originals, "rate": rate}
        if source and exported is not None:
            result = _redrive_export(pipeline.dead_letters, source, exported, options)
        else:
            with _progress("redriving", pipeline.dead_letters.depth().total) as on_progress:
                result = pipeline.dead_letters.redrive(selection, **options, on_progress=on_progress)
    _finish("redriven", result, selection, as_json=as_json)


class _Options(TypedDict):
    """Arguments of both redrives: from the queue and from an export."""

    edits: list[Edit]
    originals: TextIO | None
    rate: float | None


def _redrive_export(
    dead_letters: DeadLetterQueue, source: Path, letters: list[DeadLetterMessage], options: _Options
) -> Settlement:
    with open_export(source) as notes, _progress("redriving", len(letters)) as on_progress:
        return dead_letters.redrive_export(letters, notes, **options, on_progress=on_progress)


@click.command(name="discard")
@selected
@click.option(
    "--export", "file", type=FilePath(), required=True,
    help="Append each dead letter before it is deleted.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@click.pass_obj
def discard_command(
    pipeline: Pipeline, *, selection: Selection, file: Path, yes: bool, as_json: bool
) -> None:
    """Delete dead letters, each after a copy is on disk.

    \b
    Example:
      shipments dead-letters discard --reason unmatched --export discarded.ndjson

    Exit status: 0 all selected dead letters are discarded, 1 some are not, 130 interrupted.
    """
    if not yes:
        found = read_selected(pipeline.dead_letters, selection).letters
        if selection.identifier:
            require_one(found, selection)
        click.confirm(
            f"Delete {len(found):,} dead letter(s) after writing them to {file}?", abort=True, err=True
        )
    with (
        open_export(file) as copies,
        _progress("discarding", pipeline.dead_letters.depth().total) as on_progress,
    ):
        result = pipeline.dead_letters.discard(selection, copies, on_progress=on_progress)
    _finish("discarded", result, selection, as_json=as_json)


def _edit(change: str) -> Edit:
    field, separator, text = change.partition("=")
    try:
        if separator:
            return Edit.of_text(field, text)
    except ValueError:
        pass
    raise click.BadParameter(f"{change!r}: expected FIELD=VALUE", param_hint="--set")


def _print_dry_run(found: Reading, edits: list[Edit], *, as_json: bool) -> None:
    letters = found.letters
    whys = broken_after(letters, edits)
    if as_json:
        reasons = Counter(letter.reason for letter in letters)
        report = {
            "selected": len(letters),
            "would_fail_again": whys.total(),
            "would_fail_again_by_reason": whys,
            "by_reason": reasons,
        }
        click.echo(json.dumps(report))
        return
    print_letters(output(), found)
    click.echo(f"{len(letters):,} would be redriven; {whys.total():,} of them would be quarantined again.")
    print_reasons(output(), whys)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[Settlement], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)

        def show(result: Settlement) -> None:
            done = len(result.settled) + len(result.failed) + len(result.undeleted) + result.passed_over
            # On AWS the last polls take seconds, or more than a minute if some dead letters are hidden.
            looking = ", looking for more" if done >= total else ""
            progress.update(task, completed=done, description=f"{what}{looking}")

        yield show


def _finish(done: str, result: Settlement, selection: Selection, *, as_json: bool) -> None:
    seen = result.settled or result.failed or result.undeleted
    if selection.identifier and not seen and not result.interrupted:
        hidden = f" {hidden_note(result.unseen)}" if result.unseen else ""
        raise click.ClickException(f"no dead letter {selection.identifier!r}: nothing was {done}.{hidden}")
    if as_json:
        click.echo(json.dumps(settlement_json(done, result)))
    else:
        print_settlement(output(), done, result)
    if result.interrupted:
        sys.exit(INTERRUPTED)
    if not result.succeeded:
        sys.exit(1)
