"""``shipments audit``."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from shipment_events.accounting.audit import audit_journal
from shipment_events.accounting.reconcile import Reconciliation
from shipment_events.cli.dead_letter_views import APPROXIMATE, HIDDEN
from shipment_events.cli.options import FilePath, command
from shipment_events.cli.presentation import LONGEST_SENTENCE, counts, output, print_table, printable, short
from shipment_events.pipeline import Pipeline
from shipment_events.publishing.journal import JournalRecord
from shipment_events.queue.timing import QueueTiming

_SHOWN = 20


@click.command()
@click.argument("journal", type=FilePath(exists=True))
@click.option(
    "--export", "exports", multiple=True, type=FilePath(exists=True),
    help="File that 'dead-letters redrive --set' or 'discard' wrote, oldest first. A changed event must be"
    " stored as changed, a discarded one nowhere.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print all findings as JSON.")
@click.pass_obj
def audit(pipeline: Pipeline, *, journal: Path, exports: tuple[Path, ...], as_json: bool) -> None:
    """Account for every event of a producer's JOURNAL.

    Each must be in the table once, or be a dead letter. 'shipments publish --journal' and 'shipments run'
    write journals. EventBridge cannot list the events of an archive. If a window has no journal, replay it:
    an event that is already stored is not stored twice.

    \b
    Examples:
      shipments audit journal.ndjson
      shipments audit journal.ndjson --export originals.ndjson

    Exit status: 0 every event is accounted for, 1 some are missing, doubled or different.
    """
    # Counted before and after, because an event may move from the queue to the dead letters meanwhile.
    waiting = pipeline.queue.depth().total
    console = Console(stderr=True)
    columns = (TextColumn("reading shipments"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        found = audit_journal(
            journal,
            pipeline.table,
            pipeline.dead_letters,
            exports=exports,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if not found.published:
        raise click.ClickException(f"{journal} has no records: there is nothing to account for.")
    waiting = max(waiting, pipeline.queue.depth().total)
    if as_json:
        click.echo(json.dumps(_as_json(found, waiting)))
    else:
        _print(output(), found, waiting, pipeline.queue.timing, has_exports=bool(exports))
    if found.lost or found.doubled or found.altered:
        sys.exit(1)


def _as_json(found: Reconciliation, waiting: int) -> dict[str, Any]:
    return {
        "published": found.published,
        "stored": found.stored,
        "duplicate": found.duplicate,
        "conflict": found.conflict,
        "dead_letters": found.quarantined,
        "dead_letters_by_reason": dict(sorted(found.quarantined_by_reason.items())),
        "discarded": found.discarded,
        "waiting": waiting,
        "hidden_dead_letters": found.hidden_dead_letters,
        "missing": [_named(record) for record in found.lost],
        "doubled": found.doubled,
        "different": found.altered,
    }


def _named(record: JournalRecord) -> dict[str, Any]:
    detail = json.loads(record.detail)
    return {
        "envelope_id": record.envelope_id,
        "sent_at": record.sent_at,
        "shipment_id": detail.get("shipment_id"),
        "event_id": detail.get("event_id"),
    }


def _print(
    console: Console, found: Reconciliation, waiting: int, timing: QueueTiming, *, has_exports: bool
) -> None:
    reasons = counts(dict(sorted(found.quarantined_by_reason.items())))
    text = (
        f"{found.published:,} published: {found.stored:,} stored, {found.duplicate:,} duplicate,"
        f" {found.conflict:,} conflict, {found.quarantined:,} dead letters"
        + (f" ({reasons})" if reasons else "")
        + (f", {found.discarded:,} discarded" if found.discarded else "")
    )
    console.print(Text(text))
    if found.lost:
        title = f"{len(found.lost):,} missing: neither stored nor a dead letter"
        table = Table(title=title, title_justify="left", header_style="bold")
        for name in ("envelope id", "shipment", "event id", "sent at"):
            table.add_column(name, overflow="fold")
        for record in found.lost[:_SHOWN]:
            named = _named(record)
            values = (named["envelope_id"], named["shipment_id"], named["event_id"], named["sent_at"])
            table.add_row(*(Text(short(value)) for value in values))
        print_table(console, table)
        console.print(_about_missing(found, waiting, timing), highlight=False)
    for title, findings in (("doubled", found.doubled), ("different from what was sent", found.altered)):
        if findings:
            console.print(f"{len(findings):,} {title}:", style="bold red")
            for finding in findings[:_SHOWN]:
                console.print(Text(f"  {printable(finding, most=LONGEST_SENTENCE)}"))
    if (found.lost or found.altered) and not has_exports:
        console.print(
            "If dead letters were discarded, or changed by a redrive, give the exported files with"
            " --export FILE.",
            highlight=False,
        )
    if max(len(found.lost), len(found.doubled), len(found.altered)) > _SHOWN:
        console.print(f"Only the first {_SHOWN} of each are shown; --json lists all.", style="dim")
    if not (found.lost or found.doubled or found.altered):
        console.print("Nothing is missing, doubled or different.", style="bold green")


def _about_missing(found: Reconciliation, waiting: int, timing: QueueTiming) -> str:
    if waiting:
        return f"About {waiting:,} messages are in the queue {APPROXIMATE}. Audit again when it is empty."
    if found.hidden_dead_letters:
        hidden = f"About {found.hidden_dead_letters:,} dead letters are hidden {APPROXIMATE}"
        return f"{hidden} and may be the missing ones: {HIDDEN}"
    # The queue's count may not include an event that was sent just now.
    seconds = max(timing.settling_seconds, timing.delivery_seconds)
    if young := found.undelivered(datetime.now(UTC), seconds):
        last = max(datetime.fromisoformat(record.sent_at) for record in young)
        until = (last + timedelta(seconds=seconds)).isoformat(timespec="seconds")
        return (
            f"{len(young):,} may still arrive: EventBridge tries until {until}. Audit again then, or"
            f" replay that time now ({command('replay')}): no event is stored twice."
        )
    return (
        f"Replay that time from the archive ({command('replay')}), or publish the events again. No event is"
        " stored twice."
    )
