"""The model's answers as tables, JSON and a plot."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from benchmarks.plots import save_plot
from benchmarks.scale_model.loads import loads
from benchmarks.scale_model.outcome import Outcome
from benchmarks.scale_model.quotas import SOURCES, raised
from benchmarks.scale_model.scenario import TIERS, Tier
from workbench.documents import DOCS, markdown_table

DOCUMENT: Final = DOCS / "scale.md"
PLOT: Final = DOCS / "scale.svg"
_HIGH: Final = 0.7


def outcome_table(outcomes: Sequence[Outcome]) -> str:
    """What becomes of each rate."""
    rows = [
        [
            _rate(outcome.scenario.rate),
            f"{outcome.stored_a_second:,.{2 if outcome.stored_a_second < 10 else 0}f}",
            f"{outcome.backlog:,}" + (f" (+{outcome.backlog_grows:,.0f}/s)" if not outcome.keeps_up else ""),
            f"{outcome.ramp_backlog:,}",
            _seconds(outcome.p50),
            _seconds(outcome.p99),
            f"{outcome.batch:.1f}",
            f"{outcome.throttled:.0%}",
            f"{outcome.tightest.name} {outcome.tightest.share:.0%}",
            f"{outcome.holds_until:,.0f}/s",
        ]
        for outcome in outcomes
    ]
    header = [
        "events/s",
        "stored/s",
        "backlog",
        "at its start",
        "p50",
        "p99",
        "batch",
        "throttled",
        "breaks first",
        "at",
    ]
    return markdown_table(header, rows, numbers=True)


def shares_table(outcomes: Sequence[Outcome]) -> str:
    """Which part of each limit is used."""
    names = list(outcomes[0].shares)
    lifts = {load.name: load.lift for load in loads(outcomes[0].scenario)}
    rows = [
        [name, *(_share(outcome.shares[name]) for outcome in outcomes), lifts.get(name, "")] for name in names
    ]
    header = ["limit", *(_rate(outcome.scenario.rate) for outcome in outcomes), "lifted by"]
    return markdown_table(header, rows, numbers=True)


def windows_table(outcomes: Sequence[Outcome]) -> str:
    """What a batching window does to batches and latencies."""
    rows = [
        [
            f"{outcome.scenario.workload.events_per_day:,.0f}",
            f"{outcome.scenario.settings.batching_window_seconds} s",
            f"{outcome.batch:.1f}",
            _seconds(outcome.p50),
            _seconds(outcome.p99),
        ]
        for outcome in outcomes
    ]
    return markdown_table(["events a day", "window", "batch", "p50", "p99"], rows, numbers=True)


def tiers_table(tiers: Sequence[Tier] = TIERS) -> str:
    """What to set, and what to ask of AWS."""
    rows = []
    for tier in tiers:
        settings = ", ".join(f"`{name}={value}`" for name, value in tier.settings.items())
        asked = raised(tier.scenario().quotas)
        quotas = "; ".join(
            f"{SOURCES[name].increase} {before:,.0f} → {after:,.0f}"
            for name, (before, after) in asked.items()
        )
        rows.append([_rate(tier.rate), settings or "nothing", quotas or "nothing"])
    return markdown_table(["events/s", "settings of the stage", "quotas to raise at AWS"], rows)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """One run, for scripts; latencies in milliseconds."""
    scenario = outcome.scenario
    return {
        "events_per_second": scenario.rate,
        "settings": asdict(scenario.settings),
        "quotas_raised": {name: after for name, (_, after) in raised(scenario.quotas).items()},
        "stored_per_second": round(outcome.stored_a_second, 3),
        "keeps_up": outcome.keeps_up,
        "backlog": outcome.backlog,
        "backlog_growth_per_second": round(outcome.backlog_grows, 1),
        "backlog_of_the_ramp": outcome.ramp_backlog,
        "latency_ms": {
            name: round(seconds * 1000, 1)
            for name, seconds in (("p50", outcome.p50), ("p99", outcome.p99), ("p99.9", outcome.p999))
        },
        "events_per_batch": round(outcome.batch, 2),
        "throttled_share": round(outcome.throttled, 4),
        "returned_share": round(outcome.returned, 4),
        "dead_letters": outcome.dead,
        "shares": {name: round(share, 4) for name, share in outcome.shares.items()},
        "breaks_first": {
            "limit": outcome.tightest.name,
            "share": round(outcome.tightest.share, 4),
            "at_events_per_second": round(outcome.holds_until),
            "lifted_by": outcome.tightest.lift,
        },
    }


def plot(as_deployed: Sequence[Outcome], matching: Sequence[Outcome]) -> None:
    """Latency and the tightest limit over the rate."""
    from matplotlib import pyplot  # noqa: PLC0415 - only the environment of the benchmarks has it

    figure, (latency, limit) = pyplot.subplots(1, 2, figsize=(9, 3.6))
    for outcomes, name, colour in (
        (as_deployed, "as deployed", "#c8623f"),
        (matching, "matching settings", "#3b6ea5"),
    ):
        rates = [outcome.scenario.rate for outcome in outcomes]
        for percentile, line in (("p99", "o-"), ("p50", "o:")):
            times = [1000 * getattr(outcome, percentile) for outcome in outcomes]
            latency.plot(rates, times, line, color=colour, label=f"{percentile}, {name}")
        highest = [100 * outcome.highest_share for outcome in outcomes]
        limit.plot(rates, highest, "o-", color=colour, label=name)
    limit.axhline(100 * _HIGH, color="#777777", linewidth=0.8, linestyle="--")
    limit.axhline(100, color="#777777", linewidth=0.8)
    for axes, title in ((latency, "PutEvents to stored (ms)"), (limit, "Tightest limit, used (%)")):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("events a second")
        axes.set_title(title, size=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7, frameon=False)
    figure.tight_layout()
    save_plot(figure, PLOT)


def _rate(rate: float) -> str:
    return f"{rate:,.2f}" if rate < 1 else f"{rate:,.0f}"


def _share(share: float) -> str:
    text = f"{share:.0%}" if share >= 0.01 else "<1%"
    return f"**{text}**" if share > _HIGH else text


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < 10 else f"{seconds:,.0f} s"
