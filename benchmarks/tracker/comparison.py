"""A batch of 100 records of 90 shipments, by our tracker and by the textbook's, in turns."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any, Final

import botocore.session

from benchmarks.cpu_share import cpu_share, share_of
from benchmarks.fake_services.endpoint import MEDIAN_SERVICE_SECONDS, Endpoint, running_endpoint
from benchmarks.processor.container import Container, container
from benchmarks.processor.variables import STAGE
from benchmarks.results import PartResult, Table
from benchmarks.statistics import quartiles, ratio_of_medians
from benchmarks.tracker.records import RECORDS, SHIPMENTS, batches, event_item, record
from shipment_events.table.statements import MAX_STATEMENTS

MEMORY_MB: Final = 512
DESIGNS: Final[Mapping[str, tuple[str, str]]] = {
    "ours": ("ours", "shipment_events.tracking.handler"),
    "again": ("ours, again", "shipment_events.tracking.handler"),
    "textbook": ("GetItem and PutItem each", "benchmarks.tracker.handlers.textbook"),
}

_ROUNDS: Final = 40
_WARM_UP: Final = 4
_EVENTS: Final = 20_000
_EVENTS_TABLE: Final = "shipmentevents-bench"
_OLD: Final = "S-old"


def measure() -> PartResult:
    """Measure both designs with the share of a core that 512 MB have."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(running_endpoint())
        share = stack.enter_context(cpu_share(share_of(MEMORY_MB)))
        workers = {
            name: stack.enter_context(
                container(name, module, endpoint, share, function_variables(name, endpoint.url))
            )
            for name, (_, module) in DESIGNS.items()
        }
        rounds = _rounds(workers, endpoint)
        events = _single_events(workers["ours"], endpoint)
    return _result(rounds, events, share.how)


def function_variables(name: str, url: str) -> dict[str, str]:
    """The variables of a compared tracker, which has a table of its own."""
    return {
        "ENVIRONMENT": STAGE.environment,
        "EVENTS_TABLE_NAME": _EVENTS_TABLE,
        "SHIPMENTS_TABLE_NAME": f"shipments-bench-{name}",
        "STATUS_BUS_NAME": "shipmentstatus-bench",
        "FAILURES_QUEUE_URL": f"{url}/failures",
        "EVENT_RETENTION_DAYS": str(STAGE.event_retention_days),
    }


def _rounds(workers: Mapping[str, Container], endpoint: Endpoint) -> dict[str, list[dict[str, float]]]:
    """Each design's measurements, one a round."""
    order = random.Random(1)  # noqa: S311 - order of turns
    rounds: dict[str, list[dict[str, float]]] = defaultdict(list)
    names = list(DESIGNS)
    for number, batch in enumerate(batches(_WARM_UP + _ROUNDS)):
        order.shuffle(names)
        for name in names:
            measured = _timed(workers[name], endpoint, batch, number)
            if number >= _WARM_UP:
                rounds[name].append(measured)
    return rounds


def _single_events(worker: Container, endpoint: Endpoint) -> dict[str, list[float]]:
    """Times of the first event of a shipment, and of events after 20,000 others of one shipment.

    The table has all events of the old shipment, which a tracker that reads them would find.
    """
    client = _client(endpoint)
    for step in range(0, _EVENTS, RECORDS):
        steps = range(step, step + RECORDS)
        endpoint.begin(median_seconds=0)
        _store(client, [event_item(_OLD, number) for number in steps])
        records = [record(_OLD, number) for number in steps]
        _timed(worker, endpoint, {"Records": records}, step, median_seconds=0)
    times: dict[str, list[float]] = {"first": [], "last": []}
    for number in range(_ROUNDS):
        for name, one in (("first", record(f"S-new-{number}", 0)), ("last", record(_OLD, _EVENTS + number))):
            times[name].append(_timed(worker, endpoint, {"Records": [one]}, number)["wall"])
    return times


def _client(endpoint: Endpoint) -> Any:
    session = botocore.session.get_session()
    session.set_credentials("benchmark", "benchmark")
    return session.create_client("dynamodb", region_name="eu-central-1", endpoint_url=endpoint.url)


def _store(client: Any, items: Sequence[Mapping[str, Any]]) -> None:
    values = ", ".join(f"'{name}': ?" for name in items[0])
    insert = f'INSERT INTO "{_EVENTS_TABLE}" VALUE {{{values}}}'
    for start in range(0, len(items), MAX_STATEMENTS):
        part = items[start : start + MAX_STATEMENTS]
        client.batch_execute_statement(
            Statements=[{"Statement": insert, "Parameters": list(item.values())} for item in part]
        )


def _timed(
    worker: Container,
    endpoint: Endpoint,
    batch: Mapping[str, Any],
    seed: int,
    median_seconds: float = MEDIAN_SERVICE_SECONDS,
) -> dict[str, float]:
    endpoint.begin(seed=seed, median_seconds=median_seconds)
    measured = worker.run("timed", batch)
    if measured["failed"]:
        raise RuntimeError(f"{measured['failed']} records could not be tracked")
    counted = endpoint.begin()
    requests = sum(count for operation, count in counted.items() if operation != "Entries")
    return {**measured, "requests": requests, "changes": counted["Entries"]}


def _result(
    rounds: Mapping[str, list[dict[str, float]]], events: Mapping[str, list[float]], how: str
) -> PartResult:
    wall = {name: [one["wall"] for one in measured] for name, measured in rounds.items()}
    cpu = {name: [one["cpu"] for one in measured] for name, measured in rounds.items()}
    result = PartResult(
        f"{RECORDS} records of {SHIPMENTS} shipments, {_ROUNDS} rounds, "
        f"{share_of(MEMORY_MB):.2f} of a core by {how}; service time log-normal, median 5 ms"
    )
    result.ratios["tracker_wall_vs_textbook"] = ratio_of_medians(wall["ours"], wall["textbook"])
    result.ratios["tracker_cpu_vs_textbook"] = ratio_of_medians(cpu["ours"], cpu["textbook"])
    result.ratios["event_20001_vs_first"] = ratio_of_medians(events["last"], events["first"])
    result.noise["tracker, wall, ours / ours"] = ratio_of_medians(wall["again"], wall["ours"])
    result.noise["tracker, CPU, ours / ours"] = ratio_of_medians(cpu["again"], cpu["ours"])
    rows = []
    for name, (what, _) in DESIGNS.items():
        low, high = quartiles(wall[name])
        numbers = {
            "requests": median(one["requests"] for one in rounds[name]),
            "changes": median(one["changes"] for one in rounds[name]),
            "wall_seconds": median(wall[name]),
            "cpu_seconds_per_event": median(cpu[name]) / RECORDS,
        }
        result.numbers[name] = numbers
        rows.append(
            [
                what,
                f"{numbers['requests']:.0f}",
                f"{numbers['changes']:.0f}",
                f"{1e3 * numbers['wall_seconds']:,.0f} ({1e3 * low:,.0f} to {1e3 * high:,.0f})",
                f"{1e6 * numbers['cpu_seconds_per_event']:,.0f}",
            ]
        )
    result.numbers["event"] = {name: {"wall_seconds": median(times)} for name, times in events.items()}
    header = ["a batch of 100 records", "requests", "changes", "ms (half of them)", "CPU µs an event"]
    result.tables["tracker"] = Table(header, rows)
    return result
