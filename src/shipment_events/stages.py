"""Every number of a deployment: one immutable object for each stage.

Constructs read all their numbers from here. The limits of the services are checked before the deployment.
"""

from dataclasses import dataclass
from typing import Final

from shipment_events.errors import ShipmentEventsError
from shipment_events.stage_limits import (
    EVENTBRIDGE_MAX_RETRY_ATTEMPTS,
    EVENTBRIDGE_MAX_RETRY_HOURS,
    POLLER_CONCURRENCY,
    check,
)
from shipment_events.stage_options import JwtIssuer, ProvisionedPollers, SlackChannel

DEFAULT_STAGE: Final = "dev"


class UnknownStageError(ShipmentEventsError, ValueError):
    """There is no stage with this name. The message lists the stages."""


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """The numbers of one stage. Units are part of the field names; counts and percentages say so below."""

    environment: str
    """Stage suffix of every resource name."""

    archive_retention_days: int = 7
    """How far back a replay can reach."""

    delivery_retry_attempts: int = 2
    """Attempts of EventBridge after the first to put a shipment event into the queue (count, 0 to 185)."""
    delivery_max_age_hours: int = 2
    """Age at which EventBridge gives up on the queue and uses the dead-letter queue (1 to 24)."""
    unmatched_retry_attempts: int = EVENTBRIDGE_MAX_RETRY_ATTEMPTS
    """Attempts after the first for an unmatched event (count): the maximum, as no other queue follows."""
    unmatched_max_age_hours: int = EVENTBRIDGE_MAX_RETRY_HOURS
    """Age at which EventBridge gives up on an unmatched event (1 to 24)."""

    queue_retention_days: int = 4
    """How long the processor may be down before SQS discards events."""
    queue_long_poll_seconds: int = 20
    """Longest wait of an empty receive."""
    queue_max_receives: int = 3
    """Receives after which SQS moves a message to the dead-letter queue (count, at least 3). Each further one
    lets an event outlast an outage that is longer by the visibility timeout."""
    dead_letter_retention_days: int = 14
    """How long SQS keeps a dead letter. SQS counts from the first send, so the days that the message waited
    in the queue count too."""
    dead_letter_visibility_seconds: int = 300
    """How long a dead letter that an operator is reading is hidden from others."""

    processor_memory_mb: int = 512
    """Memory. The CPU share is proportional to it: 1,769 MB is one vCPU."""
    processor_timeout_seconds: int = 60
    """Longest run of one batch (20 to 900)."""
    visibility_timeout_multiple: int = 6
    """Visibility of the queue as a multiple of the processor's timeout (count, 6 or 7). AWS advises at least
    6: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
    batch_size: int = 10
    """Maximum number of messages of one invocation (count, 1 to 10)."""
    batching_window_seconds: int = 0
    """How long a poller collects events after the first one, unless the batch is full (whole seconds, 0 to
    5). With 0, an event is stored in less than a second. Each second of the window delays events by up to a
    second; if events are few, the delay is up to 20 s. A window saves invocations, log lines and traces;
    ``shipments cost --batching-window`` says how much.
    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html

    AWS advises a visibility timeout of six function timeouts plus the window. The contract's 360 s are six
    timeouts. With a window, Lambda has that much less time to retry a throttled invocation before the message
    becomes visible again. A message that becomes visible uses one more receive. The event is still stored
    once.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
    processor_max_concurrency: int = 10
    """Maximum number of concurrent batches (count, 2 to 1,000). Ten write twice as fast as one partition of
    the index allows. More would be throttled, and would take concurrency from the account's other
    functions."""
    provisioned_pollers: ProvisionedPollers | None = None
    """Pollers for bursts and high loads. They replace ``processor_max_concurrency``, because AWS allows only
    one of the two."""
    log_retention_days: int = 30
    """How long the processor's logs are kept; one of ``LOG_RETENTION_DAYS``."""
    canary_minutes: int | None = None
    """How long a new version of the processor gets a tenth of the batches before it gets all; one of
    ``CANARY_MINUTES``. None deploys at once. At 30,000 events a day, a canary sees two events a minute."""

    event_retention_days: int = 90
    """How long an event is kept after it was stored."""
    infrequent_access: bool = True
    """Table class Standard-IA: storage costs 60 % less, writes and reads 25 % more. With the default
    retention it is cheaper; ``shipments cost`` compares. The class can change in place, at most twice in 30
    days."""
    status_index_shards: int | None = None
    """Index partitions of each status (count, 2 to 1,000). One partition allows 1,000 writes a second. If the
    index is throttled, so is the table. The number may be raised at any time. It must not be lowered while
    older events are kept, because readers would not find them."""
    warm_write_units: int | None = None
    """Write units per second that table and index accept at once (at least 4,000). A new table starts with
    4,000 and doubles within half an hour. Paid once; it cannot be lowered."""
    deletion_protection: bool = True
    """Whether the table and the stack refuse to be deleted until someone turns this off."""
    retain_data: bool = True
    """Whether table and queues are kept if the stack is deleted. A new stack must then import them."""

    tracking: bool = True
    """Whether the stage keeps the state of each shipment and announces its changes. Without it, the stack has
    no table of shipments, no status bus and no tracker."""
    tracker_memory_mb: int = 512
    """Memory of the tracker, as ``processor_memory_mb``."""
    tracker_timeout_seconds: int = 60
    """Longest run of one batch of the stream (40 to 900)."""
    tracker_batch_size: int = 100
    """Maximum number of records of one invocation (count, 1 to 10,000). The tracker reads the states of 100
    shipments with one request, and its Lambda event has at most 6 MB."""
    tracker_retry_attempts: int = 1_000
    """Retries after which Lambda gives up on a record and reports it (count, 0 to 10,000). The default of
    Lambda is to block the shard until the record expires. So many retries take longer than
    ``tracker_max_age_hours`` in an outage, but end a loop of fast failures."""
    tracker_max_age_hours: int = 6
    """Age at which Lambda gives up on a record and reports it (1 to 23). The stream deletes a record after
    24 hours, so later records have the rest of the day."""
    tracker_failures_retention_days: int = 14
    """How long SQS keeps a failure of the tracker."""
    stalled_after_hours: int = 48
    """Time without news after which a shipment that the carrier has is stalled."""
    watcher_minutes: int = 15
    """Time between two runs of the watcher, which announces stalled and overdue shipments (5 to 60)."""
    watcher_memory_mb: int = 512
    """Memory of the watcher, as ``processor_memory_mb``."""
    watcher_timeout_seconds: int = 240
    """Longest run of the watcher (at least 20). It reads all open shipments, and has to end before the next
    run."""

    api: bool = True
    """Whether a stage that tracks shipments has the HTTP API."""
    api_jwt: JwtIssuer | None = None
    """Whose tokens the API accepts. None: it accepts requests that are signed with AWS credentials (IAM)."""
    api_requests_per_second: int = 100
    """Requests above which API Gateway answers 429, in the mean (count, 1 to 10,000)."""
    api_burst: int = 200
    """Requests at once above which API Gateway answers 429 (count, 1 to 5,000)."""
    api_memory_mb: int = 512
    """Memory of the API's function, as ``processor_memory_mb``."""
    api_timeout_seconds: int = 15
    """Longest answer of the API (11 to 29). API Gateway waits for 30 s."""

    alarm_emails: tuple[str, ...] = ()
    """Addresses that both alarm topics notify after the subscription is confirmed."""
    slack: SlackChannel | None = None
    """Channel that shows the messages of both alarm topics."""
    alarms_without_receivers: str | None = None
    """Why the alarms need no receiver. A stage needs an address, a channel or this reason."""
    runbook: str = "docs/runbook.md"
    """Where the runbook is, a path or an address. Each alarm's description ends with it and ``#name``."""
    alarm_period_seconds: int = 60
    """Resolution of the alarms on queues and rules; SQS and EventBridge report once a minute."""
    alarm_rate_period_seconds: int = 300
    """Window of the alarms on rates and counts. It is wide, so that one failure at night is a small share."""
    queue_depth_threshold: int = 1000
    """Waiting messages above which the processor counts as behind (count)."""
    queue_depth_periods: int = 2
    """Consecutive periods above the threshold (count)."""
    queue_age_threshold_seconds: int = 300
    """Age of the oldest waiting message above which the processor counts as behind."""
    queue_age_periods: int = 3
    """Consecutive periods above the threshold (count)."""
    queue_age_page_seconds: int = 3_600
    """Age of the oldest waiting message at which a person is paged. At most half of the queue's retention."""
    error_rate_threshold_percent: float = 5.0
    """Share of invocations that end in an error."""
    dead_letter_threshold: int = 1
    """Dead letters that need a person (count)."""
    dead_letter_age_threshold_days: int = 5
    """Days without an empty dead-letter queue after which a person is paged. No dead letter has been there
    for longer. At most 7, and ``DEAD_LETTER_MARGIN_DAYS`` less than the shortest life of a dead letter."""
    dead_letter_reminder_hour: int = 8
    """Hour of the daily reminder while there are dead letters, UTC."""
    quarantined_threshold: int = 1
    """Quarantined events in one window (count)."""
    retried_threshold: int = 100
    """Retried events in one window (count). A single throttled batch has at most 10."""
    throttles_threshold: int = 1
    """Throttled invocations in one window (count)."""
    undelivered_threshold: int = 1
    """Events that EventBridge could not deliver in one period (count)."""
    unmatched_threshold: int = 1
    """Events in one window that the shipment rule does not match (count)."""

    duration_threshold_percent: float = 80.0
    """Share of the processor's timeout that its slowest batch may take."""
    concurrency_periods: int = 3
    """Consecutive windows in which all allowed batches are in work (count)."""
    table_threshold: int = 1
    """Throttled writes, or failures of the table, in one window (count)."""
    latency_threshold_seconds: int = 60
    """Time from the bus to the table: 99th percentile of each batch's slowest event."""
    latency_periods: int = 3
    """Consecutive windows above the threshold (count)."""
    canary_errors_threshold: int = 1
    """Failed invocations of a new version in one minute (count). One is enough; a rollback is harmless."""
    canary_failed_threshold_percent: float = 20.0
    """Share of a new version's events that are quarantined or retried in one minute. Two of five minutes must
    be above it, because a single bad event is a large share of few events."""
    tracker_failures_threshold: int = 1
    """Failures of the tracker that need a person (count)."""
    tracker_failures_age_threshold_days: int = 5
    """Days without an empty queue of failures after which a person is paged. At most 7, and
    ``DEAD_LETTER_MARGIN_DAYS`` less than the retention of the queue."""
    tracker_lag_threshold_seconds: int = 60
    """Age of the records of the stream, at which the states count as late."""
    tracker_lag_periods: int = 3
    """Consecutive windows with late states, or without any state while events are stored (count)."""
    tracker_lag_page_seconds: int = 3_600
    """Age of the records at which a person is paged. At most half of ``tracker_max_age_hours``."""
    api_failed_threshold: int = 5
    """Requests in one window that the API could not answer (count)."""
    watcher_errors_threshold: int = 2
    """Failed invocations of the watcher between two runs (count). Lambda repeats a run twice; one failure
    alone is repaired by that."""
    watcher_silence_periods: int = 4
    """Consecutive runs of the watcher that are missing (count)."""
    expected_event_hours: int | None = None
    """The stage gets at least one event within this time (1 to 24). None if it may get none."""

    @property
    def visibility_timeout_seconds(self) -> int:
        """How long a received message is hidden: the multiple of the processor's timeout."""
        return self.visibility_timeout_multiple * self.processor_timeout_seconds

    @property
    def has_api(self) -> bool:
        """Whether the stage has the HTTP API. Without states, it would have nothing to show."""
        return self.tracking and self.api

    @property
    def has_receivers(self) -> bool:
        """Whether the alarms have a receiver."""
        return bool(self.alarm_emails) or self.slack is not None

    @property
    def most_concurrent_batches(self) -> int:
        """Maximum number of concurrent batches of the event source (count)."""
        if self.provisioned_pollers is not None:
            return self.provisioned_pollers.maximum * POLLER_CONCURRENCY
        return self.processor_max_concurrency

    def __post_init__(self) -> None:
        """Check the numbers: :func:`shipment_events.stage_limits.check` says what is allowed."""
        check(self)


STAGES: Final = {
    stage.environment: stage
    for stage in (
        # The only stage that may be thrown away in one command.
        StageSettings(
            environment="dev",
            deletion_protection=False,
            alarms_without_receivers="A stage for experiments; its user watches it.",
        ),
        # Add the receivers of the alarms to alarm_emails or slack. Without one, the deployment is refused.
        StageSettings(environment="staging", canary_minutes=10, alarm_emails=()),
        StageSettings(environment="prod", canary_minutes=10, alarm_emails=()),
    )
}


def settings_for(name: str) -> StageSettings:
    """Return the settings of the stage ``name``, or raise ``UnknownStageError`` with the names allowed."""
    try:
        return STAGES[name]
    except KeyError:
        raise UnknownStageError(f"{name!r} is not a stage; allowed: {', '.join(STAGES)}") from None
