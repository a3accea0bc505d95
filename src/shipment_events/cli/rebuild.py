"""``shipments rebuild``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from shipment_events.cli.errors import INTERRUPTED, FailedError
from shipment_events.cli.options import NonEmptyText, command
from shipment_events.cli.presentation import (
    LONGEST_SENTENCE,
    json_line,
    output,
    print_table,
    printable,
    short,
)
from shipment_events.contract.moments import now, utc_text
from shipment_events.pipeline import Pipeline
from shipment_events.rebuilding.examined import Examined, Verdict
from shipment_events.rebuilding.examiner import RECENT
from shipment_events.rebuilding.failure_queue import Repair
from shipment_events.rebuilding.rebuilder import Listener, Rebuilt
from shipment_events.table.scan import TableSize
from shipment_events.tracking.item import MEMORY

_SHOWN: Final = 20
_LONGEST_VALUE: Final = 60


@click.command()
@click.option(
    "--shipment", "ids", multiple=True, type=NonEmptyText(), metavar="ID", help="Only this shipment."
)
@click.option(
    "--failures", is_flag=True,
    help="Repair and announce what the tracker's queue for failures names. Delete each message after that.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Compare only. Write and announce nothing.")
@click.option(
    "--announce", is_flag=True,
    help="Announce the current status and estimate of each shipment if no one has announced them.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per finding, and the counts.")
@click.pass_obj
def rebuild(
    pipeline: Pipeline,
    *,
    ids: tuple[str, ...],
    failures: bool,
    dry_run: bool,
    announce: bool,
    as_json: bool,
) -> None:
    """Compute states from the events again; write what differs.

    Without --shipment or --failures, the whole table of events is read. With --dry-run, this checks that all
    states are right; a difference is read again before it is reported. You can interrupt and repeat the
    command, and run it while the pipeline works. It keeps values of expired events, and what the watcher has
    announced.

    \b
    Examples:
      shipments rebuild --dry-run
      shipments rebuild --shipment C2K-00030
      shipments rebuild --failures

    Exit status: 0 all is right or was rebuilt, 1 states differ (--dry-run), an event cannot be folded or a
    message stays in the queue, 2 a shipment that could not be rebuilt, 130 interrupted.
    """
    if ids and failures:
        raise click.UsageError("give --shipment or --failures, not both.")
    report = _Report(dry_run=dry_run, as_json=as_json)
    kept: Repair | None = None
    if failures:
        queue = pipeline.tracking_failures
        with _progress(None) as on_progress:
            kept = queue.repair(dry_run=dry_run, listener=Listener(report.on_shipment, on_progress))
        rebuilt = kept.rebuilt
    elif ids:
        with _progress(None) as on_progress:
            listener = Listener(report.on_shipment, on_progress)
            rebuilt = pipeline.rebuilder.rebuild(ids, dry_run=dry_run, announce=announce, listener=listener)
    else:
        size = pipeline.rebuilder.size()
        click.echo(_cost(pipeline.table.name, size), err=True)
        with _progress(size.items) as on_progress:
            listener = Listener(report.on_shipment, on_progress)
            rebuilt = pipeline.rebuilder.rebuild_all(dry_run=dry_run, announce=announce, listener=listener)
    report.finish(rebuilt, kept)
    _exit(rebuilt, kept, named=bool(ids))


def _cost(table: str, size: TableSize) -> str:
    return (
        f"Reading all of {table}: about {size.items:,} events and {size.read_units:,} read units, as counted"
        " within the last six hours."
    )


@contextmanager
def _progress(total: int | None) -> Iterator[Any]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=total)

        def show(rebuilt: Rebuilt) -> None:
            what = f"{rebuilt.shipments:,} shipments, {rebuilt.events:,} events"
            # The table can have more events by now.
            most = None if total is None else max(total, rebuilt.events)
            progress.update(task, completed=rebuilt.events, total=most, description=what)

        yield show


class _Report:
    """Prints each finding as JSON at once, or keeps the first ones for a table."""

    def __init__(self, *, dry_run: bool, as_json: bool) -> None:
        self._dry_run = dry_run
        self._as_json = as_json
        self._shown: list[Examined] = []
        self._recent = 0

    def on_shipment(self, examined: Examined) -> None:
        """Take a shipment that is not simply the same."""
        if self._as_json:
            click.echo(json_line(_as_json(examined)))
            return
        since = utc_text(now() - RECENT)
        self._recent += examined.verdict is Verdict.DIFFERENT and examined.stored_at > since
        if len(self._shown) < _SHOWN:
            self._shown.append(examined)

    def finish(self, rebuilt: Rebuilt, repair: Repair | None) -> None:
        """Print the rest."""
        if self._as_json:
            for failure, why in repair.kept if repair else ():
                named = {"shipment_id": failure.shipment_id, "event_timestamp": failure.sort_key}
                click.echo(json_line({"kept": {**named, "reason": failure.reason, "why": why}}))
            click.echo(json_line({"summary": _counts(rebuilt, repair)}))
            return
        console = output()
        if self._shown:
            print_table(console, _table(self._shown))
        findings = rebuilt.shipments - rebuilt.verdicts[Verdict.SAME]
        if findings > _SHOWN:
            console.print(f"Only the first {_SHOWN} are shown; --json lists all.", style="dim")
        for failure, why in (repair.kept if repair else [])[:_SHOWN]:
            where = " ".join(filter(None, (short(failure.shipment_id), short(failure.sort_key))))
            console.print(
                Text(f"stays in the queue: {where} {printable(why, most=LONGEST_SENTENCE)}", "bold red")
            )
        console.print(Text(self._sentence(rebuilt, repair)))
        if self._recent:
            console.print(
                f"{self._recent:,} of them had an event less than a minute ago: the tracker may be about to"
                " write them. Compare again, and look at the lag in: " + command("status"),
                highlight=False,
            )

    def _sentence(self, rebuilt: Rebuilt, repair: Repair | None) -> str:
        would = "would be " if self._dry_run else ""
        names = {Verdict.SAME: "right", Verdict.REBUILT: "rebuilt", Verdict.DIFFERENT: "different"}
        parts = [
            f"{rebuilt.verdicts[verdict]:,} {name}"
            for verdict, name in names.items()
            if rebuilt.verdicts[verdict]
        ]
        parts += [
            f"{count:,} {what}"
            for count, what in (
                (rebuilt.verdicts[Verdict.ABSENT], "without a state and without events"),
                (rebuilt.verdicts[Verdict.FAILED], "failed"),
                (rebuilt.changes, f"changes {would}announced"),
                (rebuilt.unfoldable, "items that are not events"),
                (rebuilt.lost_races, "read again because another writer was first"),
                (repair.deleted if repair else 0, f"messages {would}deleted"),
                (len(repair.kept) if repair else 0, "messages stay"),
                (repair.unseen if repair else 0, "messages hidden by others"),
            )
            if count
        ]
        return f"{rebuilt.shipments:,} shipments: {', '.join(parts) or 'nothing to do'}"


def _table(shown: list[Examined]) -> Table:
    table = Table(header_style="bold")
    table.add_column("shipment", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("what", overflow="fold")
    for one in shown:
        what = "\n".join(_lines(one))
        table.add_row(*map(Text, (short(one.shipment_id), one.verdict.value, what)))
    return table


def _lines(one: Examined) -> Iterator[str]:
    if one.why:
        yield printable(one.why, most=LONGEST_SENTENCE)
    missing = bool(one.attributes) and all(has is None for has, _ in one.attributes.values())
    if missing:
        yield "there was no state" if one.verdict is Verdict.REBUILT else "there is no state"
    else:
        for name, (has, wanted) in one.attributes.items():
            # It is the fold's own, and long.
            yield name if name == MEMORY else f"{name}: {_value(has)} → {_value(wanted)}"
    for failure in one.unfoldable:
        reason = printable(failure.reason, most=LONGEST_SENTENCE)
        yield f"cannot be folded: {short(failure.sort_key)}: {reason}"


def _value(value: Any) -> str:
    return "none" if value is None else printable(value, most=_LONGEST_VALUE)


def _as_json(one: Examined) -> dict[str, Any]:
    return {
        "shipment_id": one.shipment_id,
        "verdict": one.verdict.value,
        "attributes": {
            name: {"state": has, "events": wanted} for name, (has, wanted) in one.attributes.items()
        },
        "changes": [{"kind": change.kind.value, "change_id": change.change_id} for change in one.changes],
        "unfoldable": [{"event_timestamp": item.sort_key, "reason": item.reason} for item in one.unfoldable],
        "last_stored_at": one.stored_at or None,
        "why": one.why or None,
    }


def _counts(rebuilt: Rebuilt, repair: Repair | None) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "shipments": rebuilt.shipments,
        "events_scanned": rebuilt.events,
        **{verdict.value: rebuilt.verdicts[verdict] for verdict in Verdict},
        "changes": rebuilt.changes,
        "unfoldable": rebuilt.unfoldable,
        "lost_races": rebuilt.lost_races,
        "interrupted": rebuilt.interrupted,
    }
    if repair:
        counts |= {"messages_deleted": repair.deleted, "messages_kept": len(repair.kept)}
        counts["messages_hidden"] = repair.unseen
    return counts


def _exit(rebuilt: Rebuilt, repair: Repair | None, *, named: bool) -> None:
    if rebuilt.interrupted:
        sys.exit(INTERRUPTED)
    if failed := rebuilt.verdicts[Verdict.FAILED]:
        raise FailedError(f"{failed:,} shipments could not be compared or rebuilt. Repeat the command.")
    if named and rebuilt.verdicts[Verdict.ABSENT]:
        raise FailedError(
            f"{rebuilt.verdicts[Verdict.ABSENT]:,} of the shipments have no events. Check the ids."
        )
    if (
        rebuilt.verdicts[Verdict.DIFFERENT]
        or rebuilt.unfoldable
        or (repair and (repair.kept or repair.unseen))
    ):
        sys.exit(1)
