"""Tables in documents that a script writes, between two comments, and plots beside them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def between_markers(document: str, name: str) -> str:
    """What stands between the comments ``<!-- name: … -->`` and ``<!-- name: end -->`` of a text."""
    return _marked(name).search(document)["body"].strip()  # type: ignore[index]


def write_between_markers(file: Path, name: str, body: str) -> None:
    """Replace what stands between the comments."""
    document = file.read_text(encoding="utf-8")
    replaced, count = _marked(name).subn(lambda match: f"{match['begin']}\n{body}\n{match['end']}", document)
    if count != 1:
        raise ValueError(f"{file.name} has {count} places for {name!r}")
    file.write_text(replaced, encoding="utf-8")


def save_plot(figure: Any, file: Path) -> None:
    """Write an SVG whose bytes depend on nothing but what is drawn."""
    import matplotlib as mpl  # noqa: PLC0415 - only the environment of the benchmarks has it

    with mpl.rc_context({"svg.hashsalt": "shipment-events", "svg.fonttype": "none"}):
        figure.savefig(file, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    # Matplotlib leaves blanks at the ends of lines.
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


def _marked(name: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?P<begin><!-- {name}: (?!end)[^>]*-->)\n(?P<body>.*?)\n?(?P<end><!-- {name}: end -->)", re.DOTALL
    )
