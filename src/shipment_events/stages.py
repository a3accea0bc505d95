"""Every number of a deployment: one immutable object for each stage.

Constructs read their numbers from here and nowhere else, so that two stages can be compared by reading one
file, and a limit of a service is checked before anything is deployed.
"""

import re
from dataclasses import dataclass
from typing import Final

from shipment_events.errors import ShipmentEventsError
from shipment_events.stage_limits import (
    EVENTBRIDGE_MAX_RETRY_ATTEMPTS,
    EVENTBRIDGE_MAX_RETRY_HOURS,
    POLLER_CONCURRENCY,
    check,
)

DEFAULT_STAGE: Final = "dev"


class UnknownStageError(ShipmentEventsError, ValueError):
    """The name is not the name of a stage; the message lists those that are."""


@dataclass(frozen=True, kw_only=True)
class ProvisionedPollers:
    """Pollers of the event source that are there before the events are (counts), paid by the hour.

    Each reads up to 10 times and 1 MB a second and has up to 10 batches in work. They follow a burst three
    times as fast as unprovisioned ones, and go beyond 1,250 batches at a time.
    """

    minimum: int
    """Always there (2 to 200)."""
    maximum: int
    """Most (2 to 10,000): https://docs.aws.amazon.com/lambda/latest/api/API_ProvisionedPollerConfig.html"""

    def __post_init__(self) -> None:
        """Refuse what Lambda would refuse."""
        if not (2 <= self.minimum <= 200 and self.minimum <= self.maximum <= 10_000):
            raise ValueError(
                f"provisioned_pollers is {self.minimum} to {self.maximum}, allowed is"
                " a minimum of 2 to 200 and a maximum from there to 10,000"
            )


@dataclass(frozen=True, kw_only=True)
class SlackChannel:
    """A channel by Slack's own ids, which the addresses of workspace and channel end with; names are none."""

    workspace_id: str
    """``T`` and what follows; the account has to be connected to this workspace."""
    channel_id: str
    """``C`` and what follows, or ``G`` for an older private channel."""

    def __post_init__(self) -> None:
        """Refuse what is no such id."""
        for field, value, initials in (
            ("slack_workspace", self.workspace_id, "TE"),
            ("slack_channel", self.channel_id, "CG"),
        ):
            if not re.fullmatch(rf"[{initials}][A-Z0-9]{{6,}}", value):
                raise ValueError(
                    f"{field} is {value!r}, which is no id of Slack: {initials[0]} and capitals or digits"
                )


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
    """Attempts after the first for an unmatched event (count): all there are, as it has no second way out."""
    unmatched_max_age_hours: int = EVENTBRIDGE_MAX_RETRY_HOURS
    """Age at which EventBridge gives up on an unmatched event (1 to 24)."""

    queue_retention_days: int = 4
    """How long the processor may be down before SQS discards events."""
    queue_long_poll_seconds: int = 20
    """Longest wait of an empty receive."""
    queue_max_receives: int = 3
    """Receives after which SQS moves a message to the dead-letter queue (count)."""
    dead_letter_retention_days: int = 14
    """How long people have for a dead letter. SQS keeps the first send time, so the days that the message
    waited in the queue count too."""
    dead_letter_visibility_seconds: int = 300
    """How long a dead letter that an operator is reading is hidden from others."""

    processor_memory_mb: int = 512
    """Memory, and with it the share of a CPU: 1,769 MB is one vCPU."""
    processor_timeout_seconds: int = 60
    """Longest run of one batch."""
    visibility_timeout_multiple: int = 6
    """Visibility of the queue as a multiple of the processor's timeout (count). AWS advises at least 6:
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
    batch_size: int = 10
    """Most messages of one invocation (count). More than 10 needs a batching window, and with it a wait."""
    batching_window_seconds: int = 0
    """How long a poller collects from its first event on, unless the batch is full before (whole seconds,
    0 to 5). 0 is the promise of a stored event in less than a second. Each second makes events wait up to a
    second more, with few events even 20 s whatever the window, and saves invocations with log lines and
    traces; ``shipments cost --batching-window`` says how much.
    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html

    AWS advises a visibility of six timeouts and the window on top. The contract's 360 s are the six timeouts
    alone: the window is missing to Lambda's tries to invoke a throttled function. An event that becomes
    visible meanwhile uses up one more of its receives, and is stored once all the same.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
    processor_max_concurrency: int = 10
    """Batches in work at the same time (count, 2 to 1,000). Ten store twice what one partition of the index
    takes, so more would only be throttled there, at the cost of the account's other functions."""
    provisioned_pollers: ProvisionedPollers | None = None
    """Pollers for bursts and for more than ``processor_max_concurrency`` allows, which they replace: AWS
    takes one or the other."""
    log_retention_days: int = 30
    """How long the processor's logs are kept; one of ``LOG_RETENTION_DAYS``."""
    canary_minutes: int | None = None
    """How long a tenth of the batches try a new version of the processor before it gets all of them; one of
    ``CANARY_MINUTES``, or None for all at once. At 30,000 events a day it sees two events a minute."""

    event_retention_days: int = 90
    """Life of a stored event, counted from the moment of storing."""
    infrequent_access: bool = True
    """Table class Standard-IA: storage costs 60 % less, writes and reads 25 % more, which pays with 90 days
    of retention; ``shipments cost`` says which is cheaper. It changes in place, at most twice in 30 days."""
    status_index_shards: int | None = None
    """Partitions over which each status is spread in the index (count, 2 to 1,000). One takes 1,000 writes a
    second, and what the index throttles, the table throttles. May be raised at any time, never lowered while
    events from before are kept: readers would not find those."""
    warm_write_units: int | None = None
    """Write units a second that table and index take at once (from 4,000, where they begin by themselves and
    double within half an hour). Paid once; it cannot be lowered."""
    deletion_protection: bool = True
    """Whether the table and the stack refuse to be deleted until someone turns this off."""
    retain_data: bool = True
    """Whether table and queues stay when they leave the stack; a stage created anew has to import them."""

    alarm_emails: tuple[str, ...] = ()
    """Addresses that both alarm topics notify, each once it has confirmed the subscription."""
    slack: SlackChannel | None = None
    """Channel that shows what both alarm topics are sent; none if absent."""
    alarms_without_receivers: str | None = None
    """Why nobody has to hear the alarms. A stage with neither address nor channel nor reason is refused."""
    runbook: str = "docs/runbook.md"
    """Where the runbook is; each alarm's description ends with a link to its entry there."""
    alarm_period_seconds: int = 60
    """Resolution of the alarms on queues and rules; SQS and EventBridge report once a minute."""
    alarm_rate_period_seconds: int = 300
    """Window of the alarms on rates and counts, wide enough that one failure at night is no trend."""
    queue_depth_threshold: int = 1000
    """Waiting messages above which the processor counts as behind (count)."""
    queue_depth_periods: int = 2
    """Consecutive periods above the threshold (count)."""
    queue_age_threshold_seconds: int = 300
    """Age of the oldest waiting message above which the processor counts as behind."""
    queue_age_periods: int = 3
    """Consecutive periods above the threshold (count)."""
    queue_age_page_seconds: int = 3_600
    """Age of the oldest waiting message that pages: at most half of the queue's retention."""
    error_rate_threshold_percent: float = 5.0
    """Share of invocations that end in an error."""
    dead_letter_threshold: int = 1
    """Dead letters that need a person (count)."""
    dead_letter_age_threshold_days: int = 5
    """Days without an empty dead-letter queue that page: no letter has been there for longer. At most 7, and
    ``DEAD_LETTER_MARGIN_DAYS`` less than the shortest life of a dead letter."""
    dead_letter_reminder_hour: int = 8
    """Hour of the day, UTC, that reminds of dead letters as long as there are any."""
    quarantined_threshold: int = 1
    """Quarantined events in one window (count)."""
    retried_threshold: int = 100
    """Events handed back for a retry in one window (count); a single throttled batch is 10 at most."""
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
    """Time from the bus to the table that the slowest event of 99 of 100 batches stays below."""
    latency_periods: int = 3
    """Consecutive windows above the threshold (count)."""
    canary_errors_threshold: int = 1
    """Failed invocations of a new version in one minute (count). One is enough: to go back costs nothing."""
    canary_failed_threshold_percent: float = 20.0
    """Share of a new version's events that it quarantines or hands back in one minute. Of few events a single
    bad one is a large share, so it takes two such minutes of five."""
    expected_event_hours: int | None = None
    """Hours, 1 to 24, within which this stage always gets an event; None where silence is normal."""

    @property
    def visibility_timeout_seconds(self) -> int:
        """How long a received message is hidden: the multiple of the processor's timeout."""
        return self.visibility_timeout_multiple * self.processor_timeout_seconds

    @property
    def has_receivers(self) -> bool:
        """Whether anybody is told of an alarm."""
        return bool(self.alarm_emails) or self.slack is not None

    @property
    def most_concurrent_batches(self) -> int:
        """Batches that the event source has in work at most (count)."""
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
            alarms_without_receivers="A stage to try things out: whoever does looks at it.",
        ),
        # Write into alarm_emails or slack who is told of the alarms: a deploy without is refused.
        StageSettings(environment="staging", canary_minutes=10, alarm_emails=()),
        StageSettings(environment="prod", canary_minutes=10, alarm_emails=()),
    )
}


def settings_for(name: str) -> StageSettings:
    """Return the settings of the stage ``name``, or raise ``UnknownStageError`` with the names allowed."""
    try:
        return STAGES[name]
    except KeyError:
        raise UnknownStageError(f"{name!r} is no stage; allowed: {', '.join(STAGES)}") from None
