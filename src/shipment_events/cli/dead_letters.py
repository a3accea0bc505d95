"""``shipments dead-letters``: see, explain, export, redrive and discard."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import boto3
import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shipment_events.cli.dead_letter_views import (
    HIDDEN,
    explanation_view,
    letter_view,
    print_letters,
    print_settlement,
    settlement_json,
)
from shipment_events.cli.errors import CLIENT_CONFIG
from shipment_events.cli.options import Age
from shipment_events.cli.presentation import output
from shipment_events.exact_json import loads
from shipment_events.operations.dead_letters import (
    REASONS,
    DeadLetterMessage,
    Selection,
    Settlement,
    read_dead_letters,
)
from shipment_events.operations.explain import explain
from shipment_events.operations.redrive import (
    Edit,
    discard,
    edited,
    open_export,
    redrive,
    still_broken,
    write_export,
)
from shipment_events.operations.resources import Resources, find_resources
from shipment_events.queues import depth, depths

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(name="dead-letters")
def dead_letters() -> None:
    """See what could not be stored, why, and repair it.

    Nothing here loses an event: a dead letter is deleted only after the queue has confirmed its redelivery,
    or after a copy of it is on disk. Interrupting, killing or repeating a command is safe, and so are two
    people at work at once.
    """


def _selected(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose dead letters; the command gets a ``Selection``."""

    @click.option(
        "--reason", type=click.Choice(REASONS), metavar="REASON", help="With this reason code only."
    )
    @click.option("--shipment", help="Of this shipment only.")
    @click.option("--id", "identifier", help="With this message id or envelope id, or one that begins so.")
    @click.option(
        "--older-than", "before", type=Age(), help="First queued longer ago than this, such as 15m or 2h."
    )
    @click.option("--newer-than", "after", type=Age(), help="First queued since then.")
    @wraps(command)
    def with_selection(
        *arguments: Any,
        reason: str | None,
        shipment: str | None,
        identifier: str | None,
        before: datetime | None,
        after: datetime | None,
        **options: Any,
    ) -> None:
        command(*arguments, selection=Selection(reason, shipment, identifier, before, after), **options)

    return with_selection


@dead_letters.command(name="list")
@_selected
@_json
@click.pass_obj
def list_command(environment: str, *, selection: Selection, as_json: bool) -> None:
    """List dead letters, grouped by reason.

    \b
    Example:
      shipments dead-letters list --newer-than 1h

    Exit status: 0 there are none, 1 there are some.
    """
    found = _read(*_queues(environment), selection)
    if as_json:
        click.echo(json.dumps([letter.as_json() for letter in found]))
    else:
        print_letters(output(), found)
    if found:
        sys.exit(1)


@dead_letters.command()
@click.argument("identifier", metavar="ID")
@_json
@click.pass_obj
def show(environment: str, *, identifier: str, as_json: bool) -> None:
    """Show one dead letter whole: its envelope, its reason, when and how often.

    ID is its message id or its envelope id, or how one of them begins.

    \b
    Example:
      shipments dead-letters show 3f2a
    """
    letter = _one(environment, identifier)
    if as_json:
        click.echo(json.dumps(letter.as_json()))
    else:
        output().print(letter_view(letter))


@dead_letters.command(name="explain")
@click.argument("identifier", metavar="ID")
@_json
@click.pass_obj
def explain_command(environment: str, *, identifier: str, as_json: bool) -> None:
    """Explain one dead letter: what happened, which field, what was expected, what to do.

    \b
    Example:
      shipments dead-letters explain 3f2a
    """
    letter = _one(environment, identifier)
    explanation = explain(letter)
    if as_json:
        steps = [{"command": command, "purpose": purpose} for command, purpose in explanation.next_steps]
        click.echo(
            json.dumps(
                {
                    "message_id": letter.message_id,
                    "reason": letter.reason,
                    "detail": explanation.detail,
                    "what_happened": explanation.what_happened,
                    "likely_cause": explanation.likely_cause,
                    "still_broken": explanation.now or None,
                    "next_steps": steps,
                }
            )
        )
    else:
        output().print(explanation_view(letter, explanation))


@dead_letters.command()
@click.argument("file")
@_selected
@click.pass_obj
def export(environment: str, *, file: str, selection: Selection) -> None:
    """Write dead letters to a new FILE, a JSON line each, and leave them in the queue; - is standard output.

    \b
    Example:
      shipments dead-letters export letters.ndjson --reason invalid_field
    """
    # What is there may be the only copy of what was discarded.
    if file != "-" and Path(file).exists():
        raise click.UsageError(f"{file} exists already: name another file.")
    sqs, resources = _queues(environment)
    found = _read(sqs, resources, selection)
    with click.open_file(file, "w" if file == "-" else "x", encoding="utf-8") as target:
        write_export(cast("TextIO", target), found)
    click.echo(f"{len(found):,} dead letters exported.", err=True)


@dead_letters.command(name="redrive")
@_selected
@click.option("--dry-run", is_flag=True, help="Say what would be redriven, and what would fail again.")
@click.option("--rate", type=click.FloatRange(min=0.1), help="Dead letters a second; without it at once.")
@click.option(
    "--set", "changes", multiple=True, metavar="FIELD=VALUE",
    help="Change a field of each event first. Dots lead into objects; source and detail-type are the"
    " envelope's. VALUE is JSON, or else a text. Needs --export.",
)  # fmt: skip
@click.option(
    "--export", "file", type=click.Path(path_type=Path, dir_okay=False),
    help="Append each dead letter as it was, before it is changed.",
)  # fmt: skip
@_json
@click.pass_obj
def redrive_command(
    environment: str,
    *,
    selection: Selection,
    dry_run: bool,
    rate: float | None,
    changes: tuple[str, ...],
    file: Path | None,
    as_json: bool,
) -> None:
    """Send dead letters to the queue again; without options all of them.

    Each is deleted once the queue has confirmed its event. What is stored already is not stored twice.

    \b
    Examples:
      shipments dead-letters redrive --reason retries_exhausted
      shipments dead-letters redrive --id 3f2a --set location.country=CH --export originals.ndjson

    Exit status: 0 all that were chosen are redriven, 1 some are not, 130 interrupted.
    """
    edits = [_edit(change) for change in changes]
    if edits and not file and not dry_run:
        raise click.UsageError("--set changes events: name a file for the originals with --export FILE.")
    sqs, resources = _queues(environment)
    if dry_run:
        _print_dry_run(_read(sqs, resources, selection), edits, as_json=as_json)
        return
    with (
        open_export(file) if file else nullcontext() as originals,
        _progress("redriving", sqs, resources) as on_progress,
    ):
        result = redrive(
            sqs,
            resources.dead_letter_queue_url,
            resources.queue_url,
            selection,
            edits=edits,
            originals=originals,
            rate=rate,
            on_progress=on_progress,
        )
    _finish("redriven", result, as_json=as_json)


@dead_letters.command(name="discard")
@_selected
@click.option(
    "--export", "file", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="Append each dead letter before it is deleted.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
@click.pass_obj
def discard_command(environment: str, *, selection: Selection, file: Path, yes: bool, as_json: bool) -> None:
    """Give dead letters up: delete them, each after a copy is on disk.

    \b
    Example:
      shipments dead-letters discard --reason unmatched --export discarded.ndjson

    Exit status: 0 all that were chosen are discarded, 1 some are not, 130 interrupted.
    """
    sqs, resources = _queues(environment)
    if not yes:
        count = len(_read(sqs, resources, selection))
        click.confirm(f"Delete {count:,} dead letters, after writing them to {file}?", abort=True, err=True)
    with (
        open_export(file) as copies,
        _progress("discarding", sqs, resources) as on_progress,
    ):
        result = discard(sqs, resources.dead_letter_queue_url, selection, copies, on_progress=on_progress)
    _finish("discarded", result, as_json=as_json)


def _queues(environment: str) -> "tuple[SQSClient, Resources]":
    resources = find_resources(boto3.client("cloudformation", config=CLIENT_CONFIG), environment)
    return boto3.client("sqs", config=CLIENT_CONFIG), resources


def _read(sqs: "SQSClient", resources: Resources, selection: Selection) -> list[DeadLetterMessage]:
    found = read_dead_letters(sqs, resources.dead_letter_queue_url)
    if hidden := depths(sqs, resources.dead_letter_queue_url).in_flight:
        click.echo(f"About {hidden:,} more are hidden: {HIDDEN}", err=True)
    return list(filter(selection.takes, found))


def _one(environment: str, identifier: str) -> DeadLetterMessage:
    found = _read(*_queues(environment), Selection(identifier=identifier))
    if len(found) > 1:
        listed = ", ".join(letter.message_id for letter in found[:5])
        raise click.ClickException(f"{len(found)} dead letters begin with {identifier!r}: {listed}")
    if not found:
        raise click.ClickException(
            f"no dead letter {identifier!r} is visible. 'shipments dead-letters list' shows those that are;"
            " one that somebody is working on is hidden for up to a minute."
        )
    return found[0]


def _edit(change: str) -> Edit:
    field, separator, text = change.partition("=")
    if not separator or not all(field.split(".")):
        raise click.BadParameter(f"{change!r}: expected FIELD=VALUE", param_hint="--set")
    try:
        return Edit(field, loads(text))
    except ValueError:
        return Edit(field, text)


def _would_fail(letter: DeadLetterMessage, edits: list[Edit]) -> bool:
    try:
        return bool(still_broken(edited(letter.body, edits)))
    except ValueError:
        return True


def _print_dry_run(found: list[DeadLetterMessage], edits: list[Edit], *, as_json: bool) -> None:
    broken = [letter for letter in found if _would_fail(letter, edits)]
    if as_json:
        reasons = Counter(letter.reason for letter in found)
        click.echo(
            json.dumps({"selected": len(found), "would_fail_again": len(broken), "by_reason": reasons})
        )
        return
    print_letters(output(), found)
    click.echo(f"{len(found):,} would be redriven; {len(broken):,} of them would be quarantined again.")


@contextmanager
def _progress(what: str, sqs: "SQSClient", resources: Resources) -> Iterator[Callable[[Settlement], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=depth(sqs, resources.dead_letter_queue_url))

        def show(result: Settlement) -> None:
            done = len(result.settled) + len(result.failed) + len(result.undeleted) + result.passed_over
            progress.update(task, completed=done)

        yield show


def _finish(done: str, result: Settlement, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(settlement_json(done, result)))
    else:
        print_settlement(output(), done, result)
    if not result.succeeded:
        sys.exit(1)
