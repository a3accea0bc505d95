"""``shipments replay``."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from rich.console import Console

from shipment_events.cli.errors import INTERRUPTED
from shipment_events.cli.options import Moment, NonEmptyText, command
from shipment_events.cli.presentation import printable
from shipment_events.contract.outcome import Outcome
from shipment_events.pipeline import Pipeline
from shipment_events.watching.archive import Archive, ReplayPlan, ReplayResult
from shipment_events.watching.replays import Replay, ReplayState
from shipment_events.watching.status_archive import StatusArchive


@click.command()
@click.option(
    "--from",
    "since",
    type=Moment(),
    help="Start of the window: ISO 8601 with an offset, or 2h for two hours ago.",
)
@click.option("--to", "until", type=Moment(), default="0s", help="End of the window. Default: now.")
@click.option(
    "--all-rules", is_flag=True, help="Replay to every rule of the bus, not only to the shipment rule."
)
@click.option(
    "--subscriber", type=NonEmptyText(), metavar="RULE",
    help="Replay changes of shipments instead of events, to this rule of the status bus only.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show the number of events and the cost. Start nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--cancel", type=NonEmptyText(), metavar="NAME", help="Stop a running replay.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def replay(
    pipeline: Pipeline,
    *,
    since: datetime | None,
    until: datetime,
    all_rules: bool,
    subscriber: str | None,
    dry_run: bool,
    yes: bool,
    cancel: str | None,
    as_json: bool,
) -> None:
    """Send a window of an archive to the pipeline or a subscriber.

    An event that is already stored is not stored twice. Events arrive in no particular order. Broken events
    are quarantined again. With --subscriber, the subscriber gets changes that it had before with the same
    change_id.

    \b
    Examples:
      shipments replay --from 2h --to 30m --dry-run
      shipments replay --from 2026-11-20T08:00:00Z --to 2026-11-20T09:30:00Z
      shipments replay --subscriber deliveries-prod --from 1d

    Exit status: 0 the replay is completed, the queue of the pipeline is empty and the log was read to its
    end, 1 otherwise, 130 interrupted (the replay continues).
    """
    if cancel:
        pipeline.archive.cancel(cancel)
        click.echo(f"Replay {cancel} is being cancelled. Events that it already sent stay.", err=True)
        return
    plan = _plan(pipeline, since, until, subscriber, all_rules=all_rules)
    if dry_run:
        if as_json:
            click.echo(json.dumps(_plan_json(plan)))
        return
    if not yes:
        click.confirm("Start it?", abort=True, err=True)
    if subscriber:
        _finish_changes(_follow_changes(pipeline.status_archive, plan), plan, as_json=as_json)
    else:
        _finish_events(_follow(pipeline.archive, plan), plan, as_json=as_json)


def _plan(
    pipeline: Pipeline, since: datetime | None, until: datetime, subscriber: str | None, *, all_rules: bool
) -> ReplayPlan:
    """Plan the replay, and say what it may send and cost."""
    if since is None:
        raise click.UsageError("give the start of the window with --from.")
    if subscriber and all_rules:
        raise click.UsageError("give --subscriber or --all-rules, not both.")
    if subscriber:
        plan = pipeline.status_archive.plan(since, until, subscriber)
        _say_plan(plan, "changes", "a subscriber gets only those that its rule matches")
    else:
        plan = pipeline.archive.plan(since, until, all_rules=all_rules)
        _say_plan(plan, "events", "each event also costs one message and one write")
    return plan


def _follow(archive: Archive, plan: ReplayPlan) -> ReplayResult:
    """Replay, and show the progress."""
    with _shown(plan) as show:
        return archive.replay(
            plan, lambda replay, waiting: show(replay, f", about {waiting:,} messages in the queue")
        )


def _follow_changes(archive: StatusArchive, plan: ReplayPlan) -> Replay:
    """Replay changes, and show the progress."""
    with _shown(plan) as show:
        return archive.replay(plan, lambda replay: show(replay, ""))


@contextmanager
def _shown(plan: ReplayPlan) -> Iterator[Callable[[Replay, str], None]]:
    """Show what the block reports of a replay. Ctrl-C ends only the block."""
    try:
        with Console(stderr=True).status(f"replaying ({plan.name})") as status:
            yield lambda replay, more: status.update(
                f"{replay.state.lower()}, until {replay.replayed_until or 'the first event'}{more}"
            )
    except KeyboardInterrupt:
        click.echo(
            "\nInterrupted; the replay continues. Stop it with: " + command(f"replay --cancel {plan.name}"),
            err=True,
        )
        sys.exit(INTERRUPTED)


def _say_plan(plan: ReplayPlan, what: str, note: str) -> None:
    target = f"the rule {printable(plan.rule_name)}" if plan.rule_name else "every rule of the bus"
    click.echo(
        f"Replay {plan.name} to {target}: about {plan.likely_events:,} {what} if they arrived evenly,"
        f" at most {plan.most_events:,} (the whole archive)."
        f" EventBridge charges at most {plan.most_usd:.2f} USD at its list price; {note}.",
        err=True,
    )
    if plan.is_early:
        click.echo(
            "Warning: the window ends less than 10 minutes ago. The replay misses events that are not in the"
            " archive yet.",
            err=True,
        )


def _finish_events(result: ReplayResult, plan: ReplayPlan, *, as_json: bool) -> None:
    """Say how a replay to the pipeline ended, and what the pipeline made of it."""
    if as_json:
        click.echo(json.dumps({**_plan_json(plan), **_result_json(result)}))
    else:
        _say_result(result)
    is_whole = result.drain.is_empty and result.flow.is_whole
    if result.replay.state is not ReplayState.COMPLETED or not is_whole:
        sys.exit(1)


def _finish_changes(replay: Replay, plan: ReplayPlan, *, as_json: bool) -> None:
    """Say how a replay to a subscriber ended. What the subscriber made of it is not known here."""
    if as_json:
        click.echo(json.dumps({**_plan_json(plan), "state": replay.state.value}))
    else:
        ended = "sent all" if replay.state is ReplayState.COMPLETED else "did not send all"
        rule = printable(plan.rule_name or "")
        click.echo(f"{replay.state.capitalize()}: EventBridge {ended} changes of the window to {rule}.")
    if replay.state is not ReplayState.COMPLETED:
        sys.exit(1)


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
        f"{result.replay.state.capitalize()}: {result.flow.total:,} events processed,"
        f" {counts[Outcome.STORED]:,} newly stored, {counts[Outcome.DUPLICATE]:,} duplicate,"
        f" {counts[Outcome.CONFLICT]:,} conflict, {counts[Outcome.QUARANTINED]:,} quarantined,"
        f" {counts[Outcome.RETRIED]:,} retried. The numbers include live events."
    )
    if not result.drain.is_empty:
        click.echo(
            f"The queue did not stay empty. It holds about {result.drain.waiting:,} messages, live and"
            " replayed, that are not counted yet. Watch them with: " + command("status"),
            err=True,
        )
    if not result.flow.is_whole:
        click.echo("Only a part of the log was read: there were more events than these.", err=True)
