"""The tables of docs/cost.md, which ``make docs`` writes, and its plot: ``python -m benchmarks.cost``."""

from dataclasses import replace
from itertools import count
from typing import Final

from benchmarks.plots import save_plot
from shipment_events.cost.bill import Bill, compared, monthly_bill
from shipment_events.cost.designs import DESIGNS, OURS, TEXTBOOK
from shipment_events.cost.limits import exceeded
from shipment_events.cost.traces import TRACED_A_SECOND, TRACED_SHARE
from shipment_events.cost.usage import ASSUMED_POLL_MS, LOG_COMPRESSION, STANDARD_POLLERS
from shipment_events.cost.workload import (
    ENVELOPE_BYTES,
    ITEM_BYTES,
    STORED_ITEM_OVERHEAD,
    TYPICAL_EVENT_BYTES,
    WRITE_UNIT,
    Workload,
)
from shipment_events.stages import settings_for
from workbench.documents import DOCS, markdown_table

PLOT: Final = DOCS / "cost.svg"
STAGE: Final = settings_for("prod")
PROCESSING: Final = replace(STAGE, tracking=False)
"""The stage without tracking, which would be the same for all designs."""
RATES: Final = {
    "30 thousand": 3e4,
    "1 million": 1e6,
    "10 million": 1e7,
    "100 million": 1e8,
    "864 million": 8.64e8,
}
"""Events a day. The last number is 10,000 a second."""
_COLOURS: Final = ("#3b6ea5", "#5aa0a8", "#8fbf6b", "#e0a83b", "#c8623f", "#8a5a9e", "#777777", "#b0b7c3")


def bills_table() -> str:
    """The bill by service, and up to which rate it is one of the stage as it is."""
    services = list(_bill(1).by_service())
    rows = []
    for name, events in RATES.items():
        bill = _bill(events)
        by_service = bill.by_service()
        rows.append([name, *(_usd(by_service[service]) for service in services), f"**{_usd(bill.usd)}**"])
    too_many = next(
        millions
        for millions in count(1)
        if exceeded(Workload(events_per_day=millions * 1e6, duplicate_share=0), STAGE, OURS)
    )
    table = markdown_table(["events a day", *services, "a month"], rows, numbers=True)
    return f"""{table}

USD a month for the stage `{STAGE.environment}` and events of {TYPICAL_EVENT_BYTES} bytes, the mean of
`shipments feed`. Above {too_many - 1} million events a day a stage needs
[other settings](scale.md#what-to-set). Provisioned pollers cost extra, and `warm_write_units` once."""


def designs_table() -> str:
    """Total of each design, and the ratio of ours to it."""
    rows = []
    for name, events in RATES.items():
        ours, *others = compared(Workload(events_per_day=events), PROCESSING)
        cells = [text for bill in others for text in (_usd(bill.usd), f"{ours.usd / bill.usd:.1%}")]
        rows.append([name, _usd(ours.usd), *cells])
    heads = [text for design in DESIGNS[1:] for text in (design.name, f"ours to {design.name}")]
    return markdown_table(["events a day", OURS.name, *heads], rows, numbers=True)


def settings_table() -> str:
    """Ratio of ours to the textbook with the same settings for both, and what a batching window saves."""
    same = replace(TEXTBOOK, infrequent_access=None, batching_window_seconds=None, platform_log_bytes=0)
    windowed = replace(PROCESSING, batching_window_seconds=1)
    rows = []
    for name, events in RATES.items():
        workload = Workload(events_per_day=events)
        ours, textbook = (monthly_bill(workload, PROCESSING, design).usd for design in (OURS, same))
        saved = 1 - monthly_bill(workload, windowed, OURS).usd / ours
        rows.append([name, f"{ours / textbook:.1%}", f"{saved:.1%}"])
    return markdown_table(["events a day", "ours to textbook", "a window of 1 s saves"], rows, numbers=True)


def assumptions_table() -> str:
    """The numbers that the bill assumes, and what follows from them alone."""
    workload = Workload(events_per_day=1e8)
    bill = monthly_bill(workload, PROCESSING, OURS)
    smaller = monthly_bill(workload, PROCESSING, OURS, bill.batch / 2)
    times = (
        f"{design.name} {design.fixed_ms:g} ms and {design.event_ms:g} ms an event" for design in DESIGNS
    )
    rows = {
        "an event on the bus": f"{ENVELOPE_BYTES} bytes larger",
        "an event as an item": f"{ITEM_BYTES} bytes larger; one write up to {WRITE_UNIT - ITEM_BYTES} bytes",
        "an item or index entry in the storage": f"{STORED_ITEM_OVERHEAD} bytes larger",
        "repeats of events (`--duplicate-share`)": f"{workload.duplicate_share:.0%}",
        "pollers of the queue": f"{STANDARD_POLLERS}, busy for {ASSUMED_POLL_MS} ms around an invocation",
        "events in a batch (`--batch`)": f"{bill.batch:.1f} at 100 million a day; with half of them, ours"
        f" costs {smaller.usd / bill.usd - 1:.1%} more",
        "time of an invocation (`--batch-ms`)": "; ".join(times),
        "log lines in the storage": f"compressed to {LOG_COMPRESSION:.0%}",
        "traced invocations": f"{TRACED_A_SECOND} a second and {TRACED_SHARE:.0%} of the others",
    }
    return markdown_table(["", "in the bill"], [[*row] for row in rows.items()])


def main() -> None:
    """Write the plot."""
    # Only the environment of the benchmarks has it.
    from matplotlib import pyplot  # noqa: PLC0415
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(8, 4.2))
    services = list(_bill(1).by_service())
    # A colour for each service, however many there are.
    colours = LinearSegmentedColormap.from_list("services", _COLOURS, N=len(services))(range(len(services)))
    for index, events in enumerate(RATES.values()):
        workload = Workload(events_per_day=events)
        for side, design in enumerate((OURS, TEXTBOOK)):
            bottom = 0.0
            for colour, (service, usd) in zip(
                colours, monthly_bill(workload, STAGE, design).by_service().items(), strict=True
            ):
                each = usd / workload.events * 1e6
                label = service if index == side == 0 else None
                axes.bar(index + side * 0.4 - 0.2, each, 0.36, bottom=bottom, color=colour, label=label)
                bottom += each
            axes.annotate(design.name, (index + side * 0.4 - 0.2, bottom), ha="center", va="bottom", size=7)
    axes.set_xticks(range(len(RATES)), list(RATES))
    axes.set_xlabel("events a day")
    axes.set_ylabel("USD a million events")
    axes.set_title("Cost of a million events, stage prod, list prices of us-east-1", size=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)
    save_plot(figure, PLOT)


def _bill(events: float) -> Bill:
    return compared(Workload(events_per_day=events), STAGE)[0]


def _usd(amount: float) -> str:
    return f"{amount:,.2f}" if amount < 1000 else f"{amount:,.0f}"


if __name__ == "__main__":
    main()
