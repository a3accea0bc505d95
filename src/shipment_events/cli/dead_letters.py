"""``shipments dead-letters``: see, explain, export, redrive and discard."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, TextIO, cast

import click

from shipment_events.cli.dead_letter_views import (
    explanation_view,
    hidden_note,
    letter_view,
    print_letters,
)
from shipment_events.cli.options import Age, NonEmptyText, command
from shipment_events.cli.presentation import output
from shipment_events.dead_letters.explain import explain
from shipment_events.dead_letters.exports import write_export
from shipment_events.dead_letters.letters import (
    DeadLetterMessage,
    Reading,
    Selection,
    require_one,
)
from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.dead_letters.reasons import DeadLetterReason
from shipment_events.pipeline import Pipeline

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(name="dead-letters")
def dead_letters() -> None:
    """See which events could not be stored and why; repair them.

    No command loses an event. A dead letter is deleted only after the queue has confirmed the event, or after
    a copy is on disk. You can interrupt, kill or repeat each command, and two people can run them at once.
    """


def selected(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select dead letters. The command receives a ``Selection``."""

    @click.option(
        "--reason",
        type=click.Choice([reason.value for reason in DeadLetterReason]),
        metavar="REASON",
        help="Only with this reason code.",
    )
    @click.option("--shipment", type=NonEmptyText(), help="Only of this shipment.")
    @click.option(
        "--id", "identifier", type=NonEmptyText(),
        help="Only with this message id or envelope id, or the beginning of one. --set and discard need"
        " exactly one match.",
    )  # fmt: skip
    @click.option(
        "--older-than", "before", type=Age(), help="Only first queued longer ago than this, for example 2h."
    )
    @click.option("--newer-than", "after", type=Age(), help="Only first queued since then.")
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
@selected
@json_option
@click.pass_obj
def list_command(pipeline: Pipeline, *, selection: Selection, as_json: bool) -> None:
    """List dead letters, grouped by reason.

    \b
    Example:
      shipments dead-letters list --newer-than 1h

    Exit status: 0 there are no dead letters, 1 there are some or some are hidden.
    """
    found = read_selected(pipeline.dead_letters, selection)
    if as_json:
        click.echo(json.dumps([letter.as_json() for letter in found.letters]))
    else:
        print_letters(output(), found)
    if found.letters or found.hidden:
        sys.exit(1)


@dead_letters.command()
@click.argument("identifier", metavar="ID", type=NonEmptyText())
@json_option
@click.pass_obj
def show(pipeline: Pipeline, *, identifier: str, as_json: bool) -> None:
    """Show one dead letter: its attributes and its envelope.

    ID is its message id or its envelope id, or the beginning of one.

    \b
    Example:
      shipments dead-letters show 3f2a
    """
    letter = _one(pipeline, identifier)
    if as_json:
        click.echo(json.dumps(letter.as_json()))
    else:
        output().print(letter_view(letter))


@dead_letters.command(name="explain")
@click.argument("identifier", metavar="ID", type=NonEmptyText())
@json_option
@click.pass_obj
def explain_command(pipeline: Pipeline, *, identifier: str, as_json: bool) -> None:
    """Explain one dead letter: what happened and what to do.

    \b
    Example:
      shipments dead-letters explain 3f2a
    """
    letter = _one(pipeline, identifier)
    explanation = explain(letter, pipeline.stage.environment)
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
                    "remedy": explanation.remedy,
                    "still_broken": explanation.now or None,
                    "next_steps": steps,
                }
            )
        )
    else:
        output().print(explanation_view(letter, explanation))


@dead_letters.command()
@click.argument("file", type=NonEmptyText())
@selected
@click.option("--json", "as_json", is_flag=True, help="Print what was exported, by reason, as JSON.")
@click.pass_obj
def export(pipeline: Pipeline, *, file: str, selection: Selection, as_json: bool) -> None:
    """Write dead letters to a new FILE as NDJSON.

    They stay in the queue. - is standard output.

    \b
    Examples:
      shipments dead-letters export letters.ndjson --reason invalid_field
      shipments dead-letters redrive --from-export letters.ndjson
    """
    if as_json and file == "-":
        raise click.UsageError(
            "standard output already gets the dead letters: name a file, or leave out --json."
        )
    # The file may hold the only copy of discarded dead letters.
    if file != "-" and Path(file).exists():
        raise click.UsageError(f"{file} already exists: name another file.")
    found = read_selected(pipeline.dead_letters, selection).letters
    with click.open_file(file, "w" if file == "-" else "x", encoding="utf-8") as target:
        write_export(cast("TextIO", target), found)
    if as_json:
        reasons = Counter(letter.reason for letter in found)
        click.echo(json.dumps({"exported": len(found), "exported_by_reason": reasons, "file": file}))
    else:
        click.echo(f"{len(found):,} dead letters exported.", err=True)


def read_selected(dead_letters: DeadLetterQueue, selection: Selection) -> Reading:
    """Read the selected visible dead letters. A note on standard error says how many are hidden."""
    found = dead_letters.read()
    if found.hidden:
        click.echo(hidden_note(found.hidden), err=True)
    return Reading(list(filter(selection.takes, found.letters)), found.hidden)


def _one(pipeline: Pipeline, identifier: str) -> DeadLetterMessage:
    selection = Selection(identifier=identifier)
    found = require_one(read_selected(pipeline.dead_letters, selection).letters, selection)
    if not found:
        raise click.ClickException(
            f"no dead letter {identifier!r} is visible. '{command('dead-letters list')}' shows the visible"
            " ones."
            " A dead letter that another command holds is hidden for up to a minute."
        )
    return found[0]
