"""Compare the model with the running local engine: ``python -m benchmarks.scale_model.calibrate``.

PutEvents and the direct invocation of the function are measured separately. The pause of the engine's event
source is a constant in its source. The model predicts the whole pipeline from these times. Then the pipeline
is measured with events at random times, as in the model. ``SHIPMENTS_PORT`` chooses the engine.
"""

import argparse
import json
import os
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from math import log
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from benchmarks.scale_model.outcome import Outcome, simulate
from benchmarks.scale_model.quotas import PUBLISHED, Quotas
from benchmarks.scale_model.scenario import Scenario, Times
from shipment_events.contract import names
from shipment_events.stages import settings_for
from shipment_events.table.item import StoredEvent
from shipment_events.table.store import EventTable
from workbench import documents
from workbench.engine.clients import LOCAL_CONFIG, local_session
from workbench.engine.settings import settings_from

STAGE: Final = "dev"
_UNLIMITED: Final = 1e9
_PARALLEL: Final = 10
_RATES: Final = (5, 20, 50, 200)
_SECONDS: Final = 20
_ROUNDS: Final = 3
_PAUSE: Final = 0.05
"""MiniStack's ``_ESM_IDLE_WAKE_GAP_SECONDS``: its event source sleeps for this time after a needless wake."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number of the model and of the engine."""

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

    def invoke(self, run: str, events: int) -> float:
        """Seconds of one invocation of the function with so many new events."""
        records = [_record(f"{run}-{number}") for number in range(events)]
        begin = time.time()
        answer = self._lambda.invoke(
            FunctionName=names.processor_name(STAGE), Payload=json.dumps({"Records": records})
        )
        took = time.time() - begin
        if json.load(answer["Payload"]) != {"batchItemFailures": []}:
            raise RuntimeError("the function could not store the events of the calibration")
        return took

    def invoke_and_look(self, events: int) -> tuple[float, float]:
        """Seconds of one invocation: until it stores the events, and from there to its end."""
        _rest()
        run, begin = uuid.uuid4().hex, time.time()
        took = self.invoke(run, events)
        until_stored = max(self._stored(run, events).values()) - begin
        return until_stored, took - until_stored

    def parallel(self, batches: int) -> float:
        """Batches of ten a second, several at a time."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            begin = time.perf_counter()
            list(pool.map(lambda _: self.invoke(uuid.uuid4().hex, 10), range(batches)))
            return batches / (time.perf_counter() - begin)

    def put(self, ids: Sequence[str], bus: str = names.event_bus_name(STAGE)) -> float:
        """Publish events in one request; returns when it was sent, in seconds since 1970."""
        sent = time.time()
        answer = self._events.put_events(
            Entries=[
                {
                    "Source": names.SOURCE,
                    "DetailType": "shipment.departed",
                    "Detail": json.dumps(_detail(identifier)),
                    "EventBusName": bus,
                }
                for identifier in ids
            ]
        )
        if answer["FailedEntryCount"]:
            raise RuntimeError("the bus refused events of the calibration")
        return sent

    def ask(self) -> None:
        """Send a request that costs the engine next to nothing."""
        self._events.describe_event_bus(Name=names.event_bus_name(STAGE))

    def whole(self, rate: float, events: int, entries: int) -> tuple[list[float], float]:
        """Latencies in seconds of events put at random at a mean rate, and how many a second were stored."""
        run, sent = uuid.uuid4().hex, {}
        due = time.perf_counter()
        for first in range(0, events, entries):
            due += random.expovariate(rate / entries)
            time.sleep(max(0.0, due - time.perf_counter()))
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
    times = _times(engine)
    compared = []
    for rate in _RATES:
        latencies, _ = engine.whole(rate, rate * _SECONDS, entries=1)
        predicted = _predict(rate, times)
        for name, model, percent in (("p50", predicted.p50, 50), ("p99", predicted.p99, 99)):
            measured = statistics.quantiles(latencies, n=100)[percent - 1]
            compared.append(Comparison(f"{name} at {rate} events/s (ms)", model * 1000, measured * 1000))
    # The machine's speed changes from minute to minute, so both are measured in turns.
    rounds = [
        (engine.parallel(100), _publish(engine), engine.whole(_UNLIMITED, 3_000, entries=10)[1])
        for _ in range(_ROUNDS)
    ]
    parallel, publish, throughput = (statistics.median(one) for one in zip(*rounds, strict=True))
    # All of it is the work of the engine's one process, so that one batch and publishing the next add up.
    batches = 1 / (1 / parallel + publish)
    saturated = _predict(10_000, times, batches_a_second=batches)
    compared.append(Comparison("most events/s stored", saturated.stored_a_second, throughput))
    return compared


def _times(engine: Engine) -> Times:
    """The parts of an engine that has nothing else to do."""
    one, ten = ([engine.invoke_and_look(events) for _ in range(40)] for events in (1, 10))
    requests = [
        (_timed(lambda: engine.put([f"{uuid.uuid4().hex}-0"])), _timed(engine.ask)) for _ in range(40)
    ]
    until_stored = statistics.median(stored for stored, _ in one)
    event = (statistics.median(stored for stored, _ in ten) - until_stored) / 9
    return Times(
        # Sending a request is part of the invocation's time already.
        bus=max(0.0, statistics.median(put - ask for put, ask in requests)),
        bus_sigma=0,
        receive=0,
        finish=statistics.median(rest for _, rest in one),
        pause=_PAUSE,
        invocation=max(0.0, until_stored - event),
        event=event,
        sigma=statistics.stdev(log(stored) for stored, _ in one),
        start=0,
    )


def _timed(call: Callable[[], object]) -> float:
    _rest()
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _rest() -> None:
    """Let the engine end what the last request set off; and one that rests is slower to answer."""
    time.sleep(2 * _PAUSE)


def _publish(engine: Engine) -> float:
    """Seconds of publishing ten events and nothing else: to a bus without rules."""
    ids = [f"{uuid.uuid4().hex}-{number}" for number in range(10)]
    begin = time.perf_counter()
    for _ in range(100):
        engine.put(ids, bus="default")
    return (time.perf_counter() - begin) / 100


def _predict(rate: float, times: Times, *, batches_a_second: float = _UNLIMITED) -> Outcome:
    settings = settings_for(STAGE)
    quotas = Quotas(
        put_events=_UNLIMITED,
        rule_invocations=_UNLIMITED,
        in_flight=_UNLIMITED,
        requests_of_an_instance=batches_a_second / PUBLISHED.lambda_concurrency,
        # The engine does not begin with fewer batches than it allows.
        event_source_start=settings.processor_max_concurrency,
        table_write_units=_UNLIMITED,
        new_table_write_units=_UNLIMITED,
        partition_write_units=_UNLIMITED,
    )
    return simulate(
        Scenario(rate=rate, settings=settings, quotas=quotas, times=times, warm_up=5, measured=300)
    )


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
        # A late event would cost a read.
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
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
    """Compare and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_model.calibrate", description=__doc__)
    parser.parse_args()
    try:
        compared = compare(Engine(settings_from(os.environ).endpoint))
    except EndpointConnectionError as error:
        sys.exit(f"{error}. Start the local engine with 'make up', or name its port in SHIPMENTS_PORT.")
    rows = [
        [one.what, f"{one.predicted:,.1f}", f"{one.measured:,.1f}", f"{one.deviation:+.0%}"]
        for one in compared
    ]
    table = documents.markdown_table(["", "model", "engine", "deviation of the model"], rows, numbers=True)
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()
