"""``shipments cost``."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from shipment_events.cli.presentation import output
from shipment_events.contract.limits import MAX_ITEM_BYTES
from shipment_events.cost.bill import Bill, prices_checked
from shipment_events.cost.estimate import Estimate, estimate
from shipment_events.cost.workload import TYPICAL_DUPLICATE_SHARE, TYPICAL_EVENT_BYTES, Workload
from shipment_events.pipeline import Pipeline
from shipment_events.stage_limits import MAX_BATCH_SIZE, MAX_BATCHING_WINDOW_SECONDS
from shipment_events.stages import STAGES, settings_for

_MANY_A_SECOND: Final = 10
"""Events per second. With fewer, a batching window of 1 s delays events for much longer than a second."""


@click.command()
@click.option("--events-per-day", type=click.FloatRange(min=1), required=True, help="Mean events per day.")
@click.option(
    "--event-bytes", type=click.IntRange(1, MAX_ITEM_BYTES), default=TYPICAL_EVENT_BYTES, show_default=True,
    help="Size of an event's detail as JSON, in bytes.",
)  # fmt: skip
@click.option(
    "--stage", type=click.Choice(list(STAGES)), help="Stage whose settings are used. Default: that of --env."
)
@click.option(
    "--duplicate-share", type=click.FloatRange(0, 1), default=TYPICAL_DUPLICATE_SHARE, show_default=True,
    help="Share of the events that repeat a stored one.",
)  # fmt: skip
@click.option(
    "--api-requests-per-day", type=click.FloatRange(min=0), default=0, show_default=True,
    help="Mean requests per day for the state of a shipment by the HTTP API.",
)  # fmt: skip
@click.option(
    "--api-unchanged-share", type=click.FloatRange(0, 1), default=0, show_default=True,
    help="Share of these requests that is answered with 304.",
)  # fmt: skip
@click.option(
    "--batch",
    type=click.FloatRange(1, MAX_BATCH_SIZE),
    help="Mean number of events per batch. Default: estimated.",
)
@click.option(
    "--batching-window",
    type=click.IntRange(0, MAX_BATCHING_WINDOW_SECONDS),
    help="Batching window of the event source in seconds. Default: that of the stage.",
)
@click.option(
    "--batch-ms", type=click.FloatRange(min=1),
    help="Duration of one invocation in milliseconds. Default: the formula in docs/cost.md.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the bill as JSON.")
@click.pass_obj
def cost(
    pipeline: Pipeline,
    *,
    events_per_day: float,
    event_bytes: int,
    stage: str | None,
    duplicate_share: float,
    api_requests_per_day: float,
    api_unchanged_share: float,
    batch: float | None,
    batching_window: int | None,
    batch_ms: float | None,
    as_json: bool,
) -> None:
    """Estimate the monthly bill of a stage and of other designs.

    The estimate uses AWS's list prices of US East (N. Virginia) without free tiers. It assumes a steady rate,
    and a stage that is older than its retention. It needs no AWS account.

    \b
    Examples:
      shipments cost --events-per-day 1000000
      shipments cost --events-per-day 30000 --stage prod --event-bytes 800
      shipments cost --events-per-day 1000000 --batching-window 1

    Exit status: 0 the bill was made.
    """
    settings = settings_for(stage) if stage else pipeline.stage
    if batching_window is not None:
        settings = replace(settings, batching_window_seconds=batching_window)
    workload = Workload(
        events_per_day=events_per_day,
        event_bytes=event_bytes,
        duplicate_share=duplicate_share,
        api_requests_per_day=api_requests_per_day,
        api_unchanged_share=api_unchanged_share,
    )
    found = estimate(workload, settings, batch=batch, batch_ms=batch_ms)
    if as_json:
        click.echo(json.dumps(_as_json(found)))
    else:
        _print(found)


def _print(found: Estimate) -> None:
    console = output()
    settings, savings = found.settings, found.savings
    console.print(_bill_table(found.ours, found.workload, settings.environment))
    console.print(_designs_table(found.bills, found.workload))
    if settings.tracking:
        console.print(
            f"Tracking costs {savings['tracking']:,.2f} USD of the bill, with its alarms."
            " tracking=False leaves it out."
        )
    if "etag" in savings:
        console.print(f"Responses with 304 save {savings['etag']:,.2f} USD of transfer.")
    if savings["infrequent_access"] > 0:
        other_class = "standard" if settings.infrequent_access else "infrequent access"
        console.print(
            f"The table class {other_class} would save {savings['infrequent_access']:,.2f} USD"
            " (infrequent_access)."
        )
    saved = savings.get("batching_window_seconds", 0)
    if saved > 0 and found.workload.events_per_second >= _MANY_A_SECOND:
        console.print(
            f"A batching window of 1 s would save {saved:,.2f} USD (batching_window_seconds). Events would"
            " then wait up to a second (docs/scale.md). Try it with --batching-window 1."
        )
    if settings.batching_window_seconds:
        console.print(
            f"Events wait up to {settings.batching_window_seconds} s longer (batching_window_seconds),"
            " and up to 20 s if events are few."
        )
    click.echo(
        f"List prices of us-east-1, checked {prices_checked()}. docs/cost.md has assumptions and sources.",
    )
    for warning in found.warnings:
        Console(stderr=True).print(f"[yellow]Warning:[/] {warning}")


def _bill_table(bill: Bill, workload: Workload, stage: str) -> Table:
    table = Table(
        title=f"Stage {stage}: {workload.events_per_day:,.0f} events a day of {workload.event_bytes:,} bytes,"
        f" {bill.batch:,.1f} a batch",
        title_justify="left",
        header_style="bold",
        show_footer=True,
    )
    table.add_column("service")
    table.add_column("item", "a month")
    table.add_column("quantity", justify="right")
    table.add_column("unit")
    table.add_column("USD", f"{bill.usd:,.2f}", justify="right")
    shown = ""
    for line in bill.lines:
        service = line.usage.service
        if shown and service != shown:
            table.add_section()
        quantity = f"{line.usage.quantity:,.{0 if line.usage.quantity >= 100 else 2}f}"
        table.add_row(
            "" if service == shown else service, line.usage.item, quantity, line.unit, f"{line.usd:,.2f}"
        )
        shown = service
    return table


def _designs_table(bills: Sequence[Bill], workload: Workload) -> Table:
    table = Table(title="The same promise by other processors", title_justify="left", header_style="bold")
    table.add_column("design")
    table.add_column("USD a month", justify="right")
    table.add_column("USD a million events", justify="right")
    table.add_column("ours to it", justify="right")
    for bill in bills:
        table.add_row(
            f"{bill.design.name}: {bill.design.what}",
            f"{bill.usd:,.2f}",
            f"{bill.usd / workload.events * 1e6:,.2f}",
            f"{bills[0].usd / bill.usd:.0%}",
        )
    return table


def _as_json(found: Estimate) -> dict[str, Any]:
    ours, workload, settings, savings = found.ours, found.workload, found.settings, found.savings
    return {
        "stage": settings.environment,
        "events_per_day": workload.events_per_day,
        "event_bytes": workload.event_bytes,
        "duplicate_share": workload.duplicate_share,
        "api_requests_per_day": workload.api_requests_per_day,
        "api_unchanged_share": workload.api_unchanged_share,
        "batching_window_seconds": settings.batching_window_seconds,
        "prices_checked": prices_checked().isoformat(),
        "usd": round(ours.usd, 4),
        "events_per_batch": round(ours.batch, 3),
        "items": [
            {
                "service": line.usage.service,
                "item": line.usage.item,
                "quantity": round(line.usage.quantity, 3),
                "unit": line.unit,
                "usd": round(line.usd, 4),
            }
            for line in ours.lines
        ],
        "designs": {
            bill.design.name: {"usd": round(bill.usd, 4), "ratio": round(ours.usd / bill.usd, 4)}
            for bill in found.bills
        },
        "other_table_class_saves_usd": round(savings["infrequent_access"], 4),
        "batching_window_of_a_second_saves_usd": (
            round(savings["batching_window_seconds"], 4) if "batching_window_seconds" in savings else None
        ),
        "tracking_costs_usd": round(savings.get("tracking", 0), 4),
        "warnings": list(found.warnings),
    }
