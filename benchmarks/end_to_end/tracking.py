"""The pipeline's rate on one local engine with the tracker and without it, in turns."""

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from statistics import median
from typing import Final

from benchmarks.end_to_end.engine import STAGE, BenchmarkEngine, fresh_engine
from benchmarks.end_to_end.queue_stack import EventSource, QueueStack, new_bodies
from benchmarks.results import PartResult, Table
from benchmarks.statistics import quartiles, ratio_of_medians
from shipment_events.contract import names

_WHAT: Final = {"with": "with the tracker", "again": "with the tracker, again", "without": "without"}
_ROUNDS: Final = 7
_EVENTS: Final = 2_000
_WARM_UP: Final = 100
_POLL_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 120.0


def measure() -> PartResult:
    """Fill the queue while no consumer reads it, then measure the time until it is empty.

    After each turn the tracker catches up, so that no turn tracks the events of another.
    """
    rates: dict[str, list[float]] = defaultdict(list)
    lags: dict[str, list[float]] = defaultdict(list)
    turns = list(_WHAT)
    bodies = new_bodies(_ROUNDS * len(turns) * (_EVENTS + _WARM_UP))
    ids: set[str] = set()
    with fresh_engine() as engine:
        queue, tracker = QueueStack(engine), _Tracker(engine)
        for number in range(_ROUNDS):
            for name in turns[number % len(turns) :] + turns[: number % len(turns)]:
                tracker.source.enable(enabled=name != "without")
                warm_up, measured = ([next(bodies) for _ in range(size)] for size in (_WARM_UP, _EVENTS))
                ids.update(_shipment_id(body) for body in (*warm_up, *measured))
                # The first invocations start the functions' processes.
                queue.drain(warm_up)
                rates[name].append(_EVENTS / queue.drain(measured))
                tracker.source.enable(enabled=True)
                lag = tracker.catch_up(queue, measured[-1])
                if name != "without":
                    lags[name].append(lag)
        tracker.expect(ids)
    return _result(rates, lags)


class _Tracker:
    """The tracker's event source, and its table."""

    def __init__(self, engine: BenchmarkEngine) -> None:
        self.source = EventSource(engine, names.tracker_name(STAGE))
        self._dynamodb = engine.client("dynamodb")
        self._table = names.shipments_table_name(STAGE)
        self._markers: list[str] = []

    def catch_up(self, queue: QueueStack, body: str) -> float:
        """Store one more event, which is the last record of the stream, and wait for its state.

        Args:
            body: of an event. It is stored for a shipment of its own.

        Returns:
            The seconds that it took.

        Raises:
            RuntimeError: it took too long.
        """
        envelope = json.loads(body)
        marker = f"marker-{len(self._markers)}"
        self._markers.append(marker)
        envelope["detail"]["shipment_id"] = marker
        begin = time.perf_counter()
        queue.drain([json.dumps(envelope)])
        key = {"shipment_id": {"S": marker}}
        while not self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item"):
            if time.perf_counter() - begin > _PATIENCE_SECONDS:
                raise RuntimeError(f"the states are still behind after {_PATIENCE_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - begin

    def expect(self, shipment_ids: set[str]) -> None:
        """Compare the states with the shipments whose events were stored.

        Raises:
            RuntimeError: a shipment has no state.
        """
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table, ProjectionExpression="shipment_id"
        )
        found = {item["shipment_id"]["S"] for page in pages for item in page["Items"]}
        if missing := shipment_ids - found:
            raise RuntimeError(f"{len(missing)} of {len(shipment_ids)} shipments have no state")


def _shipment_id(body: str) -> str:
    shipment_id: str = json.loads(body)["detail"]["shipment_id"]
    return shipment_id


def _result(rates: Mapping[str, list[float]], lags: Mapping[str, list[float]]) -> PartResult:
    result = PartResult(
        f"queues of {_EVENTS:,} events, {_ROUNDS} rounds, on one local engine that shares the cores with its "
        "functions"
    )
    result.ratios["engine_with_tracking"] = ratio_of_medians(rates["with"], rates["without"])
    result.noise["engine with tracking, ours / ours"] = ratio_of_medians(rates["again"], rates["with"])
    rows = []
    for name, what in _WHAT.items():
        low, high = quartiles(rates[name])
        lag = f"{median(lags[name]):.1f}" if name in lags else ""
        rows.append([what, f"{median(rates[name]):,.0f} ({low:,.0f} to {high:,.0f})", lag])
    header = ["the whole stack", "events/s (half of them)", "states complete after s"]
    result.tables["tracking"] = Table(header, rows)
    result.numbers = {
        name: {"events_per_second": values, "caught_up_seconds": lags.get(name)}
        for name, values in rates.items()
    }
    return result
