"""One question to the model: how many events, of what size, with which settings, times and quotas."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from benchmarks.scale_model.quotas import PUBLISHED, Quotas
from shipment_events.cost.designs import OURS
from shipment_events.cost.usage import ASSUMED_POLL_MS
from shipment_events.cost.workload import TYPICAL_EVENT_BYTES, Workload
from shipment_events.stages import StageSettings, settings_for

POLL: Final = ASSUMED_POLL_MS / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long things take, in seconds.

    Attributes:
        bus: median from PutEvents to the queue. Amazon Key reports 80 ms for the 90th percentile at 2,000
            events a second; the median is assumed.
            https://aws.amazon.com/blogs/architecture/mastering-millisecond-latency-and-millions-of-events-the-event-driven-architecture-behind-the-amazon-key-suite/
        bus_sigma: of the logarithm of that time; 0 for a constant.
        receive: from the queue to the function; assumed.
        finish: from the stored event to the end of its batch; assumed.
        pause: of an event source that was woken for nothing: by the end of a batch while no event waits, or
            by an event while all batches allowed are in work. 0 on AWS; the local engine has it.
        invocation: of an invocation without events.
        event: of each event in it.
        sigma: of the logarithm of an invocation's length; 0 for a constant.
        start: of a new instance of the function.
    """

    bus: float = 0.050
    bus_sigma: float = 0.37
    receive: float = POLL / 2
    finish: float = POLL / 2
    pause: float = 0
    invocation: float = OURS.fixed_ms / 1000
    event: float = OURS.event_ms / 1000
    sigma: float = 0.3
    start: float = 0.5

    @property
    def poll(self) -> float:
        """Time that the event source adds to an invocation, in seconds."""
        return self.receive + self.finish

    def batch(self, events: float) -> float:
        """Median length of an invocation."""
        return self.invocation + self.event * events


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A steady stream of new events into a stage that has been idle.

    Attributes:
        rate: events a second.
        entries: events of one request of PutEvents.
        warm_up: seconds that latencies and utilisation leave out.
        measured: seconds after that.
    """

    rate: float
    settings: StageSettings
    quotas: Quotas = PUBLISHED
    times: Times = field(default_factory=Times)
    event_bytes: int = TYPICAL_EVENT_BYTES
    entries: float = 10
    warm_up: float = 120
    measured: float = 120
    seed: int = 1

    @property
    def workload(self) -> Workload:
        """The same events for the calculation of the bill."""
        return Workload(events_per_day=self.rate * 86_400, event_bytes=self.event_bytes, duplicate_share=0)

    @property
    def most_batches(self) -> int:
        """Batches in work at most, by settings and quotas."""
        most = float(self.settings.most_concurrent_batches)
        if self.settings.provisioned_pollers is None:
            most = min(most, self.quotas.event_source_concurrency)
        return int(min(most, self.quotas.lambda_concurrency))


@dataclass(frozen=True, slots=True)
class Tier:
    """A rate, what to set for it, and what to ask of AWS."""

    rate: float
    settings: Mapping[str, int] = field(default_factory=dict)
    quotas: Mapping[str, float] = field(default_factory=dict)

    def scenario(self, *, matching: bool = True) -> Scenario:
        """The tier with its own settings, or as a stage is deployed without any."""
        settings = settings_for("prod")
        times = _EXTENTS[self.rate]
        return Scenario(
            rate=self.rate,
            settings=replace(settings, **self.settings) if matching else settings,  # type: ignore[arg-type]
            quotas=replace(PUBLISHED, **self.quotas) if matching else PUBLISHED,
            # Only a producer with many events sends ten at a time.
            entries=1 if self.rate < 100 else 10,
            warm_up=times[0],
            measured=times[1],
        )


# Rare events need time to be enough for a percentile, frequent ones for the event source to have grown.
_EXTENTS: Final = {
    0.35: (600, 20_000),
    10: (60, 1_200),
    1_000: (60, 120),
    10_000: (60, 120),
    100_000: (240, 60),
}

DAILY: Final = (1e6, 1e7, 1e8)
"""Events of a day for which a batching window is tried."""


def windowed(events_per_day: float, seconds: int) -> Scenario:
    """A stage with a batching window in seconds."""
    rate = events_per_day / 86_400
    # Above 700 events a second the index alone would make them wait.
    shards = 4 if rate > 700 else None
    settings = replace(settings_for("prod"), batching_window_seconds=seconds, status_index_shards=shards)
    return Scenario(
        rate=rate,
        settings=settings,
        entries=1 if rate < 100 else 10,
        warm_up=60,
        measured=min(1_200, 120_000 / rate),
    )


TIERS: Final = (
    Tier(0.35),
    Tier(10),
    Tier(1_000, {"status_index_shards": 4, "tracking": False}),
    Tier(
        10_000,
        {
            "status_index_shards": 16,
            "processor_max_concurrency": 60,
            "warm_write_units": 15_000,
            "tracking": False,
        },
    ),
    Tier(
        100_000,
        {
            "status_index_shards": 160,
            "processor_max_concurrency": 600,
            "warm_write_units": 150_000,
            "tracking": False,
        },
        {
            "put_events": 15_000,
            "rule_invocations": 150_000,
            "lambda_concurrency": 3_000,
            "table_write_units": 150_000,
        },
    ),
)
