"""A batch of ten, by our processor and by the others, in turns."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from benchmarks.cpu_share import cpu_share, share_of
from benchmarks.fake_services.endpoint import Endpoint, running_endpoint
from benchmarks.processor.batches import batches
from benchmarks.processor.container import Container, container
from benchmarks.results import PartResult, Table
from benchmarks.statistics import quartiles, ratio_of_medians

BATCH: Final = 10
MEMORY_MB: Final = 512

_ROUNDS: Final = 150
_WARM_UP: Final = 8
_ALLOCATION_ROUNDS: Final = 5
OURS: Final = "shipment_events.processor.handler"


@dataclass(frozen=True, slots=True)
class Design:
    """A handler to compare.

    Attributes:
        repeats: handle the batch that ``worker`` has just stored once more.
        returns_old_items: whether the service returns the stored item for a duplicate.
    """

    what: str
    module: str
    worker: str
    repeats: bool = False
    returns_old_items: bool = False


def _other(name: str, what: str) -> Design:
    return Design(what, f"benchmarks.processor.handlers.{name}", name)


DESIGNS: Final[Mapping[str, Design]] = {
    "ours": Design("ours", OURS, "ours"),
    "again": Design("ours, again", OURS, "again"),
    "textbook": _other("textbook", "(a) put_item each"),
    "threads": _other("threads", "(b) ten threads"),
    "powertools": _other("powertools", "(c) Powertools"),
    "limit": _other("one_request", "(d) bare request"),
    "call": _other("one_call", "one SDK request"),
    "duplicates": Design("ours, duplicates read back", OURS, "ours", repeats=True),
    "returned": Design("ours, duplicates returned", OURS, "ours", repeats=True, returns_old_items=True),
}


def measure() -> PartResult:
    """Measure all designs with the share of a core that 512 MB have."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(running_endpoint())
        share = stack.enter_context(cpu_share(share_of(MEMORY_MB)))
        workers = {
            design.worker: stack.enter_context(container(design.worker, design.module, endpoint, share))
            for design in DESIGNS.values()
            if not design.repeats
        }
        every_batch = batches(BATCH, _WARM_UP + _ROUNDS + _ALLOCATION_ROUNDS)
        rounds = _rounds(workers, endpoint, every_batch)
        allocations = _allocations(workers, endpoint, every_batch)
        memory = {name: worker.run("resident", {})["peak_resident_bytes"] for name, worker in workers.items()}
    return _result(rounds, allocations, memory, share.how)


def _rounds(
    workers: Mapping[str, Container], endpoint: Endpoint, every_batch: Iterator[Mapping[str, Any]]
) -> dict[str, list[dict[str, float]]]:
    """Each design's measurements, one a round."""
    order = random.Random(1)  # noqa: S311 - order of turns
    rounds: dict[str, list[dict[str, float]]] = defaultdict(list)
    first = [name for name, design in DESIGNS.items() if not design.repeats]
    repeats = [name for name, design in DESIGNS.items() if design.repeats]
    for number in range(_WARM_UP + _ROUNDS):
        batch = next(every_batch)
        order.shuffle(first)
        order.shuffle(repeats)
        for name in first + repeats:
            design = DESIGNS[name]
            endpoint.begin(seed=number, returns_old_items=design.returns_old_items)
            measured = workers[design.worker].run("timed", batch)
            if measured["failed"]:
                raise RuntimeError(f"{name} could not store {measured['failed']} records")
            if number >= _WARM_UP:
                rounds[name].append({**measured, "requests": endpoint.begin().total()})
    return rounds


def _allocations(
    workers: Mapping[str, Container], endpoint: Endpoint, every_batch: Iterator[Mapping[str, Any]]
) -> dict[str, list[dict[str, int]]]:
    allocations: dict[str, list[dict[str, int]]] = defaultdict(list)
    for number, batch in enumerate(every_batch):
        for name, worker in workers.items():
            endpoint.begin(seed=number)
            allocations[name].append(worker.run("allocated", batch))
    return allocations


def _result(
    rounds: Mapping[str, list[dict[str, float]]],
    allocations: Mapping[str, list[dict[str, int]]],
    memory: Mapping[str, int],
    how: str,
) -> PartResult:
    wall = {name: [one["wall"] for one in measured] for name, measured in rounds.items()}
    cpu = {name: [one["cpu"] for one in measured] for name, measured in rounds.items()}
    result = PartResult(
        f"batches of {BATCH}, {_ROUNDS} rounds, {share_of(MEMORY_MB):.2f} of a core by {how}; service time "
        "log-normal, median 5 ms"
    )
    for name, other in (
        ("wall_vs_textbook", "textbook"),
        ("wall_vs_threads", "threads"),
        ("wall_vs_powertools", "powertools"),
        ("wall_vs_one_call", "call"),
    ):
        result.ratios[name] = ratio_of_medians(wall["ours"], wall[other])
    for name, other in (("cpu_vs_textbook", "textbook"), ("cpu_vs_one_call", "call")):
        result.ratios[name] = ratio_of_medians(cpu["ours"], cpu[other])
    result.ratios["duplicates_vs_new"] = ratio_of_medians(wall["duplicates"], wall["ours"])
    result.ratios["returned_duplicates_vs_new"] = ratio_of_medians(wall["returned"], wall["ours"])
    result.noise["wall, ours / ours"] = ratio_of_medians(wall["again"], wall["ours"])
    result.noise["CPU, ours / ours"] = ratio_of_medians(cpu["again"], cpu["ours"])
    result.numbers.update(_numbers(rounds, allocations, memory))
    result.tables["processor"] = Table(
        ["a batch of ten", "requests", "ms (half of them)", "CPU µs an event"], _times(result.numbers, wall)
    )
    result.tables["allocations"] = Table(
        ["a batch of ten", "allocated KB", "blocks left", "resident MB"], _memories(result.numbers)
    )
    return result


def _numbers(
    rounds: Mapping[str, list[dict[str, float]]],
    allocations: Mapping[str, list[dict[str, int]]],
    memory: Mapping[str, int],
) -> dict[str, dict[str, float]]:
    """Medians of each design."""
    found: dict[str, dict[str, float]] = {}
    for name, design in DESIGNS.items():
        found[name] = {
            "requests": median(one["requests"] for one in rounds[name]),
            "wall_seconds": median(one["wall"] for one in rounds[name]),
            "cpu_seconds_per_event": median(one["cpu"] for one in rounds[name]) / BATCH,
        }
        if not design.repeats:
            allocated = allocations[design.worker]
            found[name] |= {
                "allocated_peak_bytes": median(one["peak_bytes"] for one in allocated),
                "blocks_left": median(one["blocks_left"] for one in allocated),
                "resident_bytes": memory[design.worker],
            }
    return found


def _times(numbers: Mapping[str, Mapping[str, float]], wall: Mapping[str, list[float]]) -> list[list[str]]:
    rows = []
    for name, design in DESIGNS.items():
        low, high = quartiles(wall[name])
        requests, seconds, cpu = (
            numbers[name][one] for one in ("requests", "wall_seconds", "cpu_seconds_per_event")
        )
        spread = f"{1e3 * seconds:.1f} ({1e3 * low:.0f} to {1e3 * high:.0f})"
        rows.append([design.what, f"{requests:.0f}", spread, f"{1e6 * cpu:,.0f}"])
    return rows


def _memories(numbers: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    return [
        [
            design.what,
            f"{numbers[name]['allocated_peak_bytes'] / 1e3:,.0f}",
            f"{numbers[name]['blocks_left']:,.0f}",
            f"{numbers[name]['resident_bytes'] / 1e6:.0f}",
        ]
        for name, design in DESIGNS.items()
        if not design.repeats
    ]
