"""Run the model for every tier: ``python -m benchmarks.scale_model``.

``--json`` prints the outcomes for scripts, ``--write`` the tables and the plot into docs/ (the plot needs
matplotlib, which .venv-bench has). Exit status 1 if a tier with its settings does not keep up.
"""

import argparse
import json
import sys

from benchmarks.scale_model import report
from benchmarks.scale_model.outcome import simulate
from benchmarks.scale_model.scenario import DAILY, TIERS, windowed
from workbench import documents


def main() -> None:
    """Simulate, print, and write where it is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_model", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help="write docs/scale.md and docs/scale.svg")
    options = parser.parse_args()
    as_deployed = [simulate(tier.scenario(matching=False)) for tier in TIERS]
    matching = [simulate(tier.scenario()) for tier in TIERS]
    windows = [simulate(windowed(events, seconds)) for events in DAILY for seconds in (0, 1)]
    tables = {
        "as-deployed": report.outcome_table(as_deployed),
        "matching": report.outcome_table(matching),
        "shares": report.shares_table(matching),
        "windows": report.windows_table(windows),
    }
    if options.json:
        answer = {
            "as_deployed": [report.as_json(outcome) for outcome in as_deployed],
            "matching": [report.as_json(outcome) for outcome in matching],
            "windows": [report.as_json(outcome) for outcome in windows],
        }
        _print(json.dumps(answer, indent=2))
    else:
        for name, table in {"tiers": report.tiers_table(), **tables}.items():
            _print(f"\n{name}\n\n{table}")
    if options.write:
        documents.write(report.DOCUMENT, {"matching": tables["matching"]})
        report.plot(as_deployed, matching)
    if not all(outcome.keeps_up for outcome in (*matching, *windows)):
        sys.exit(1)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
