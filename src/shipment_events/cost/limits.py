"""Whether the stage can process the workload; docs/scale.md explains the limits."""

from collections.abc import Iterator

from shipment_events.cost.designs import Design
from shipment_events.cost.tracking import (
    PARTITION_WRITE_UNITS,
    records_per_second,
    states_per_second,
)
from shipment_events.cost.usage import ASSUMED_POLL_MS
from shipment_events.cost.workload import Workload
from shipment_events.stages import StageSettings


def exceeded(workload: Workload, settings: StageSettings, design: Design) -> list[str]:
    """The limits that the mean rate exceeds, with the setting to raise."""
    found = []
    rate = workload.events_per_second
    cycle_ms = ASSUMED_POLL_MS + design.duration_ms(settings.batch_size)
    most = settings.most_concurrent_batches * settings.batch_size * 1000 / cycle_ms
    if rate > most:
        found.append(
            f"The mean rate is {rate:,.0f} events a second. {settings.most_concurrent_batches} concurrent"
            f" invocations store at most {most:,.0f}."
            " Raise processor_max_concurrency or set provisioned_pollers."
        )
    shards = settings.status_index_shards or 1
    index = shards * PARTITION_WRITE_UNITS / workload.write_units
    if rate > index:
        found.append(
            f"The mean rate is {rate:,.0f} events a second. The index stores at most {index:,.0f} with one"
            f" status ({shards} shards)."
            " Raise status_index_shards."
        )
    return [*found, *(_exceeded_by_tracking(workload, settings) if settings.tracking else ())]


def _exceeded_by_tracking(workload: Workload, settings: StageSettings) -> Iterator[str]:
    rate, most = records_per_second(workload), states_per_second(workload, settings)
    if rate > most:
        yield (
            f"The mean rate is {rate:,.0f} new events a second. Tracking keeps up with {most:,.0f}, because"
            " all open shipments are one partition of an index. Above this rate the states are ever later."
            " Set tracking=False."
        )
