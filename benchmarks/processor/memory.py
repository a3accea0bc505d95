"""What the processor's memory setting costs. More memory brings more CPU; both are billed by the ms."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from math import ceil
from statistics import median
from typing import Any, Final

from benchmarks.cpu_share import cpu_share, share_of
from benchmarks.fake_services.endpoint import running_endpoint
from benchmarks.processor.batches import batches
from benchmarks.processor.comparison import MEMORY_MB, OURS
from benchmarks.processor.container import container
from benchmarks.results import PartResult, Table
from shipment_events.cost.prices import price_table

SIZES_MB: Final = (128, 256, 384, 512, 768, 1024, 1769)
BATCHES: Final = (1, 10)

_ROUNDS: Final = 40
_WARM_UP: Final = 5


def cost_of_a_million(memory_mb: float, batch: int, seconds: Sequence[float]) -> float:
    """USD of a million events in batches of this size, where invocations took so long.

    Duration is billed in whole milliseconds. https://aws.amazon.com/lambda/pricing/
    """
    invocations = 1e6 / batch
    billed = sum(ceil(1000 * one) / 1000 for one in seconds) / len(seconds)
    prices = price_table()
    duration = prices["lambda_duration_arm64"].of(invocations * billed * memory_mb / 1024)
    return duration + prices["lambda_requests"].of(invocations)


def measure() -> PartResult:
    """Measure our processor with the share of a core that each size has."""
    walls: dict[int, dict[int, list[float]]] = {size: {batch: [] for batch in BATCHES} for size in SIZES_MB}
    with ExitStack() as stack:
        endpoint = stack.enter_context(running_endpoint())
        share = stack.enter_context(cpu_share(1))
        worker = stack.enter_context(container("memory", OURS, endpoint, share))
        for size_of_batch in BATCHES:
            every_batch = batches(size_of_batch, _WARM_UP + _ROUNDS * len(SIZES_MB))
            for _ in range(_WARM_UP):
                worker.run("timed", next(every_batch))
            for number in range(_ROUNDS):
                for size in SIZES_MB:
                    share.set(share_of(size))
                    endpoint.begin(seed=number)
                    measured = worker.run("timed", next(every_batch))
                    walls[size][size_of_batch].append(measured["wall"])
            endpoint.begin(clear=True)
        resident = worker.run("resident", {})["peak_resident_bytes"]
    return _result(walls, resident, share.how)


def _result(walls: Mapping[int, Mapping[int, list[float]]], resident: int, how: str) -> PartResult:
    result = PartResult(
        f"ours, {_ROUNDS} rounds, share of a core by {how}; service time log-normal, median 5 ms; "
        f"peak memory {resident / 1e6:.0f} MB"
    )
    rows = []
    curve: list[dict[str, Any]] = []
    for size, by_batch in walls.items():
        row = [f"**{size}**" if size == MEMORY_MB else f"{size}"]
        point: dict[str, Any] = {"memory_mb": size}
        for batch in BATCHES:
            seconds = median(by_batch[batch])
            usd = cost_of_a_million(size, batch, by_batch[batch])
            point |= {f"wall_seconds_batch_{batch}": seconds, f"usd_per_million_batch_{batch}": usd}
            row += [f"{1e3 * seconds:.1f}", f"{usd:.3f}"]
        curve.append(point)
        rows.append(row)
    header = ["MB"]
    for batch in BATCHES:
        header += [f"ms for {batch}", f"USD a million, by {batch}"]
    result.tables["memory"] = Table(header, rows)
    result.numbers = {"curve": curve, "resident_bytes": resident}
    return result
