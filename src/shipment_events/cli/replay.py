"""``shipments replay``."""

import json
import sys
from datetime import datetime
from typing import Any

import click
from rich.console import Console

from shipment_events.cli.errors import INTERRUPTED
from shipment_events.cli.options import Moment, NonEmptyText
from shipment_events.contract.outcome import Outcome
from shipment_events.pipeline import Pipeline
from shipment_events.watching.archive import ReplayPlan, ReplayResult
from shipment_events.watching.replays import ReplayState


@click.command()
@click.option(
    "--from", "since", type=Moment(), help="Begin of the window: ISO 8601 with offset, or 2h for ago."
)
@click.option("--to", "until", type=Moment(), default="0s", help="End of the window; without it now.")
@click.option(
    "--all-rules", is_flag=True, help="To every rule of the bus, not to that of shipment events only."
)
@click.option("--dry-run", is_flag=True, help="Say what it would mean, and start nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--cancel", type=NonEmptyText(), metavar="NAME", help="Stop a replay that runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def replay(
    pipeline: Pipeline,
    *,
    since: datetime | None,
    until: datetime,
    all_rules: bool,
    dry_run: bool,
    yes: bool,
    cancel: str | None,
    as_json: bool,
) -> None:
    """Send a window of the archive through the pipeline again; what is stored already is not stored twice.

    Events come in no particular order. Broken ones are quarantined anew.

    \b
    Examples:
      shipments replay --from 2h --to 30m --dry-run
      shipments replay --from 2026-11-20T08:00:00Z --to 2026-11-20T09:30:00Z

    Exit status: 0 the replay is through, 1 it is not or the queue did not stay empty, 130 interrupted (the
    replay goes on).
    """
    if cancel:
        pipeline.archive.cancel(cancel)
        click.echo(f"Replay {cancel} is being cancelled; what it has replayed stays.", err=True)
        return
    if since is None:
        raise click.UsageError("name the begin of the window with --from.")
    plan = pipeline.archive.plan(since, until, all_rules=all_rules)
    _say_plan(plan)
    if dry_run:
        if as_json:
            click.echo(json.dumps(_plan_json(plan)))
        return
    if not yes:
        click.confirm("Start it?", abort=True, err=True)
    console = Console(stderr=True)
    try:
        with console.status(f"replaying ({plan.name})") as status:
            result = pipeline.archive.replay(
                plan,
                lambda state, waiting: status.update(
                    f"{state.state.lower()}, until {state.replayed_until or 'the first event'},"
                    f" about {waiting:,} messages in the queue"
                ),
            )
    except KeyboardInterrupt:
        click.echo(
            f"\nInterrupted; the replay goes on. Stop it with: shipments replay --cancel {plan.name}",
            err=True,
        )
        sys.exit(INTERRUPTED)
    if as_json:
        click.echo(json.dumps({**_plan_json(plan), **_result_json(result)}))
    else:
        _say_result(result)
    is_whole = result.drain.is_empty and result.flow.is_whole
    if result.replay.state is not ReplayState.COMPLETED or not is_whole:
        sys.exit(1)


def _say_plan(plan: ReplayPlan) -> None:
    target = f"the rule {plan.rule_name}" if plan.rule_name else "every rule of the bus"
    click.echo(
        f"Replay {plan.name} to {target}: about {plan.likely_events:,} events if they came evenly,"
        f" {plan.most_events:,} at most (all that the archive holds)."
        f" EventBridge charges at most {plan.most_usd:.2f} USD at its list price; each event is one more"
        " message and one more write.",
        err=True,
    )
    if plan.is_early:
        click.echo(
            "Warning: the window ends less than 10 minutes ago. Its last events may not be in the archive"
            " yet and would be left out.",
            err=True,
        )


def _plan_json(plan: ReplayPlan) -> dict[str, Any]:
    return {
        "replay": plan.name,
        "from": plan.since.isoformat(),
        "to": plan.until.isoformat(),
        "rule": plan.rule_name,
        "likely_events": plan.likely_events,
        "most_events": plan.most_events,
        "most_usd": round(plan.most_usd, 4),
        "ends_within_ten_minutes": plan.is_early,
    }


def _result_json(result: ReplayResult) -> dict[str, Any]:
    return {
        "state": result.replay.state.value,
        "processed": result.flow.total,
        **{outcome.value: result.flow.counts[outcome] for outcome in Outcome},
        "waiting": result.drain.waiting,
        "queue_empty_seconds": round(result.drain.empty_seconds, 1) if result.drain.is_empty else None,
    }


def _say_result(result: ReplayResult) -> None:
    counts = result.flow.counts
    click.echo(
        f"{result.replay.state.capitalize()}: {result.flow.total:,} events processed since,"
        f" {counts[Outcome.STORED]:,} newly stored, {counts[Outcome.DUPLICATE]:,} duplicate,"
        f" {counts[Outcome.CONFLICT]:,} conflict, {counts[Outcome.QUARANTINED]:,} quarantined,"
        f" {counts[Outcome.RETRIED]:,} retried. Live events of that time are among them."
    )
    if not result.drain.is_empty:
        click.echo(
            f"The queue did not stay empty; about {result.drain.waiting:,} messages are in it, live events"
            " included. What of them was replayed is not counted yet: shipments status",
            err=True,
        )
    if not result.flow.is_whole:
        click.echo("The log has more lines than are read: there were more events than these.", err=True)
