"""Measure: ``python -m benchmarks`` or, for some parts, ``--only NAME``.

The results go to the screen and to ``.local/bench.json``. ``--write`` puts all that is in there into
docs/benchmarks.md and its plot. The exit status is 1 if a ratio of the parts is not where it should be.
"""

import argparse
import sys

from rich.console import Console

from benchmarks import plot, report
from benchmarks.end_to_end import plot as end_to_end
from benchmarks.parts import PARTS
from benchmarks.results import RESULTS, merge_result, missed_targets, read_results


def main() -> int:
    """Measure, print, and write where it is asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--reuse", action="store_true", help="measure nothing, show what was measured last")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and its plots")
    options = parser.parse_args()
    console = Console()
    chosen = options.only or [name for name, part in PARTS.items() if not part.is_long]
    for name in [] if options.reuse else chosen:
        with console.status(f"{name}: {PARTS[name].what}"):
            result = PARTS[name].measure()
        merge_result(name, result)
        report.print_part(console, name, read_results())
    results = read_results()
    report.print_ratios(console, results)
    console.print(f"{RESULTS} holds it all.")
    if options.write:
        report.write_document(results)
        for picture in (plot, end_to_end):
            if results["parts"].keys() >= picture.PLOTTED:
                picture.plot(results["parts"])
    missed = missed_targets(results, results["parts"] if options.reuse else chosen)
    if missed:
        console.print(f"[bold red]Missed:[/bold red] {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
