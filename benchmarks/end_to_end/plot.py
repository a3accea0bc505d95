"""The plot of the whole pipeline: latency over the rate, and what a longer run costs."""

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.plots import save_plot
from workbench.documents import DOCS

PLOT: Final = DOCS / "end-to-end.svg"
PLOTTED: Final = frozenset({"rates", "growth"})
"""The parts that it needs."""

_TIME: Final = "#3b6ea5"
_OTHER: Final = "#c8623f"


def plot(parts: Mapping[str, Any]) -> None:
    """Draw the numbers of the parts ``rates`` and ``growth``."""
    from matplotlib import pyplot  # noqa: PLC0415 - only the environment of the benchmarks has it

    figure, (latency, growth) = pyplot.subplots(1, 2, figsize=(10, 3.4), gridspec_kw={"wspace": 0.45})
    points = parts["rates"]["numbers"]["rates"].values()
    rates = [point["events_per_second"] for point in points]
    for name, style, colour in (("p99", "s--", _OTHER), ("p50", "o-", _TIME)):
        milliseconds = [1e3 * point["latency_seconds"][name] for point in points]
        latency.plot(rates, milliseconds, style, color=colour, label=name)
    latency.set_xscale("log")
    latency.set_yscale("log")
    latency.set_xlabel("events a second; the last point is saturation")
    latency.set_title("From PutEvents to the table (ms)", size=10)
    latency.legend(frameon=False)

    runs = parts["growth"]["numbers"].values()
    events = [run["events"] / 1000 for run in runs]
    growth.plot(events, [run["seconds"] for run in runs], "o-", color=_TIME)
    growth.set_ylabel("seconds", color=_TIME)
    growth.set_xlabel("thousand events")
    growth.set_ylim(bottom=0)
    memory = growth.twinx()
    memory.plot(events, [run["command_peak_bytes"] / 1e6 for run in runs], "s--", color=_OTHER)
    memory.set_ylabel("the command's peak memory (MB)", color=_OTHER)
    memory.set_ylim(bottom=0)
    growth.set_title("make run, as the feed grows", size=10)
    for axes in (latency, growth, memory):
        axes.spines["top"].set_visible(False)
    latency.spines["right"].set_visible(False)
    save_plot(figure, PLOT)
