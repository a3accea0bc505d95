"""The pipeline as a discrete-event simulation: bus, queue, event source, function, table.

From 1,000 events a second on, events of the same hundredth of a second form one parcel, and one worker stands
for several batches. A run therefore takes seconds at any rate. At low rates, a parcel is one event and a
worker is one batch.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from math import ceil, exp, sqrt
from random import Random
from typing import Any, Final

import simpy

from benchmarks.scale_model.measures import Latencies, Level, Limiter
from benchmarks.scale_model.scenario import Scenario
from shipment_events.processor.retries import RetryPolicy

_TICK: Final = 0.01
_MANY: Final = 10
"""Events of a tick from which on they travel together; of fewer, cutting off at 0 would send too many."""
_WORKERS: Final = 25
"""Workers that are simulated at most; each stands for a share of the batches in work."""

_Process = Generator[simpy.Event, Any, None]


@dataclass(slots=True)
class Parcel:
    """Events that travel together.

    Attributes:
        sent: when PutEvents was called.
        queued: when they became visible in the queue.
        receives: how often the queue has handed them out.
    """

    sent: float
    events: int
    queued: float = 0.0
    receives: int = 0


class Pipeline:
    """One run; ``run`` may be called once, and the meters read after it."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        settings, quotas = scenario.settings, scenario.quotas
        self._env = simpy.Environment()
        self._random = Random(scenario.seed)  # noqa: S311 - a simulation has to repeat itself
        self._policy = RetryPolicy.within(settings.visibility_timeout_seconds)
        self._queue: deque[Parcel] = deque()
        self._idle: deque[simpy.Event] = deque()
        self._wake = self._env.event()
        self._bundle = max(1, ceil(scenario.most_batches / _WORKERS))
        self._workers = 0
        partitions = settings.status_index_shards or 1
        warm = max(quotas.new_table_write_units, settings.warm_write_units or 0)
        self.put_events = Limiter(quotas.put_events)
        self.rule = Limiter(quotas.rule_invocations)
        self.invocations = Limiter(quotas.lambda_concurrency * quotas.requests_of_an_instance)
        self.table = Limiter(min(warm, quotas.table_write_units))
        self.index = Limiter(partitions * quotas.partition_write_units)
        pollers = settings.provisioned_pollers
        self.polls = Limiter(pollers.maximum * quotas.poller_polls) if pollers else None
        self.bytes = Limiter(pollers.maximum * quotas.poller_bytes) if pollers else None
        self.waiting = Level()
        self.running = Level()
        self.in_flight = Level()
        self.latencies = Latencies()
        self.waits = Latencies()
        self.sent = self.on_the_way = self.hidden = 0
        self.stored = self.dead = self.returned = self.throttled = 0
        self.stored_measured = self.batches_measured = 0
        self.behind_at_start = self.ramp_peak = 0

    def run(self) -> None:
        """Simulate warm-up and measurement."""
        self._env.process(self._produce())
        self._env.process(self._grow())
        if self.scenario.times.pause:
            self._env.process(self._watch())
        self._env.run(until=self.scenario.warm_up)
        now = self._env.now
        self.ramp_peak = self.waiting.peak
        for level in (self.waiting, self.running, self.in_flight):
            level.restart(now)
        self.latencies, self.waits = Latencies(), Latencies()
        self.throttled = self.returned = self.stored_measured = self.batches_measured = 0
        self.behind_at_start = self.behind
        for limiter in self.limiters().values():
            limiter.used = 0.0
        self._env.run(until=now + self.scenario.measured)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._env.now

    @property
    def behind(self) -> int:
        """Events on the way to the queue, waiting in it, or hidden in it for a retry."""
        return self.on_the_way + self.waiting.value + self.hidden

    def limiters(self) -> dict[str, Limiter]:
        """Limits of rates, by name."""
        found = {
            "PutEvents": self.put_events,
            "rule invocations": self.rule,
            "invocations": self.invocations,
            "table write units": self.table,
            "index partitions": self.index,
        }
        if self.polls is None or self.bytes is None:
            return found
        return {**found, "polls": self.polls, "bytes polled": self.bytes}

    def _produce(self) -> _Process:
        rate = self.scenario.rate
        while True:
            if rate * _TICK < _MANY:
                yield self._env.timeout(self._random.expovariate(rate))
                self._send(1)
            else:
                yield self._env.timeout(_TICK)
                mean = rate * _TICK
                # Close to Poisson's distribution, and quick.
                self._send(max(0, round(self._random.gauss(mean, sqrt(mean)))))

    def _send(self, events: int) -> None:
        if not events:
            return
        now, times = self._env.now, self.scenario.times
        self.sent += events
        self.on_the_way += events
        delay = self.put_events.book(events / self.scenario.entries, now)
        delay += self.rule.book(events, now + delay)
        delay += times.bus * exp(self._random.gauss(0, times.bus_sigma)) if times.bus_sigma else times.bus
        self._later(delay, Parcel(now, events))

    def _later(self, delay: float, parcel: Parcel, *, was_in_flight: bool = False) -> None:
        def arrive(_: simpy.Event) -> None:
            if was_in_flight:
                self.hidden -= parcel.events
                self.in_flight.change(-parcel.events, self._env.now)
            else:
                self.on_the_way -= parcel.events
            self._enqueue(parcel)

        timer = self._env.timeout(delay)
        timer.callbacks.append(arrive)

    def _enqueue(self, parcel: Parcel) -> None:
        parcel.queued = self._env.now
        self._queue.append(parcel)
        self.waiting.change(parcel.events, self._env.now)
        self._awake()
        if self.scenario.times.pause:
            return
        # Idle pollers share what comes: each takes what its own receive happens to get.
        woken = min(len(self._idle), max(1, ceil(parcel.events / self._bundle)))
        share = ceil(parcel.events / woken) if woken else 0
        for _ in range(woken):
            if self.scenario.settings.batching_window_seconds:
                # Pollers are not alike here: some have got events already. The queue answers any of them.
                self._idle.rotate(self._random.randrange(len(self._idle)))
            self._idle.popleft().succeed(share)

    def _awake(self) -> None:
        if not self._wake.triggered:
            self._wake.succeed()

    def _watch(self) -> _Process:
        """One thread that hands out batches, as the local engine has: a pause follows a needless wake."""
        woken = False
        while True:
            self._wake = self._env.event()
            if self._queue and self._idle:
                self._idle.popleft().succeed(self.scenario.settings.batch_size)
                # The worker takes its batch first.
                yield self._env.timeout(0)
                woken = False
            else:
                if woken:
                    yield self._env.timeout(self.scenario.times.pause)
                yield self._wake
                woken = True

    def _grow(self) -> _Process:
        """Workers that Lambda starts, at first and while events wait."""
        quotas, pollers = self.scenario.quotas, self.scenario.settings.provisioned_pollers
        most = self.scenario.most_batches
        start, growth = quotas.event_source_start, quotas.event_source_growth
        if pollers is not None:
            start, growth = pollers.minimum * 10.0, quotas.poller_growth
        wanted = min(start, most)
        while True:
            # The last worker would stand for fewer batches than the others, so it is left out.
            while self._workers < max(1, int(wanted / self._bundle)):
                self._workers += 1
                self._env.process(self._work())
            yield self._env.timeout(1)
            if self.waiting.value:
                wanted = min(wanted + growth, most)

    def _work(self) -> _Process:
        times = self.scenario.times
        yield self._env.timeout(times.start)
        while True:
            most = self._bundle * self.scenario.settings.batch_size
            if not self._queue or times.pause:
                idle = self._env.event()
                self._idle.append(idle)
                share = yield idle
                most = min(most, max(1, share))
            free = int(self.scenario.quotas.in_flight) - self.in_flight.value
            if free <= 0:
                yield self._env.timeout(1)
                continue
            if taken := self._take(min(most, free)):
                yield from self._collect(taken)
                yield from self._process(taken)

    def _collect(self, taken: list[Parcel]) -> _Process:
        """Add to what a poller got first, until the batch is full or the window over."""
        settings = self.scenario.settings
        if not settings.batching_window_seconds:
            return
        over = self._env.timeout(settings.batching_window_seconds)
        missing = self._bundle * settings.batch_size - sum(parcel.events for parcel in taken)
        while missing and not over.processed:
            share = missing
            if not self._queue:
                arrived = self._env.event()
                self._idle.append(arrived)
                yield arrived | over
                if not arrived.triggered:
                    self._idle.remove(arrived)
                    return
                share = min(missing, max(1, int(arrived.value or 0)))
            free = int(self.scenario.quotas.in_flight) - self.in_flight.value
            if free <= 0:
                return
            more = self._take(min(share, free))
            taken += more
            missing -= sum(parcel.events for parcel in more)

    def _take(self, most: int) -> list[Parcel]:
        taken: list[Parcel] = []
        now, events = self._env.now, 0
        while self._queue and events < most:
            first = self._queue[0]
            part = min(first.events, most - events)
            if part == first.events:
                self._queue.popleft()
            else:
                first.events -= part
            taken.append(Parcel(first.sent, part, first.queued, first.receives + 1))
            self.waits.add(now - first.queued, part)
            events += part
        self.waiting.change(-events, now)
        self.in_flight.change(events, now)
        return taken

    def _process(self, taken: list[Parcel]) -> _Process:
        times = self.scenario.times
        events = sum(parcel.events for parcel in taken)
        batches = min(self._bundle, events)
        delay = times.receive + self.invocations.book(batches, self._env.now)
        if self.polls is not None and self.bytes is not None:
            read = events * self.scenario.workload.envelope_bytes
            delay += max(self.polls.book(batches, self._env.now), self.bytes.book(read, self._env.now))
        yield self._env.timeout(delay)
        self.running.change(batches, self._env.now)
        length = times.batch(events / batches)
        if times.sigma:
            length *= exp(self._random.gauss(0, times.sigma))
        units = events * self.scenario.workload.write_units
        wait = max(self.table.wait(self._env.now), self.index.wait(self._env.now))
        if wait > self._policy.budget:
            self.throttled += events
            yield self._env.timeout(length + self._policy.budget)
            self._give_back(taken)
        else:
            booked = max(limit.book(units, self._env.now) for limit in (self.table, self.index))
            self.throttled += events if booked else 0
            yield self._env.timeout(length + booked)
            self._store(taken, events, batches)
        self.running.change(-batches, self._env.now)
        yield self._env.timeout(times.finish)
        self._awake()

    def _store(self, taken: list[Parcel], events: int, batches: int) -> None:
        now = self._env.now
        self.stored += events
        self.stored_measured += events
        self.batches_measured += batches
        self.in_flight.change(-events, now)
        for parcel in taken:
            self.latencies.add(now - parcel.sent, parcel.events)

    def _give_back(self, taken: list[Parcel]) -> None:
        """As the function does: seconds, then the visibility timeout, then the dead-letter queue."""
        for parcel in taken:
            if parcel.receives >= self.scenario.settings.queue_max_receives:
                self.dead += parcel.events
                self.in_flight.change(-parcel.events, self._env.now)
            else:
                self.returned += parcel.events
                self.hidden += parcel.events
                wait = self._policy.wait_in_queue(parcel.receives, self._random.uniform)
                self._later(wait, parcel, was_in_flight=True)
