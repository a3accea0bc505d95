"""The log of the tracker: one JSON line with counts for each batch, and one for each problem.

They go to standard output, which Lambda sends to CloudWatch Logs.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from shipment_events.contract.names import (
    ANNOUNCED_FIELD,
    ENVIRONMENT_FIELD,
    FOLDED_FIELD,
    LAG_FIELD,
    LOST_RACES_FIELD,
    PARTITION_KEY,
    SORT_KEY,
    TRACKED_MESSAGE,
    UNFOLDABLE_FIELD,
    UNSETTLED_FIELD,
    VERSION_FIELD,
)
from shipment_events.function.log_lines import print_line, trace
from shipment_events.tracking.batch import Tracking
from shipment_events.tracking.news import Finding
from shipment_events.tracking.records import Unfoldable, lag_ms

EXAMPLES: Final = "examples"
"""Field with the first event of each kind of finding in the batch."""
UNREADABLE_EVENTS: Final = "unreadable_events"


def report_batch(tracking: Tracking, environment: str, request_id: str, version: str) -> None:
    """Print the lines of one batch, tracked by the published ``version`` of the function."""
    stage = {ENVIRONMENT_FIELD: environment, VERSION_FIELD: version, "request_id": request_id, **trace()}
    for one in tracking.unfoldable:
        print_line({**_unfoldable_line(one), **stage})
    for why, count in Counter(why for _, why in tracking.unsettled).items():
        message = "events could not be tracked now; Lambda retries their records"
        print_line({"level": "WARNING", "message": message, "detail": why, "events": count, **stage})
    print_line({"level": "INFO", "message": TRACKED_MESSAGE, **_measures(tracking), **stage})


def _unfoldable_line(one: Unfoldable) -> dict[str, Any]:
    """Omits the reason, which can contain text of the event. The queue for failures has it."""
    return {
        "level": "ERROR",
        "message": "event could not be folded into its shipment's state; sent to the queue for failures",
        PARTITION_KEY: one.failure.shipment_id,
        SORT_KEY: one.failure.sort_key,
        **({"detail": one.trace} if one.trace else {}),
    }


def _measures(tracking: Tracking) -> dict[str, Any]:
    measures: dict[str, Any] = {
        FOLDED_FIELD: len(tracking.folded),
        ANNOUNCED_FIELD: tracking.announced,
        # Zeros are logged too; without them, an alarm ends late:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
        UNFOLDABLE_FIELD: len(tracking.unfoldable),
        UNSETTLED_FIELD: len(tracking.unsettled),
        LOST_RACES_FIELD: tracking.lost_races,
        "skipped": tracking.skipped,
        "readings": tracking.readings,
        UNREADABLE_EVENTS: tracking.unreadable_events,
    }
    if lags := [lag_ms(record, tracking.settled_at) for record in tracking.folded]:
        # A metric filter takes one value from a line.
        measures[LAG_FIELD] = max(lags)
    counts, examples = _findings(tracking)
    if left_out := tracking.unreadable_event:
        examples[UNREADABLE_EVENTS] = {PARTITION_KEY: left_out.shipment_id, SORT_KEY: left_out.sort_key}
    return {**measures, **counts, **({EXAMPLES: examples} if examples else {})}


def _findings(tracking: Tracking) -> tuple[dict[str, int], dict[str, Mapping[str, str]]]:
    """The number of findings of each kind, and the first event of each kind."""
    counts: Counter[str] = Counter()
    examples: dict[str, Mapping[str, str]] = {}
    for record in tracking.folded:
        for finding in record.news.findings:
            counts[finding.value] += 1
            examples.setdefault(finding.value, {PARTITION_KEY: record.shipment_id, SORT_KEY: record.sort_key})
    return {finding.value: counts[finding.value] for finding in Finding if counts[finding.value]}, examples
