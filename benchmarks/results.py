"""The results in ``.local/bench.json``. Each part replaces only its own results."""

import json
import os
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.statistics import Ratio

RESULTS: Final = Path(__file__).resolve().parent.parent / ".local" / "bench.json"


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a ratio.

    Attributes:
        what: which of the two is divided by which.
        is_speed_up: whether more is better.
    """

    bound: float
    what: str
    is_speed_up: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a ratio reaches the target."""
        return value >= self.bound if self.is_speed_up else value <= self.bound


TARGETS: Final[Mapping[str, Target]] = {
    "wall_vs_textbook": Target(1 / 7, "time of a batch, ours / one put_item a record"),
    "wall_vs_threads": Target(1 / 5, "time of a batch, ours / ten threads"),
    "wall_vs_powertools": Target(1 / 18, "time of a batch, ours / Powertools Batch and Idempotency"),
    "wall_vs_one_call": Target(1.25, "time of a batch, ours / one SDK request for one item"),
    "cpu_vs_textbook": Target(1 / 6, "CPU time of an event, ours / one put_item a record"),
    "cpu_vs_one_call": Target(1.5, "CPU time of a batch, ours / one SDK request for one item"),
    "duplicates_vs_new": Target(2.2, "time of a batch, duplicates that are read back / new events"),
    "returned_duplicates_vs_new": Target(1.3, "the same if the service returns the old item"),
    "cold_start_vs_boto3": Target(1.15, "import and init, our bundle / a handler with a boto3 client"),
    "publisher_vs_one_by_one": Target(8, "events a second, ours / one entry a request", is_speed_up=True),
    "tracker_wall_vs_textbook": Target(
        1 / 8, "time of a batch of the stream, ours / GetItem and PutItem a record"
    ),
    "tracker_cpu_vs_textbook": Target(
        1 / 5, "CPU time of a batch of the stream, ours / GetItem and PutItem a record"
    ),
    "event_20001_vs_first": Target(1.5, "time of a shipment's 20,001st event / of its first"),
    "engine_vs_textbook": Target(
        1.7,
        "events a second of the stack on the local engine, ours / one put_item a record",
        is_speed_up=True,
    ),
    "engine_with_tracking": Target(
        0.8,
        "events a second of the stack on the local engine, with the tracker / without it",
        is_speed_up=True,
    ),
    "api_vs_get_item": Target(
        3, "time of a state by the HTTP API on the local engine, ours / one SDK GetItem"
    ),
    "api_304_vs_200": Target(1.1, "the same, a state that has not changed (304) / one that is sent (200)"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Results as a table. The first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(slots=True)
class PartResult:
    """Results of one part.

    Attributes:
        conditions: under which it was measured, for people. ratios: by the names of :data:`TARGETS`. noise:
        ratios of a design to itself, measured like the others. Without noise of the machine they are 1.
        tables: by name; ``report.PLACES`` has the names of those that docs/benchmarks.md shows. numbers: for
        scripts and plots; seconds and bytes.
    """

    conditions: str
    ratios: dict[str, Ratio] = field(default_factory=dict)
    noise: dict[str, Ratio] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)


def missed_targets(results: Mapping[str, Any], parts: Collection[str]) -> list[str]:
    """Names of the ratios of these parts that miss their target."""
    return [
        name
        for part in parts
        for name in results["parts"][part]["ratios"]
        if name in TARGETS and not TARGETS[name].is_met(results[name])
    ]


def read_results(path: Path = RESULTS) -> dict[str, Any]:
    """All results so far."""
    if not path.exists():
        return {"spread": {}, "noise": {}, "targets": {}, "parts": {}}
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return results


def merge_result(name: str, result: PartResult, path: Path = RESULTS) -> None:
    """Replace the former results of a part.

    Each ratio stands at the top under its own name, its 95 % interval under ``spread``, and under ``targets``
    where it should be.
    """
    results = read_results(path)
    for ratio_name, ratio in result.ratios.items():
        target = TARGETS[ratio_name]
        results[ratio_name] = round(ratio.value, 4)
        results["spread"][ratio_name] = [round(ratio.low, 4), round(ratio.high, 4)]
        results["targets"][ratio_name] = {
            "at_least" if target.is_speed_up else "at_most": round(target.bound, 4),
            "is_met": target.is_met(ratio.value),
        }
    for noise_name, ratio in result.noise.items():
        results["noise"][noise_name] = {
            "value": round(ratio.value, 4),
            "spread": [round(ratio.low, 4), round(ratio.high, 4)],
        }
    results["parts"][name] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}",
        "conditions": result.conditions,
        "ratios": list(result.ratios),
        "tables": {
            table_name: {"header": list(table.header), "rows": [list(row) for row in table.rows]}
            for table_name, table in result.tables.items()
        },
        "numbers": result.numbers,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".partial")
    whole.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    whole.replace(path)
