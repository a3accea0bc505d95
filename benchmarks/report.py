"""Shows the results of ``.local/bench.json`` on screen and in docs/benchmarks.md."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table as ScreenTable

from benchmarks.results import TARGETS
from workbench import documents

DOCUMENT: Final = documents.DOCS / "benchmarks.md"
PLACES: Final = frozenset({"ratios", "conditions", "processor", "cold-start", "publisher", "tracker"})
"""Results that the document shows. The screen and the results file have all."""
NOISE_HEADER: Final = ("compared with itself", "measured", "95 % interval")
RATIO_HEADER: Final = ("ratio", "measured", "95 % interval", "target", "")


def ratio_rows(results: Mapping[str, Any], names: Iterable[str]) -> list[list[str]]:
    """A row for each of these ratios that was measured."""
    rows = []
    for name in names:
        if name in results:
            target = TARGETS[name]
            low, high = results["spread"][name]
            rows.append(
                [
                    f"`{name}`",
                    _number(results[name]),
                    f"{_number(low)} to {_number(high)}",
                    f"{'≥' if target.is_speed_up else '≤'} {_number(target.bound)}",
                    "" if target.is_met(results[name]) else "**missed**",
                ]
            )
    return rows


def noise_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """A row for each design that was compared with itself."""
    return [
        [name, _number(noise["value"]), " to ".join(_number(end) for end in noise["spread"])]
        for name, noise in results["noise"].items()
    ]


def print_part(console: Console, name: str, results: Mapping[str, Any]) -> None:
    """A part's tables on screen."""
    part = results["parts"][name]
    console.print(f"\n[bold]{name}[/bold]: {part['conditions']}; {part['machine']}")
    for table in part["tables"].values():
        _print_table(console, table["header"], table["rows"])


def print_ratios(console: Console, results: Mapping[str, Any]) -> None:
    """All ratios on screen, and the machine's noise."""
    console.print()
    _print_table(console, RATIO_HEADER, ratio_rows(results, TARGETS))
    _print_table(console, NOISE_HEADER, noise_rows(results))


def write_document(results: Mapping[str, Any]) -> None:
    """Write the measured parts into docs/benchmarks.md, row by row. What was not measured does not change."""
    conditions = [
        f"- **{name}**, {part['measured_at'][:10]}: {part['conditions']}; {part['machine']}."
        for name, part in results["parts"].items()
        if part["ratios"] or not PLACES.isdisjoint(part["tables"])
    ]
    tables = {"ratios": (RATIO_HEADER, ratio_rows(results, TARGETS))}
    for part in results["parts"].values():
        tables |= {name: (table["header"], table["rows"]) for name, table in part["tables"].items()}
    measured = {
        name: documents.markdown_table(*table, numbers=True)
        for name, table in tables.items()
        if name in PLACES
    }
    measured["conditions"] = "\n".join(conditions)
    # What these say of each part stands in one block.
    text = DOCUMENT.read_text(encoding="utf-8")
    for block in ("ratios", "conditions"):
        measured[block] = _with_former_lines(text, block, measured[block])
    documents.write(DOCUMENT, measured)


def _with_former_lines(document: str, block: str, measured: str) -> str:
    """The measured lines and, of what was not measured now, those that the block has; no dropped ratio."""
    found = re.search(rf'measured\("{block}"\).*?-->\n(.*?)<!--', document, re.DOTALL)
    former = found[1].splitlines() if found else []
    lines = {_subject(line): line for line in [*former, *measured.splitlines()]}
    ratios = {f"`{name}`": lines.pop(f"`{name}`", "") for name in TARGETS}
    others = [line for subject, line in lines.items() if not subject.startswith("`")]
    return "\n".join([*others, *filter(None, ratios.values())])


def _subject(line: str) -> str:
    """What a line of a table or a list begins with."""
    return re.split("[|,]", line.strip("|- "))[0].strip()


def _print_table(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = ScreenTable()
    for index, title in enumerate(header):
        table.add_column(title, justify="right" if index else "left", no_wrap=not index)
    for row in rows:
        table.add_row(*(cell.replace("`", "").replace("**", "") for cell in row))
    console.print(table)


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
