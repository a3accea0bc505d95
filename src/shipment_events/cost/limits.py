"""Whether the stage could do at all what its bill is made for; docs/scale.md has the whole story."""

from typing import Final, Protocol

from shipment_events.cost.designs import Design
from shipment_events.cost.usage import ASSUMED_POLL_MS
from shipment_events.cost.workload import Workload

PARTITION_WRITE_UNITS: Final = 1_000
"""A second: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"""


class LimitingSettings(Protocol):
    """The settings of a stage that bound its rate."""

    @property
    def batch_size(self) -> int: ...

    @property
    def processor_max_concurrency(self) -> int: ...


def exceeded(workload: Workload, settings: LimitingSettings, design: Design) -> list[str]:
    """What the mean rate exceeds, a sentence each."""
    found = []
    rate = workload.events_per_second
    cycle_ms = ASSUMED_POLL_MS + design.duration_ms(settings.batch_size)
    most = settings.processor_max_concurrency * settings.batch_size * 1000 / cycle_ms
    if rate > most:
        found.append(
            f"{rate:,.0f} events a second; {settings.processor_max_concurrency} concurrent invocations store"
            f" {most:,.0f} at most. Raise processor_max_concurrency."
        )
    index = PARTITION_WRITE_UNITS / workload.write_units
    if rate > index:
        found.append(
            f"{rate:,.0f} events a second; a status is one partition of the index, which takes {index:,.0f}."
        )
    return found
