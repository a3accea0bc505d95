"""What the function says: one JSON line an event that needs attention, one with metrics a batch.

Both are plain standard output, which Lambda sends to CloudWatch Logs. The metrics use the embedded metric
format, so that they cost no request and no permission.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from shipment_events.names import (
    FAILED_METRIC,
    LATENCY_METRIC,
    METRIC_DIMENSION,
    METRIC_NAMESPACE,
    VERSION_DIMENSION,
)
from shipment_events.outcome import Outcome
from shipment_events.processor.records import Settled

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
    Outcome.RETRIED: "event could not be stored now; returned to the queue",
}
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_FAILED: Final = (Outcome.QUARANTINED, Outcome.RETRIED)


def report_batch(settled: Sequence[Settled], environment: str, request_id: str, version: str) -> None:
    """Print the lines of one batch, settled by the published ``version`` of the function."""
    invocation = {"request_id": request_id, "trace_id": _trace_id()}
    for result in settled:
        if result.outcome is not Outcome.STORED:
            _print({**_event_line(result), "environment": environment, **invocation})
    _print({**_metrics(settled, environment, version), **_batch_line(settled), **invocation})


def _event_line(result: Settled) -> dict[str, Any]:
    event = result.event
    line = {
        "level": _LEVELS[result.outcome],
        "message": _MESSAGES[result.outcome],
        "outcome": result.outcome.value,
        "correlation_id": result.correlation_id,
        "message_id": result.record.message_id,
        "receive_count": result.record.receive_count,
        "shipment_id": event.shipment_id if event else None,
        "event_timestamp": event.sort_key if event else None,
        "reason": result.reason.value if result.reason else None,
        "detail": result.detail,
    }
    return {name: value for name, value in line.items() if value is not None}


def _batch_line(settled: Sequence[Settled]) -> dict[str, Any]:
    correlation_ids: dict[str, list[str]] = {}
    for result in settled:
        correlation_ids.setdefault(result.outcome.value, []).append(result.correlation_id)
    return {"level": "INFO", "message": "batch settled", "correlation_ids": correlation_ids}


def _metrics(settled: Sequence[Settled], environment: str, version: str) -> dict[str, Any]:
    counts = Counter(result.outcome for result in settled)
    # What did not occur is left out, as its name would stand in the log twice. Zeros of the outcomes with an
    # alarm stay: without them CloudWatch goes back to older values, and the alarm ends periods late.
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    metrics: dict[str, Any] = {
        outcome.metric: counts[outcome] for outcome in Outcome if counts[outcome] or outcome in _FAILED
    }
    definitions = [{"Name": name, "Unit": "Count"} for name in metrics]
    if latencies := [latency for result in settled if (latency := _latency_ms(result)) is not None]:
        metrics[LATENCY_METRIC] = latencies
        definitions.append({"Name": LATENCY_METRIC, "Unit": "Milliseconds"})
    directives = [_directive([METRIC_DIMENSION], definitions)]
    # Of each version by itself: a rollout judges the new one while the old one still does most of the work.
    if settled:
        metrics[FAILED_METRIC] = [int(result.outcome in _FAILED) for result in settled]
        failed = {"Name": FAILED_METRIC, "Unit": "Count"}
        directives.append(_directive([METRIC_DIMENSION, VERSION_DIMENSION], [failed]))
    return {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directives},
        METRIC_DIMENSION: environment,
        VERSION_DIMENSION: version,
        **metrics,
    }


def _directive(dimensions: list[str], metrics: list[dict[str, str]]) -> dict[str, Any]:
    return {"Namespace": METRIC_NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}


def _latency_ms(result: Settled) -> int | None:
    """From acceptance by the bus, which gives whole seconds, to the write; a replay says nothing of it."""
    envelope = result.envelope
    if result.stored_at is None or envelope is None or envelope.replay_name or not envelope.time:
        return None
    try:
        accepted_at = datetime.fromisoformat(envelope.time)
        return max(0, int((result.stored_at - accepted_at).total_seconds() * 1000))
    except (ValueError, TypeError):
        # A body that came to the queue past the bus may carry anything here.
        return None


def _trace_id() -> str | None:
    """X-Ray's id, from ``Root=1-…;Parent=…;Sampled=1``."""
    header = os.environ.get("_X_AMZN_TRACE_ID", "")
    return dict(part.split("=", 1) for part in header.split(";") if "=" in part).get("Root")


def _print(line: Mapping[str, Any]) -> None:
    print(_ENCODER.encode(line), flush=True)  # noqa: T201
