"""The part of each limit that tracking needs. It is arithmetic, because the simulation ends at the table."""

from collections.abc import Iterator

from benchmarks.scale_model.loads import Load
from benchmarks.scale_model.quotas import SOURCES
from benchmarks.scale_model.scenario import TIERS, Scenario
from shipment_events.cost import tracking
from workbench.documents import markdown_table


def tracking_loads(scenario: Scenario) -> Iterator[Load]:
    """Every limit between the stream and the announcement of a change, for full batches."""
    rate, quotas = scenario.rate, scenario.quotas
    batch = scenario.settings.tracker_batch_size
    shards = tracking.shards(scenario.workload)
    full_batch = (tracking.BATCH_MS + tracking.RECORD_MS * batch) / 1000
    yield Load("shards of the stream", rate * full_batch / batch, shards, "tracker_parallelization_factor")
    moved = rate * tracking.MOVED_ENTRY_WRITES
    yield Load("partition of an index", moved, quotas.partition_write_units, "nothing")
    yield Load(
        "warm write units of an index", moved, quotas.new_table_write_units, "half an hour for each doubling"
    )
    changes = rate * tracking.CHANGES_AN_EVENT / scenario.entries
    yield Load("PutEvents", changes, quotas.put_events, SOURCES["put_events"].increase)


def limits_table() -> str:
    """The part of each limit that tracking needs at the rate of each tier."""
    rows: dict[str, list[str]] = {}
    for tier in TIERS:
        for load in tracking_loads(tier.scenario()):
            rows.setdefault(load.name, [load.name]).append(f"{load.share:.0%}")
    return markdown_table(
        ["limit", *(f"{tier.rate:,g}" for tier in TIERS)], list(rows.values()), numbers=True
    )
