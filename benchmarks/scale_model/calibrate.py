"""Hold the model against the running local engine: ``python -m benchmarks.scale_model.calibrate``.

The parts are measured one by one, PutEvents and the function invoked directly; the model is given these
times and says what the whole pipeline does; then the pipeline does it. What differs is what the model leaves
out: on the engine all parts share two cores. ``SHIPMENTS_PORT`` chooses the engine; ``--write`` notes the
result in docs/scale.md.
"""

import argparse
import json
import os
import statistics
import sys
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from math import log
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from benchmarks.documents import markdown_table, write_between_markers
from benchmarks.scale_model.outcome import Outcome, simulate
from benchmarks.scale_model.quotas import Quotas
from benchmarks.scale_model.report import DOCUMENT
from benchmarks.scale_model.scenario import Scenario, Times
from infrastructure.settings import settings_for
from shipment_events import names
from shipment_events.item import StoredEvent
from shipment_events.local.clients import LOCAL_CONFIG, local_session
from shipment_events.local.settings import settings_from
from shipment_events.store import EventTable

STAGE: Final = "dev"
_UNLIMITED: Final = 1e9
_PARALLEL: Final = 10


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number, as the model says it and as the engine does it."""

    what: str
    predicted: float
    measured: float

    @property
    def deviation(self) -> float:
        """Of the model, as a part of what was measured."""
        return self.predicted / self.measured - 1


class Engine:
    """The engine's parts and the whole."""

    def __init__(self, endpoint: str) -> None:
        config = LOCAL_CONFIG.merge(Config(max_pool_connections=2 * _PARALLEL))
        session = local_session()
        self._events = session.client("events", endpoint_url=endpoint, config=config)
        self._lambda = session.client("lambda", endpoint_url=endpoint, config=config)
        dynamodb = session.client("dynamodb", endpoint_url=endpoint, config=config)
        self._table = EventTable(dynamodb, names.table_name(STAGE))

    def invoke(self, events: int) -> float:
        """Seconds of one invocation of the function with so many new events."""
        run = uuid.uuid4().hex
        records = [_record(f"{run}-{number}") for number in range(events)]
        begin = time.perf_counter()
        answer = self._lambda.invoke(
            FunctionName=names.processor_name(STAGE), Payload=json.dumps({"Records": records})
        )
        took = time.perf_counter() - begin
        if json.load(answer["Payload"]) != {"batchItemFailures": []}:
            raise RuntimeError("the function could not store the events of the calibration")
        return took

    def parallel(self, batches: int) -> float:
        """Batches of ten a second, several at a time."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            begin = time.perf_counter()
            list(pool.map(lambda _: self.invoke(10), range(batches)))
            return batches / (time.perf_counter() - begin)

    def put(self, ids: Sequence[str]) -> float:
        """Publish events in one request; returns when it was sent, in seconds since 1970."""
        sent = time.time()
        answer = self._events.put_events(
            Entries=[
                {
                    "Source": names.SOURCE,
                    "DetailType": "shipment.departed",
                    "Detail": json.dumps(_detail(identifier)),
                    "EventBusName": names.event_bus_name(STAGE),
                }
                for identifier in ids
            ]
        )
        if answer["FailedEntryCount"]:
            raise RuntimeError("the bus refused events of the calibration")
        return sent

    def whole(self, rate: float, events: int, entries: int) -> tuple[list[float], float]:
        """Latencies in seconds of events put at a rate, and how many a second were stored."""
        run, sent = uuid.uuid4().hex, {}
        begin = time.perf_counter()
        for first in range(0, events, entries):
            time.sleep(max(0.0, first / rate - (time.perf_counter() - begin)))
            ids = [f"{run}-{number}" for number in range(first, min(events, first + entries))]
            sent.update(dict.fromkeys(ids, self.put(ids)))
        stored = self._stored(run, events)
        latencies = [stored[identifier] - at for identifier, at in sent.items()]
        return latencies, events / (max(stored.values()) - min(sent.values()))

    def _stored(self, run: str, events: int) -> dict[str, float]:
        for _ in range(120):
            found = {item.event_id: _stored_at(item) for item in self._table.timeline(f"CALIBRATION-{run}")}
            if len(found) >= events:
                return found
            time.sleep(0.5)
        raise RuntimeError(f"only {len(found)} of {events} events were stored within a minute")


def compare(engine: Engine) -> list[Comparison]:
    """Measure the parts, predict the whole, and measure that."""
    # The engine starts a process for each invocation that comes while others run.
    engine.parallel(50)
    one, ten = ([engine.invoke(events) for _ in range(40)] for events in (1, 10))
    puts, puts_of_ten = ([_timed_put(engine, entries) for _ in range(40)] for entries in (1, 10))
    event = (statistics.median(ten) - statistics.median(one)) / 9
    parallel = engine.parallel(100)
    # How many batches the machine works on at the same time: function and table share its cores.
    slots = max(1, round(parallel * statistics.median(ten)))
    slowdown = slots / parallel / statistics.median(ten)
    alone = Times(
        bus=statistics.median(puts),
        bus_sigma=0,
        poll=0,
        invocation=max(0.0, statistics.median(one) - event),
        event=event,
        sigma=statistics.stdev(log(took) for took in one),
        start=0,
    )
    busy = replace(
        alone,
        invocation=alone.invocation * slowdown,
        event=event * slowdown,
        # Publishing the next ten events takes the cores from the function for so long.
        poll=statistics.median(puts_of_ten),
    )
    compared = []
    for rate, events in ((20.0, 160), (50.0, 400)):
        latencies, _ = engine.whole(rate, events, entries=1)
        predicted = _predict(rate, alone, slots)
        compared.append(
            Comparison(
                f"p50 at {rate:.0f} events/s (ms)", predicted.p50 * 1000, statistics.median(latencies) * 1000
            )
        )
    _, throughput = engine.whole(_UNLIMITED, 3_000, entries=10)
    compared.append(
        Comparison("most events/s stored", _predict(10_000, busy, slots).stored_a_second, throughput)
    )
    return compared


def _predict(rate: float, times: Times, slots: int) -> Outcome:
    quotas = Quotas(
        put_events=_UNLIMITED,
        rule_invocations=_UNLIMITED,
        in_flight=_UNLIMITED,
        lambda_concurrency=slots,
        requests_of_an_instance=_UNLIMITED,
        table_write_units=_UNLIMITED,
        new_table_write_units=_UNLIMITED,
        partition_write_units=_UNLIMITED,
    )
    return simulate(
        Scenario(rate=rate, settings=settings_for(STAGE), quotas=quotas, times=times, warm_up=5, measured=60)
    )


def _timed_put(engine: Engine, entries: int) -> float:
    run = uuid.uuid4().hex
    begin = time.perf_counter()
    engine.put([f"{run}-{number}" for number in range(entries)])
    return time.perf_counter() - begin


def _detail(identifier: str) -> dict[str, str]:
    return {
        "shipment_id": f"CALIBRATION-{identifier.partition('-')[0]}",
        "event_timestamp": "2024-01-01T00:00:00Z",
        "event_type": "shipment.departed",
        "event_id": identifier,
        "description": "x" * 250,
    }


def _record(identifier: str) -> dict[str, Any]:
    envelope = {
        "id": identifier,
        "source": names.SOURCE,
        "detail-type": "shipment.departed",
        "time": "2024-01-01T00:00:00Z",
        "detail": _detail(identifier),
    }
    return {
        "messageId": identifier,
        "receiptHandle": "none",
        "attributes": {"ApproximateReceiveCount": "1"},
        "body": json.dumps(envelope),
    }


def _stored_at(item: StoredEvent) -> float:
    return datetime.fromisoformat(item.stored_at).timestamp()


def main() -> None:
    """Compare, print, and write where it is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_model.calibrate", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table of docs/scale.md")
    options = parser.parse_args()
    try:
        compared = compare(Engine(settings_from(os.environ).endpoint))
    except EndpointConnectionError as error:
        sys.exit(f"{error}. Start the local engine with 'make up', or name its port in SHIPMENTS_PORT.")
    rows = [
        [one.what, f"{one.predicted:,.1f}", f"{one.measured:,.1f}", f"{one.deviation:+.0%}"]
        for one in compared
    ]
    table = markdown_table(["", "model", "engine", "deviation of the model"], rows)
    sys.stdout.write(f"{table}\n")
    if options.write:
        write_between_markers(DOCUMENT, "calibration", table)


if __name__ == "__main__":
    main()
