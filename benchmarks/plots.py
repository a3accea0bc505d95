"""Plots beside documents."""

from pathlib import Path
from typing import Any


def save_plot(figure: Any, file: Path) -> None:
    """Write an SVG. The same drawing always gives the same bytes."""
    import matplotlib as mpl  # noqa: PLC0415 - only the environment of the benchmarks has it

    with mpl.rc_context({"svg.hashsalt": "shipment-events", "svg.fonttype": "none"}):
        figure.savefig(file, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    # Matplotlib leaves blanks at the ends of lines.
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
