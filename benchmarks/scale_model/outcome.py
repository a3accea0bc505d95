"""The result of a run of the model."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.scale_model.loads import Load, loads, tightest
from benchmarks.scale_model.pipeline import Pipeline
from benchmarks.scale_model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run, measured after its warm-up.

    Attributes:
        stored_a_second: events.
        backlog: events on the way, waiting, or hidden for a retry at the end.
        backlog_grows: events a second by which it grows, if it does.
        ramp_backlog: most events that waited during the warm-up.
        p50: seconds from PutEvents to the table; so are the others.
        batch: mean events of a batch.
        throttled: part of the events that waited for write units.
        returned: part of the events that went back to the queue for a retry.
        dead: events that became dead letters.
        shares: part of each limit that was used: measured where the simulation has it, else needed.
        tightest: the limit that is reached first.
    """

    scenario: Scenario
    stored_a_second: float
    backlog: int
    backlog_grows: float
    ramp_backlog: int
    p50: float
    p99: float
    p999: float
    batch: float
    throttled: float
    returned: float
    dead: int
    shares: Mapping[str, float]
    tightest: Load

    @property
    def keeps_up(self) -> bool:
        """Whether all events are stored and none becomes a dead letter."""
        return not self.dead and self.backlog_grows < 0.01 * self.scenario.rate

    @property
    def highest_share(self) -> float:
        """Of any limit."""
        return max(self.shares.values())

    @property
    def holds_until(self) -> float:
        """Events a second at which the tightest limit is reached."""
        return self.scenario.rate / self.tightest.share


def simulate(scenario: Scenario) -> Outcome:
    """Run the model."""
    pipeline = Pipeline(scenario)
    pipeline.run()
    length, now = scenario.measured, pipeline.now
    seen = max(1, pipeline.stored_measured)
    backlog = pipeline.behind
    needed = {load.name: load.share for load in loads(scenario)}
    measured = {name: limiter.used / length / limiter.rate for name, limiter in pipeline.limiters().items()}
    shares = {
        **needed,
        **{name: share for name, share in measured.items() if name != "table write units"},
        "messages in flight": pipeline.in_flight.mean(now) / scenario.quotas.in_flight,
        "concurrent executions": pipeline.running.mean(now) / scenario.quotas.lambda_concurrency,
    }
    # Events that did not reach a limit are missing from its measurement.
    shares = {name: max(share, needed[name]) if name in needed else share for name, share in shares.items()}
    return Outcome(
        scenario=scenario,
        stored_a_second=pipeline.stored_measured / length,
        backlog=backlog,
        backlog_grows=(backlog - pipeline.behind_at_start) / length,
        ramp_backlog=pipeline.ramp_peak,
        p50=pipeline.latencies.percentile(50),
        p99=pipeline.latencies.percentile(99),
        p999=pipeline.latencies.percentile(99.9),
        batch=pipeline.stored_measured / max(1, pipeline.batches_measured),
        throttled=pipeline.throttled / seen,
        returned=pipeline.returned / seen,
        dead=pipeline.dead,
        shares=shares,
        tightest=tightest(scenario),
    )
