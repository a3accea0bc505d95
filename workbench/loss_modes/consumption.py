"""Ways to lose an event between the queue and the table."""

from typing import Final

from shipment_events.stage_limits import POLLER_CONCURRENCY
from workbench.loss_modes.model import (
    SQS_DEFAULT_RETENTION_SECONDS,
    SQS_DEFAULT_VISIBILITY_SECONDS,
    Breaches,
    Rule,
    Template,
)

VISIBILITY_MULTIPLE: Final = 6
LEAST_RECEIVES: Final = 3
LAMBDA_DEFAULT_TIMEOUT_SECONDS: Final = 3


def _queue_without_redrive(template: Template) -> Breaches:
    last_resorts = template.dead_letter_queues()
    for logical_id, queue in template.queues():
        if logical_id not in last_resorts and "deadLetterTargetArn" not in queue.get("RedrivePolicy", {}):
            yield logical_id, "no RedrivePolicy"


def _too_few_receives(template: Template) -> Breaches:
    for logical_id, queue in template.queues():
        receives = queue.get("RedrivePolicy", {}).get("maxReceiveCount")
        if receives is not None and int(receives) < LEAST_RECEIVES:
            yield logical_id, f"maxReceiveCount is {receives}, expected at least {LEAST_RECEIVES}"


def _dead_letters_expire_too_soon(template: Template) -> Breaches:
    queues = dict(template.queues())
    for logical_id, queue in queues.items():
        last_resort = template.referred(queue.get("RedrivePolicy", {}).get("deadLetterTargetArn"))
        if last_resort is None:
            continue
        here = queue.get("MessageRetentionPeriod", SQS_DEFAULT_RETENTION_SECONDS)
        there = queues[last_resort].get("MessageRetentionPeriod", SQS_DEFAULT_RETENTION_SECONDS)
        if there <= here:
            yield last_resort, f"keeps messages for {there} s, {logical_id} for {here} s"


def _visible_while_in_work(template: Template) -> Breaches:
    for _, source, queue in template.queue_sources():
        function = template.function_of(source)
        if function is None:
            continue
        timeout = function.get("Timeout", LAMBDA_DEFAULT_TIMEOUT_SECONDS)
        visibility = template.resources[queue]["Properties"].get(
            "VisibilityTimeout", SQS_DEFAULT_VISIBILITY_SECONDS
        )
        if visibility < VISIBILITY_MULTIPLE * timeout:
            yield queue, f"VisibilityTimeout is {visibility} s, the function's Timeout {timeout} s"


def _whole_batch_fails(template: Template) -> Breaches:
    for logical_id, source in template.of_type("AWS::Lambda::EventSourceMapping"):
        if "ReportBatchItemFailures" not in source.get("FunctionResponseTypes", []):
            yield logical_id, "no ReportBatchItemFailures"


def _source_filters(template: Template) -> Breaches:
    for logical_id, source, _ in template.queue_sources():
        if "FilterCriteria" in source:
            yield logical_id, "has FilterCriteria"


def _source_disabled(template: Template) -> Breaches:
    for logical_id, source in template.of_type("AWS::Lambda::EventSourceMapping"):
        if source.get("Enabled", True) is not True:
            yield logical_id, "Enabled is false"


def _throttled_by_own_limit(template: Template) -> Breaches:
    for logical_id, source, _ in template.queue_sources():
        reserved = (template.function_of(source) or {}).get("ReservedConcurrentExecutions")
        most = source.get("ScalingConfig", {}).get("MaximumConcurrency")
        pollers = source.get("ProvisionedPollerConfig", {}).get("MaximumPollers")
        if pollers is not None:
            most = pollers * POLLER_CONCURRENCY
        if most is None:
            yield logical_id, "neither MaximumConcurrency nor MaximumPollers"
        elif reserved is not None and reserved < most:
            yield logical_id, f"up to {most} batches at a time, the function's reserve is {reserved}"


RULES: Final = (
    Rule(
        "QueueRedrive",
        "A message that always fails is received until its retention ends, then SQS deletes it.",
        _queue_without_redrive,
    ),
    Rule(
        "EnoughReceives",
        "A single failure or throttled receive sends good events to the dead-letter queue.",
        _too_few_receives,
    ),
    Rule(
        "DeadLetterRetention",
        "A dead letter keeps its first send time, so SQS may delete it on arrival.",
        _dead_letters_expire_too_soon,
    ),
    Rule(
        "VisibilityTimeout",
        "Messages become visible while they are processed, use up their receives and are processed twice.",
        _visible_while_in_work,
    ),
    Rule(
        "PartialBatchResponse",
        "One bad record fails its whole batch, and good events end in the dead-letter queue with it.",
        _whole_batch_fails,
    ),
    Rule("EventSourceFilter", "Lambda deletes messages that a filter does not match.", _source_filters),
    Rule(
        "EventSourceEnabled",
        "Nothing reads the queue or the stream until its retention ends.",
        _source_disabled,
    ),
    Rule(
        "EventSourceConcurrency",
        "If the function's own limit throttles a batch, that counts as a receive of its messages.",
        _throttled_by_own_limit,
    ),
)
