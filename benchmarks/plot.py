"""The plot of docs/benchmarks.md: time of a batch by design, and cost of the processor's memory."""

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.plots import save_plot
from workbench.documents import DOCS

PLOT: Final = DOCS / "benchmarks.svg"
PLOTTED: Final = frozenset({"processor", "memory"})
"""The parts that the plot needs."""

_DESIGNS: Final = {
    "limit": "(d) bare request",
    "call": "one SDK request",
    "ours": "ours",
    "threads": "(b) ten threads",
    "textbook": "(a) put_item each",
    "powertools": "(c) Powertools",
}
_OURS: Final = "#3b6ea5"
_OTHERS: Final = "#b9c4cf"
_COST: Final = "#c8623f"


def plot(parts: Mapping[str, Any]) -> None:
    """Draw the numbers of the parts ``processor`` and ``memory``."""
    from matplotlib import pyplot  # noqa: PLC0415 - only the environment of the benchmarks has it

    figure, (time, memory) = pyplot.subplots(1, 2, figsize=(10, 3.4), gridspec_kw={"wspace": 0.45})
    processor = parts["processor"]["numbers"]
    walls = [1e3 * processor[name]["wall_seconds"] for name in _DESIGNS]
    colours = [_OURS if name == "ours" else _OTHERS for name in _DESIGNS]
    bars = time.barh(list(_DESIGNS.values()), walls, color=colours)
    time.bar_label(bars, fmt="%.0f", padding=3, size=8)
    time.set_xscale("log")
    time.set_xlim(left=1)
    time.set_title("A batch of ten at 512 MB (ms)", size=10)

    curve = parts["memory"]["numbers"]["curve"]
    sizes = [point["memory_mb"] for point in curve]
    memory.plot(sizes, [1e3 * point["wall_seconds_batch_10"] for point in curve], "o-", color=_OURS)
    memory.set_ylabel("a batch of ten (ms)", color=_OURS)
    memory.set_xlabel("memory (MB)")
    memory.set_ylim(bottom=0)
    cost = memory.twinx()
    cost.plot(sizes, [point["usd_per_million_batch_10"] for point in curve], "s--", color=_COST)
    cost.set_ylabel("USD a million events", color=_COST)
    cost.set_ylim(bottom=0)
    memory.set_title("Time and price by memory", size=10)
    for axes in (time, memory, cost):
        axes.spines["top"].set_visible(False)
    time.spines["right"].set_visible(False)
    save_plot(figure, PLOT)
