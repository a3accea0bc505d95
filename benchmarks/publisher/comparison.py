"""Events a second by our publisher and by a producer's own calls of PutEvents, in turns."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import boto3

from benchmarks.fake_services.endpoint import running_endpoint
from benchmarks.results import PartResult, Table
from benchmarks.statistics import quartiles, ratio_of_medians
from shipment_events.contract import names
from shipment_events.publishing.entries import MAX_REQUEST_ENTRIES
from shipment_events.publishing.publisher import Publisher
from workbench.feed import Shares, generate

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_BUS: Final = names.event_bus_name("bench")
_ROUNDS: Final = 12
_EVENTS: Final = 3000

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to publish.

    Attributes:
        events: that it publishes in a round: a second's worth or so.
    """

    what: str
    publish: Callable[[Sequence[Event]], None]
    events: int


def measure() -> PartResult:
    """Measure all ways against the same service times."""
    lines = generate(_EVENTS, shares=Shares(broken=0, repeat=0, enriched=0))
    events = [json.loads(line.text) for line in lines]
    with running_endpoint() as endpoint, mock.patch.dict(os.environ, endpoint.environment):
        ways = _ways(boto3.client("events"))
        rates: dict[str, list[float]] = {name: [] for name in ways}
        cpu: dict[str, list[float]] = {name: [] for name in ways}
        requests: dict[str, float] = {}
        for way in ways.values():
            way.publish(events[:MAX_REQUEST_ENTRIES])
        for number in range(_ROUNDS):
            for name, way in ways.items():
                endpoint.begin(seed=number)
                began, cpu_began = time.perf_counter(), time.process_time()
                way.publish(events[: way.events])
                seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
                counted = endpoint.begin()
                if counted["Entries"] != way.events:
                    raise RuntimeError(f"{name}: {counted['Entries']} of {way.events} events are on the bus")
                rates[name].append(way.events / seconds)
                cpu[name].append(cpu_seconds / way.events)
                requests[name] = counted["PutEvents"] / way.events * 1000
    return _result(ways, rates, cpu, requests)


def _ways(client: "EventBridgeClient") -> Mapping[str, _Way]:
    publisher = Publisher.connect("bench")

    def ours(events: Sequence[Event]) -> None:
        publisher.publish(events)

    def batches(events: Sequence[Event]) -> None:
        for start in range(0, len(events), MAX_REQUEST_ENTRIES):
            _put(client, events[start : start + MAX_REQUEST_ENTRIES])

    def one_by_one(events: Sequence[Event]) -> None:
        for event in events:
            _put(client, [event])

    return {
        "ours": _Way("ours", ours, _EVENTS),
        "again": _Way("ours, again", ours, _EVENTS),
        "batches": _Way("ten entries a request", batches, 1000),
        "one_by_one": _Way("one entry a request", one_by_one, 150),
    }


def _put(client: "EventBridgeClient", events: Sequence[Event]) -> None:
    """As a producer writes it that validates nothing, and looks only at whether something failed."""
    answer = client.put_events(
        Entries=[
            {
                "EventBusName": _BUS,
                "Source": names.SOURCE,
                "DetailType": event["event_type"],
                "Detail": json.dumps(event),
            }
            for event in events
        ]
    )
    if answer["FailedEntryCount"]:
        raise RuntimeError("the bus did not take every entry")


def _result(
    ways: Mapping[str, _Way],
    rates: Mapping[str, list[float]],
    cpu: Mapping[str, list[float]],
    requests: Mapping[str, float],
) -> PartResult:
    result = PartResult(f"{_ROUNDS} rounds, a whole core; service time log-normal, median 5 ms")
    result.ratios["publisher_vs_one_by_one"] = ratio_of_medians(rates["ours"], rates["one_by_one"])
    result.noise["publisher, ours / ours"] = ratio_of_medians(rates["again"], rates["ours"])
    rows = []
    for name, way in ways.items():
        low, high = quartiles(rates[name])
        numbers = {
            "events_per_second": median(rates[name]),
            "cpu_seconds_per_event": median(cpu[name]),
            "requests_per_thousand": requests[name],
        }
        result.numbers[name] = numbers
        rows.append(
            [
                way.what,
                f"{numbers['events_per_second']:,.0f} ({low:,.0f} to {high:,.0f})",
                f"{numbers['requests_per_thousand']:,.0f}",
                f"{1e6 * numbers['cpu_seconds_per_event']:,.0f}",
            ]
        )
    header = ["publisher", "events/s (half of them)", "requests for 1,000", "CPU µs an event"]
    result.tables["publisher"] = Table(header, rows)
    return result
