"""``shipments drill``."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from shipment_events.stages import DEFAULT_STAGE, settings_for
from workbench.engine.errors import LocalEngineError
from workbench.engine.settings import repository_root
from workbench.signals import exit_on_signals

if TYPE_CHECKING:
    from workbench.drill.run import DrillProgress


@click.command(short_help="Inject real faults and account for every event.")
@click.option(
    "--minutes", type=click.FloatRange(0.1, 120), default=2.0, show_default=True,
    help="Minutes of faults. Up to double that, if there were not enough events or faults by then.",
)  # fmt: skip
@click.option(
    "--events",
    type=click.IntRange(min=100),
    default=20_000,
    show_default=True,
    help="Least number of events.",
)
@click.option(
    "--faults", type=click.IntRange(min=0), default=1_000, show_default=True, help="Least number of faults."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True,
    help="The same seed gives the same events, incidents and chances of faults.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def drill(*, minutes: float, events: int, faults: int, seed: int, as_json: bool) -> None:
    """Inject real faults into the real stack on its own local engine, and account for every event.

    Requests are throttled, fail, hang, and are cut off before and after the service acted. Single statements
    of a good answer fail. The functions are killed in the middle of batches and time out. The table is
    unavailable. The engine restarts. The report and the accepted events go to .local/.

    \b
    Example:
      shipments drill --minutes 10 --events 100000 --seed 7

    Exit status: 0 if nothing is lost, doubled, altered or made up, each state is right, each change arrived,
    and there were enough faults; else 1.
    """
    from workbench.drill.run import EVENTS_FILE, DrillPlan, run_drill  # noqa: PLC0415

    console = Console(stderr=True)
    try:
        root = repository_root()
        folder = root / ".local"
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        ) as progress, exit_on_signals():  # fmt: skip
            task = progress.add_task("starting", total=None)
            plan = DrillPlan(
                root=root, folder=folder, seed=seed, minutes=minutes, events=events, faults=faults
            )
            report = run_drill(plan, lambda state: progress.update(task, description=_describe(state)))
    except LocalEngineError as error:
        raise click.ClickException(f"{error}\n{error.next_step}") from error
    result = report.as_json()
    path = folder / "drill.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(result))
    else:
        _print(Console(), result, path, folder / EVENTS_FILE)
    if result["failures"]:
        click.echo(f"Error: {'; '.join(result['failures'])}", err=True)
        sys.exit(1)


def _describe(state: "DrillProgress") -> str:
    parts = [state.phase, f"{state.accepted:,} events on the bus", f"{state.faults:,} faults"]
    if state.waiting:
        parts.append(f"{state.waiting:,} waiting")
    if state.incident:
        parts.append(f"[yellow]{state.incident}[/]")
    return " · ".join(parts)


def _faults(result: Mapping[str, Any]) -> Table:
    faults = Table(title=f"{result['faults']:,} faults", title_justify="left", show_header=False)
    faults.add_column()
    faults.add_column(justify="right")
    for kind, count in result["fault_kinds"].items():
        faults.add_row(kind.replace("_", " "), f"{count:,}")
    for kind, count in result["missed_incidents"].items():
        faults.add_row(f"[yellow]{kind.replace('_', ' ')}, did not happen[/]", f"[yellow]{count:,}[/]")
    return faults


def _print(console: Console, result: Mapping[str, Any], path: Path, events: Path) -> None:
    # The command line imports this module, so this module cannot import it at its start.
    from shipment_events.cli.presentation import add_read_side  # noqa: PLC0415

    console.print(_faults(result))
    outcomes = result["outcomes"]
    table = Table(title="Where every event ended", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_row("accepted by the bus", f"{result['events']:,}", "", end_section=True)
    table.add_row("stored", f"{outcomes['stored']:,}", "one item each")
    table.add_row("duplicate", f"{outcomes['duplicate']:,}", "repeats of a stored event")
    table.add_row("conflict", f"{outcomes['conflict']:,}", "same identity, other content; stored beside it")
    reasons = ", ".join(f"{name} {count:,}" for name, count in outcomes["quarantined_by_reason"].items())
    table.add_row("quarantined", f"{outcomes['quarantined']:,}", reasons, end_section=True)
    for name, meaning in (
        ("lost", "nowhere"),
        ("doubled", "in more than one place"),
        ("altered", "stored as something that was not sent"),
        ("phantom", "found, but never sent"),
        ("misjudged", "good but quarantined, broken but not quarantined, or with a wrong reason"),
    ):
        style = "bold red" if result[name] else "bold green"
        table.add_row(f"[{style}]{name}[/]", f"[{style}]{result[name]:,}[/]", meaning)
    table.add_section()
    table.add_row("redriven", f"{result['redriven']:,}", "retries exhausted; moved back once, then stored")
    table.add_row("sent again", f"{result['sent_again']:,}", "not sent during the faults; published again")
    table.add_row("quarantined again", f"{result['quarantined_again']:,}", "exact repeats of a dead letter")
    add_read_side(table, result["states"], result["changes"])
    console.print(table)
    recovery = result["recovery_seconds"]
    console.print(
        f"Seed {result['seed']}; {result['duration_seconds']:,.0f} s in all; recovered"
        f" {'never' if recovery is None else f'{recovery:,.1f} s'} after the last fault."
        f" Times are scaled: a visibility timeout of {result['visibility_timeout_seconds']} s for"
        f" {settings_for(DEFAULT_STAGE).visibility_timeout_seconds} s,"
        " the processor's in ratio.",
        highlight=False,
    )
    console.print(
        f"Report: {path}\nThe same events without faults: make run FEED={events}",
        style="dim", highlight=False, soft_wrap=True,
    )  # fmt: skip
