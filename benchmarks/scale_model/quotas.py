"""The quotas of an account and a table in us-east-1, each with its source."""

from dataclasses import dataclass, fields
from typing import Final

_LAMBDA_LIMITS: Final = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
_SQS_SCALING: Final = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"
_EVENTBRIDGE: Final = "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"
_DYNAMODB: Final = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html"
_SQS: Final = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html"
_PARTITIONS: Final = (
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
)
_ON_DEMAND: Final = (
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """Limits in addition to the stage's settings. Rates are per second."""

    put_events: float = 10_000
    """Requests of PutEvents, of all buses of the account."""
    rule_invocations: float = 18_750
    """Events that rules send to targets. More are delayed, not refused."""
    in_flight: float = 120_000
    """Messages of a queue that are received and not deleted."""
    lambda_concurrency: float = 1_000
    """Invocations of the account at the same time."""
    requests_of_an_instance: float = 10
    """Invocations for each of ``lambda_concurrency``."""
    event_source_concurrency: float = 1_250
    """Batches in work of an event source without provisioned pollers."""
    event_source_start: float = 5
    """Batches in work that it begins with."""
    event_source_growth: float = 300 / 60
    """Batches in work that it adds, while events wait."""
    poller_growth: float = 1_000 / 60
    """The same of provisioned pollers."""
    poller_polls: float = 10
    """Receives of a provisioned poller."""
    poller_bytes: float = 1e6
    """Bytes that a provisioned poller reads."""
    table_write_units: float = 40_000
    """Write units of a table, and also of each index."""
    new_table_write_units: float = 4_000
    """Write units of a new on-demand table. It doubles them in half an hour."""
    partition_write_units: float = 1_000
    """Write units of one partition, and so of one value of an index key."""


@dataclass(frozen=True, slots=True)
class Source:
    """Page that publishes a quota, and the name for a request to increase it; empty if there is none."""

    url: str
    increase: str = ""


SOURCES: Final = {
    "put_events": Source(_EVENTBRIDGE, "EventBridge: PutEvents throttle limit in transactions per second"),
    "rule_invocations": Source(
        _EVENTBRIDGE, "EventBridge: Invocations throttle limit in transactions per second"
    ),
    "in_flight": Source(_SQS, "SQS: messages in flight of a queue (by a support case)"),
    "lambda_concurrency": Source(_LAMBDA_LIMITS, "Lambda: Concurrent executions"),
    "requests_of_an_instance": Source(_LAMBDA_LIMITS),
    "event_source_concurrency": Source(_SQS_SCALING),
    "event_source_start": Source(_SQS_SCALING),
    "event_source_growth": Source(_SQS_SCALING),
    "poller_growth": Source(_SQS_SCALING),
    "poller_polls": Source(_SQS_SCALING),
    "poller_bytes": Source(_SQS_SCALING),
    "table_write_units": Source(_DYNAMODB, "DynamoDB: Table-level write throughput limit"),
    "new_table_write_units": Source(_ON_DEMAND),
    "partition_write_units": Source(_PARTITIONS),
}

PUBLISHED: Final = Quotas()


def raised(quotas: Quotas) -> dict[str, tuple[float, float]]:
    """What differs from the published values: name to published and asked for."""
    return {
        field.name: (getattr(PUBLISHED, field.name), getattr(quotas, field.name))
        for field in fields(Quotas)
        if getattr(quotas, field.name) != getattr(PUBLISHED, field.name)
    }
