"""The log of the function: one JSON line per event that is not simply stored, and one per batch.

Lambda sends standard output to CloudWatch Logs. Metric filters (``infrastructure/log_metrics.py``) make
metrics of the counts, so the function needs no request and no permission for them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shipment_events.contract.names import (
    BATCH_MESSAGE,
    ENVIRONMENT_FIELD,
    FAILED_FIELD,
    LATENCY_FIELD,
    RETRIED_MESSAGE,
    SETTLED_FIELD,
    VERSION_FIELD,
)
from shipment_events.contract.outcome import Outcome
from shipment_events.function.log_lines import print_line, trace
from shipment_events.processor.records import (
    Conflict,
    Duplicate,
    Quarantined,
    Retried,
    Settled,
    Stored,
)

_LEVELS: Final[Mapping[Outcome, str]] = {
    Outcome.DUPLICATE: "INFO",
    Outcome.CONFLICT: "WARNING",
    Outcome.QUARANTINED: "ERROR",
    Outcome.RETRIED: "WARNING",
}
_MESSAGES: Final[Mapping[Outcome, str]] = {
    Outcome.DUPLICATE: "event was stored before",
    Outcome.CONFLICT: "another event with this identity has other content; stored beside it",
    Outcome.QUARANTINED: "event can never be stored; sent to the dead-letter queue",
    Outcome.RETRIED: RETRIED_MESSAGE,
}
_FAILED: Final = (Outcome.QUARANTINED, Outcome.RETRIED)


def report_batch(settled: Sequence[Settled], environment: str, request_id: str, version: str) -> None:
    """Print the lines of one batch, settled by the published ``version`` of the function."""
    invocation = {"request_id": request_id, **trace()}
    for result in settled:
        if not isinstance(result, Stored):
            print_line({**_event_line(result), ENVIRONMENT_FIELD: environment, **invocation})
    stage = {"level": "INFO", ENVIRONMENT_FIELD: environment, VERSION_FIELD: version}
    print_line({**stage, **_batch_line(settled), **invocation})


def _event_line(result: Duplicate | Conflict | Quarantined | Retried) -> dict[str, Any]:
    write = result.write
    why = result if isinstance(result, Quarantined | Retried) else None
    line = {
        "level": _LEVELS[result.outcome],
        "message": _MESSAGES[result.outcome],
        "outcome": result.outcome.value,
        "correlation_id": result.correlation_id,
        "message_id": result.record.message_id,
        "receive_count": result.record.receive_count,
        "shipment_id": write.shipment_id if write else None,
        "event_timestamp": write.own_sort_key if write else None,
        "reason": why.reason.value if why and why.reason else None,
        "detail": why.detail if why else None,
    }
    return {name: value for name, value in line.items() if value is not None}


def _batch_line(settled: Sequence[Settled]) -> dict[str, Any]:
    correlation_ids: dict[str, list[str]] = {}
    for result in settled:
        correlation_ids.setdefault(result.outcome.value, []).append(result.correlation_id)
    return {"message": BATCH_MESSAGE, **_measures(settled), "correlation_ids": correlation_ids}


def _measures(settled: Sequence[Settled]) -> dict[str, int]:
    counts = Counter(result.outcome for result in settled)
    # What did not occur is left out. Zeros of the outcomes with an alarm stay: without them CloudWatch goes
    # back to older values, and the alarm ends periods late.
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    measures = {
        outcome.value: counts[outcome] for outcome in Outcome if counts[outcome] or outcome in _FAILED
    }
    written = [result for result in settled if isinstance(result, Stored | Conflict)]
    if latencies := [latency for result in written if (latency := _latency_ms(result)) is not None]:
        # One value a line is all that a metric filter takes.
        measures[LATENCY_FIELD] = max(latencies)
    measures[SETTLED_FIELD] = len(settled)
    measures[FAILED_FIELD] = sum(counts[outcome] for outcome in _FAILED)
    return measures


def _latency_ms(result: Stored | Conflict) -> int | None:
    """Time from the bus, which gives whole seconds, to the write. None for a replayed event."""
    accepted_at = result.envelope.accepted_at
    if accepted_at is None or result.envelope.replay_name:
        return None
    return max(0, int((result.stored_at - accepted_at).total_seconds() * 1000))
