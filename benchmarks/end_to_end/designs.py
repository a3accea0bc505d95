"""The whole stack with our processor and with the textbook's, on one local engine, in turns."""

from collections import defaultdict
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.cold_start.comparison import deployed_bundle
from benchmarks.end_to_end.engine import STAGE, BenchmarkEngine, fresh_engine
from benchmarks.end_to_end.queue_stack import QueueStack, new_bodies
from benchmarks.results import PartResult, Table
from benchmarks.statistics import quartiles, ratio_of_medians
from shipment_events.contract import names
from workbench.engine.assets import zip_files
from workbench.engine.settings import repository_root

_TEXTBOOK: Final = "benchmarks.processor.handlers.textbook"
_HANDLERS: Final = {
    "ours": "shipment_events.processor.handler",
    "textbook": _TEXTBOOK,
    "again": "shipment_events.processor.handler",
}
_WHAT: Final = {"ours": "ours", "textbook": "(a) put_item each", "again": "ours, again"}
_ROUNDS: Final = 7
_EVENTS: Final = 2_000
_WARM_UP: Final = 100


def measure() -> PartResult:
    """Fill the queue while no consumer reads it, then measure the time until it is empty."""
    rates: dict[str, list[float]] = defaultdict(list)
    turns = list(_HANDLERS)
    bodies = new_bodies(_ROUNDS * len(turns) * (_EVENTS + _WARM_UP))
    with fresh_engine() as engine:
        stack = _Stack(engine)
        stack.give_code(_bundle(repository_root()))
        for number in range(_ROUNDS):
            for name in turns[number % len(turns) :] + turns[: number % len(turns)]:
                stack.use(_HANDLERS[name])
                # The first invocations start the function's processes.
                stack.queue.drain([next(bodies) for _ in range(_WARM_UP)])
                seconds = stack.queue.drain([next(bodies) for _ in range(_EVENTS)])
                rates[name].append(_EVENTS / seconds)
        turn = _EVENTS + _WARM_UP
        stack.expect(ours=2 * _ROUNDS * turn, textbook=_ROUNDS * turn)
    return _result(rates)


class _Stack:
    """The deployed stack, its table and its function."""

    def __init__(self, engine: BenchmarkEngine) -> None:
        self.queue = QueueStack(engine)
        self._lambda = engine.client("lambda")
        self._dynamodb = engine.client("dynamodb")
        self._function = names.processor_name(STAGE)

    def give_code(self, archive: bytes) -> None:
        self._lambda.update_function_code(FunctionName=self._function, ZipFile=archive)

    def use(self, module: str) -> None:
        """Let the function run another handler of its code, in new processes."""
        self._lambda.get_waiter("function_updated_v2").wait(FunctionName=self._function)
        self._lambda.update_function_configuration(FunctionName=self._function, Handler=f"{module}.handler")
        self._lambda.get_waiter("function_updated_v2").wait(FunctionName=self._function)

    def expect(self, **stored: int) -> None:
        """Compare the table with the events that each design got. Only ours counts its outcomes.

        Raises:
            RuntimeError: an event is missing, or another design than the named one stored it.
        """
        tests = {"ours": "attribute_exists(processing)", "textbook": "attribute_not_exists(processing)"}
        for name, expected in stored.items():
            pages = self._dynamodb.get_paginator("scan").paginate(
                TableName=names.table_name(STAGE), Select="COUNT", FilterExpression=tests[name]
            )
            if (found := sum(page["Count"] for page in pages)) != expected:
                raise RuntimeError(f"{name} stored {found} of {expected} events")


def _bundle(root: Path) -> bytes:
    """Our bundle, the textbook's handler, and boto3, which Lambda's runtime has but the engine's does not."""
    bundle = deployed_bundle(root / "cdk.out")
    files = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*.py")}
    handlers = root / "benchmarks" / "processor" / "handlers"
    for path in (handlers / "textbook.py", handlers / "items.py"):
        files[path.relative_to(root).as_posix()] = path
    for package in ("boto3", "s3transfer"):
        spec = find_spec(package)
        assert spec
        assert spec.origin
        folder = Path(spec.origin).parent
        files |= {
            path.relative_to(folder.parent).as_posix(): path
            for path in folder.rglob("*")
            if path.suffix in {".py", ".json"}
        }
    return zip_files(files)


def _result(rates: Mapping[str, list[float]]) -> PartResult:
    result = PartResult(
        f"queues of {_EVENTS:,} events, {_ROUNDS} rounds, on one local engine that shares the cores with its "
        "function"
    )
    result.ratios["engine_vs_textbook"] = ratio_of_medians(rates["ours"], rates["textbook"])
    result.noise["engine, ours / ours"] = ratio_of_medians(rates["again"], rates["ours"])
    rows = []
    for name, what in _WHAT.items():
        low, high = quartiles(rates[name])
        rows.append([what, f"{median(rates[name]):,.0f} ({low:,.0f} to {high:,.0f})"])
    result.tables["designs"] = Table(["the whole stack", "events/s (half of them)"], rows)
    numbers: dict[str, Any] = {name: {"events_per_second": values} for name, values in rates.items()}
    result.numbers = numbers
    return result
