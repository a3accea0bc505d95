"""Ways to lose a change of a table between its stream and the function that follows it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from shipment_events.stage_limits import SECONDS_PER_HOUR, STREAM_RETENTION_HOURS
from workbench.loss_modes.model import Breaches, Rule, Template
from workbench.loss_modes.observation import goes_off_at

_INSERT: Final = "INSERT"


def _starts_late(template: Template) -> Breaches:
    for logical_id, source, _ in template.stream_sources():
        if source.get("StartingPosition") != "TRIM_HORIZON":
            yield logical_id, f"StartingPosition is {source.get('StartingPosition')}"


def _failures_go_nowhere(template: Template) -> Breaches:
    for logical_id, source, _ in template.stream_sources():
        queue = template.referred(_destination(source))
        function = template.function_of(source)
        if queue is None:
            yield logical_id, "no destination on failure"
        elif function is not None and ("sqs:SendMessage", queue) not in template.allowed_to(function):
            yield logical_id, f"the role of the function may not send to {queue}"


def _destination(source: Mapping[str, Any]) -> Any:
    return source.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")


def _retries_block(template: Template) -> Breaches:
    for logical_id, source, _ in template.stream_sources():
        for name in ("MaximumRetryAttempts", "MaximumRecordAgeInSeconds"):
            if source.get(name, -1) < 0:
                yield logical_id, f"{name} has no limit"
        if source.get("MaximumRecordAgeInSeconds", -1) >= STREAM_RETENTION_HOURS * SECONDS_PER_HOUR:
            yield logical_id, f"records may be as old as the stream keeps them, {STREAM_RETENTION_HOURS} h"


def _bad_record_fails_its_batch(template: Template) -> Breaches:
    for logical_id, source, _ in template.stream_sources():
        if source.get("BisectBatchOnFunctionError") is not True:
            yield logical_id, "no BisectBatchOnFunctionError"


def _filter_drops_inserts(template: Template) -> Breaches:
    for logical_id, source, _ in template.stream_sources():
        patterns = [
            json.loads(each["Pattern"]) for each in source.get("FilterCriteria", {}).get("Filters", [])
        ]
        # A record passes if one pattern matches. Another field of a pattern could drop some inserts.
        if patterns and not any(_takes_every_insert(pattern) for pattern in patterns):
            yield logical_id, f"no pattern takes every {_INSERT}"


def _takes_every_insert(pattern: Mapping[str, Any]) -> bool:
    return pattern.keys() <= {"eventName"} and _INSERT in pattern.get("eventName", [_INSERT])


def _lag_unseen(template: Template) -> Breaches:
    for logical_id, source, _ in template.stream_sources():
        function = template.function_of(source)
        dimension = {"Name": "FunctionName", "Value": function and function.get("FunctionName")}
        limit = 1000 * source.get("MaximumRecordAgeInSeconds", 0)
        alarms = template.alarms_on("IteratorAge", dimension)
        if not any(goes_off_at(limit - 1, alarm) for alarm in alarms):
            yield logical_id, "no alarm on IteratorAge before Lambda gives up on records"


RULES: Final = (
    Rule(
        "StreamStart",
        "LATEST misses records of the minutes in which the event source is created.",
        _starts_late,
    ),
    Rule(
        "StreamFailures",
        "Lambda drops the records that it gives up on, and nobody knows which.",
        _failures_go_nowhere,
    ),
    Rule(
        "StreamRetries",
        "One bad record blocks its shard until the records behind it have expired.",
        _retries_block,
    ),
    Rule(
        "StreamBisect",
        "After a crash, Lambda gives up on the whole batch of a bad record.",
        _bad_record_fails_its_batch,
    ),
    Rule("StreamFilter", "Lambda skips the records that a filter does not match.", _filter_drops_inserts),
    Rule("StreamLagAlarm", "Records expire unread, and nobody notices.", _lag_unseen),
)
