"""The part of each limit that a rate needs, in the order in which an event reaches the limits.

This is arithmetic. The simulation adds queues, ramps, retries and latency.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.scale_model.quotas import SOURCES
from benchmarks.scale_model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Load:
    """A limit and its load.

    Attributes:
        needed: in the limit's own unit.
        lift: the setting, or the quota of AWS, that raises the limit.
    """

    name: str
    needed: float
    limit: float
    lift: str

    @property
    def share(self) -> float:
        """Part of the limit that the load needs. More than 1 is too much."""
        return self.needed / self.limit


def loads(scenario: Scenario) -> list[Load]:
    """Every limit on the way, for full batches."""
    return [*_delivery(scenario), *_processing(scenario), *_storing(scenario)]


def tightest(scenario: Scenario) -> Load:
    """The limit that is reached first as the rate grows."""
    return max(loads(scenario), key=lambda load: load.share)


def _delivery(scenario: Scenario) -> Iterator[Load]:
    quotas, rate = scenario.quotas, scenario.rate
    yield Load("PutEvents", rate / scenario.entries, quotas.put_events, SOURCES["put_events"].increase)
    yield Load("rule invocations", rate, quotas.rule_invocations, SOURCES["rule_invocations"].increase)
    in_flight = rate * (scenario.times.poll + scenario.times.batch(scenario.settings.batch_size))
    yield Load("messages in flight", in_flight, quotas.in_flight, SOURCES["in_flight"].increase)


def _processing(scenario: Scenario) -> Iterator[Load]:
    quotas, settings, times = scenario.quotas, scenario.settings, scenario.times
    batches = scenario.rate / settings.batch_size
    in_work = batches * (times.poll + times.batch(settings.batch_size))
    pollers = settings.provisioned_pollers
    if pollers is None:
        lift = "processor_max_concurrency, then provisioned_pollers"
        yield Load("batches in work", in_work, scenario.most_batches, lift)
    else:
        lift = "provisioned_pollers"
        yield Load("batches in work", in_work, scenario.most_batches, lift)
        yield Load("polls", batches, pollers.maximum * quotas.poller_polls, lift)
        read = scenario.rate * scenario.workload.envelope_bytes
        yield Load("bytes polled", read, pollers.maximum * quotas.poller_bytes, lift)
    running = batches * times.batch(settings.batch_size)
    increase = SOURCES["lambda_concurrency"].increase
    yield Load("concurrent executions", running, quotas.lambda_concurrency, increase)
    most = quotas.lambda_concurrency * quotas.requests_of_an_instance
    yield Load("invocations", batches, most, increase)


def _storing(scenario: Scenario) -> Iterator[Load]:
    quotas, settings = scenario.quotas, scenario.settings
    units = scenario.rate * scenario.workload.write_units
    warm = max(quotas.new_table_write_units, settings.warm_write_units or 0)
    yield Load("warm write units", units, warm, "warm_write_units, or half an hour for each doubling")
    increase = SOURCES["table_write_units"].increase
    yield Load("table write units", units, quotas.table_write_units, increase)
    partitions = settings.status_index_shards or 1
    yield Load("index partitions", units, partitions * quotas.partition_write_units, "status_index_shards")
