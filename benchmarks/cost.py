"""The tables of docs/cost.md, which ``make docs`` writes, and its plot: ``python -m benchmarks.cost``."""

from dataclasses import replace
from typing import Final

from benchmarks.plots import save_plot
from shipment_events.cost.bill import Bill, compared, monthly_bill
from shipment_events.cost.designs import DESIGNS, OURS, TEXTBOOK
from shipment_events.cost.workload import Workload
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


def bills_table() -> str:
    """The bill by service, and the total of each design."""
    services = list(_bill(1).by_service())
    rows = []
    for name, events in RATES.items():
        bill = _bill(events)
        by_service = bill.by_service()
        rows.append([name, *(_usd(by_service[service]) for service in services), f"**{_usd(bill.usd)}**"])
    return markdown_table(["events a day", *services, "a month"], rows, numbers=True)


def designs_table() -> str:
    """Total of each design, and the ratio of ours to it."""
    rows = []
    for name, events in RATES.items():
        ours, *others = compared(Workload(events_per_day=events), PROCESSING)
        cells = [text for bill in others for text in (_usd(bill.usd), f"{ours.usd / bill.usd:.1%}")]
        rows.append([name, _usd(ours.usd), *cells])
    heads = [text for design in DESIGNS[1:] for text in (design.name, f"ours to {design.name}")]
    return markdown_table(["events a day", OURS.name, *heads], rows, numbers=True)


def levers_table() -> str:
    """Ratio of ours to the textbook: with each of our options, and with the same options for both."""
    windows = {seconds: replace(PROCESSING, batching_window_seconds=seconds) for seconds in (0, 1, 2, 5)}
    infrequent = replace(TEXTBOOK, infrequent_access=None)
    quiet = replace(infrequent, platform_log_bytes=0)
    same = replace(quiet, batching_window_seconds=None)
    whole = replace(
        TEXTBOOK, event_log_bytes=TEXTBOOK.event_log_bytes + Workload(events_per_day=1).envelope_bytes
    )
    levers = {
        "**as deployed**, to the textbook by default": (PROCESSING, TEXTBOOK),
        "with `batching_window_seconds=1`": (windows[1], TEXTBOOK),
        "with `batching_window_seconds=2`": (windows[2], TEXTBOOK),
        "with `batching_window_seconds=5`": (windows[5], TEXTBOOK),
        "as deployed, the textbook logs each message whole": (PROCESSING, whole),
        "as deployed, the textbook logs no event": (PROCESSING, replace(TEXTBOOK, event_log_bytes=0)),
        "as deployed, the textbook with table class infrequent access": (PROCESSING, infrequent),
        "and without Lambda's own log lines: **the same levers for both**": (PROCESSING, quiet),
        "the same, and a window of 1 s for both": (windows[1], same),
        "the same, and a window of 5 s for both": (windows[5], same),
    }
    rows = []
    for name, (settings, textbook) in levers.items():
        cells = []
        for events in (1e6, 1e8):
            workload = Workload(events_per_day=events)
            ours, theirs = (monthly_bill(workload, settings, design).usd for design in (OURS, textbook))
            cells += [_usd(ours), _usd(theirs), f"{ours / theirs:.1%}"]
        rows.append([name, *cells])
    return markdown_table(
        ["", "1 million a day", "textbook", "ratio", "100 million a day", "textbook", "ratio"],
        rows,
        numbers=True,
    )


def main() -> None:
    """Write the plot."""
    from matplotlib import pyplot  # noqa: PLC0415 - only the environment of the benchmarks has it

    figure, axes = pyplot.subplots(figsize=(8, 4.2))
    colours = ["#3b6ea5", "#5aa0a8", "#8fbf6b", "#e0a83b", "#c8623f", "#8a5a9e", "#777777", "#b0b7c3"]
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
