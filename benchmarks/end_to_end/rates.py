"""Latency and throughput from a trickle to saturation, and what a redrive manages."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.end_to_end.engine import STAGE, BenchmarkEngine, fresh_engine
from benchmarks.results import PartResult, Table
from shipment_events.contract import names
from shipment_events.contract.exact_json import dumps
from shipment_events.queue.messages import send_bodies

DEAD_LETTERS: Final = 10_000
# Events a second, None for as many as are stored, and how many of them: of fewer than 100 there is no p99.
_LOADS: Final[Mapping[int | None, int]] = {
    1: 120,
    10: 300,
    50: 1_000,
    100: 2_000,
    200: 4_000,
    400: 8_000,
    800: 16_000,
    None: 50_000,
}


def measure() -> PartResult:
    """Publish a feed at each rate, then as fast as the pipeline stores it, then redrive dead letters."""
    result = PartResult(
        "the whole stack on a local engine of its own; publisher, engine and function share the cores"
    )
    rows = []
    points: dict[str, dict[str, Any]] = {}
    with fresh_engine() as engine:
        # The first invocations start the function's processes.
        engine.run_feed(500, seed=1)
        for seed, (rate, events) in enumerate(_LOADS.items(), start=2):
            report = engine.run_feed(events, rate=rate, seed=seed).report
            latency = report["latency_ms"]
            points[str(rate or "saturation")] = {
                "events": report["published"],
                "events_per_second": report["events_per_second"],
                "latency_seconds": {name: value / 1000 for name, value in latency.items()},
            }
            rows.append(
                [
                    f"{rate:,} events/s" if rate else "as fast as it stores",
                    f"{report['published']:,}",
                    f"{report['events_per_second']:,.0f}",
                    f"{latency['p50']:,.0f}",
                    f"{latency['p99']:,.0f}",
                    f"{report['lost']} / {report['doubled']}",
                ]
            )
        redriven = _redriven_a_second(engine)
    result.numbers = {"rates": points, "redriven_per_second": redriven}
    header = ["published at", "events", "stored a second", "p50 ms", "p99 ms", "lost / doubled"]
    result.tables["rates"] = Table(header, rows)
    result.tables["redrive"] = Table(
        ["", "dead letters", "redriven a second"],
        [["`shipments dead-letters redrive`", f"{DEAD_LETTERS:,}", f"{redriven:,.0f}"]],
    )
    return result


def _redriven_a_second(engine: BenchmarkEngine) -> float:
    """From the command's start to its end, by which each event is confirmed by the queue."""
    sqs = engine.client("sqs")
    url = sqs.get_queue_url(QueueName=names.dead_letter_queue_name(STAGE))["QueueUrl"]
    sqs.purge_queue(QueueUrl=url)
    if failed := send_bodies(sqs, url, [_envelope(number) for number in range(DEAD_LETTERS)]):
        raise RuntimeError(f"{len(failed)} dead letters could not be made")
    command = engine.shipments("dead-letters", "redrive", "--json")
    return float(command.report["redriven"] / command.seconds)


def _envelope(number: int) -> str:
    detail = {
        "shipment_id": f"REDRIVE-{number // 8}",
        "event_id": str(number),
        "event_timestamp": "2025-01-06T08:00:00Z",
        "event_type": "shipment.departed",
        "description": "x" * 250,
    }
    return dumps(
        {
            "id": str(uuid.uuid4()),
            "source": names.SOURCE,
            "detail-type": "shipment.departed",
            "time": "2025-01-06T08:00:01Z",
            "detail": detail,
        }
    )
