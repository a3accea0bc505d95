"""Send a window of the archive through the pipeline again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from shipment_events.contract import names
from shipment_events.errors import ShipmentEventsError
from shipment_events.queue.drain import Drain, wait_until_empty
from shipment_events.queue.messages import depth
from shipment_events.resources import Resources
from shipment_events.watching.archive import (
    Archive,
    Replay,
    ReplayState,
    describe_archive,
    describe_replay,
    start_replay,
)
from shipment_events.watching.flow import Flow, logged_flow

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient

# "There may be a delay between an event being received on an event bus and the event arriving in the
# archive. We recommend you delay replaying archived events for 10 minutes"
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html
SETTLING_TIME: Final = timedelta(minutes=10)
# US East, list price of November 2026, for each 64 KB: https://aws.amazon.com/eventbridge/pricing/
_USD_A_MILLION_EVENTS: Final = 1.0
_CHUNK_BYTES: Final = 64 * 1024
_POLL_SECONDS: Final = 1.0
# Events that failed come back after the queue's visibility timeout only.
_PATIENCE_SECONDS: Final = 420.0


class ReplayError(ShipmentEventsError):
    """The window cannot be replayed, or the replay did not end well; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """A replay that is not started.

    Attributes:
        name: of one start: a plan that is carried out twice starts one replay.
        rule_name: of the only rule that gets the events, or None for all.
        most_events: what the archive holds in all; there is no way to ask for a window.
        likely_events: the window's share of that, if events came evenly.
        is_early: whether events of the window may still be on their way to the archive.
    """

    environment: str
    name: str
    archive: Archive
    since: datetime
    until: datetime
    rule_name: str | None
    most_events: int
    likely_events: int
    is_early: bool

    @property
    def most_usd(self) -> float:
        """What EventBridge charges for all events of the archive; storing them comes to it."""
        chunks = max(self.most_events, -(-self.archive.size_bytes // _CHUNK_BYTES))
        return chunks * _USD_A_MILLION_EVENTS / 1_000_000


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """A replay that is over.

    Attributes:
        flow: what the processor logged from its start until the end of the wait, live events included.
        drain: how the wait for the queue ended; where it did not become empty, ``flow`` may lack events.
    """

    replay: Replay
    flow: Flow
    drain: Drain


def plan_replay(
    client: "EventBridgeClient",
    environment: str,
    resources: Resources,
    since: datetime,
    until: datetime,
    *,
    all_rules: bool,
) -> ReplayPlan:
    """Check a window and say what its replay means.

    Raises:
        ReplayError: the window is empty, in the future, or before what the archive still has.
        botocore.exceptions.ClientError: the archive cannot be read.
    """
    now = datetime.now(UTC)
    archive = describe_archive(client, resources.archive_name)
    if since >= until:
        raise ReplayError(f"the window ends at {_shown(until)}, before it begins at {_shown(since)}")
    if until > now:
        raise ReplayError(f"the window ends in the future, at {_shown(until)}; it is {_shown(now)}")
    oldest = archive.created_at
    if archive.retention_days:
        oldest = max(oldest, now - timedelta(days=archive.retention_days))
    if until <= oldest:
        raise ReplayError(
            f"the archive begins at {_shown(oldest)}, when it was made or {archive.retention_days} days ago,"
            f" and the window ends before, at {_shown(until)}. What is older the producer publishes again."
        )
    share = (until - max(since, oldest)) / (now - oldest)
    return ReplayPlan(
        environment=environment,
        name=f"{names.stack_name(environment)}-{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}",
        archive=archive,
        since=since,
        until=until,
        rule_name=None if all_rules else names.rule_name(environment),
        most_events=archive.event_count,
        likely_events=round(archive.event_count * min(1.0, share)),
        is_early=until > now - SETTLING_TIME,
    )


def run_replay(
    plan: ReplayPlan,
    resources: Resources,
    *,
    events: "EventBridgeClient",
    sqs: "SQSClient",
    logs: "CloudWatchLogsClient",
    on_progress: Callable[[Replay, int], None] = lambda *_: None,
) -> ReplayResult:
    """Start a replay, follow it to its end, and wait until the queue is empty.

    Args:
        on_progress: called with the replay's state and about how many messages are in the queue.

    Raises:
        ReplayError: the replay failed; what it replayed before that is stored.
        botocore.exceptions.ClientError: a service refused.
    """
    started = datetime.now(UTC)
    start_replay(events, plan.archive, plan.name, plan.since, plan.until, rule_name=plan.rule_name)
    while not (replay := describe_replay(events, plan.name)).state.is_final:
        on_progress(replay, depth(sqs, resources.queue_url))
        resources.timing.clock.sleep(_POLL_SECONDS)
    if replay.state is ReplayState.FAILED:
        raise ReplayError(f"replay {plan.name} failed: {replay.reason or 'no reason given'}. Start it again.")
    drain = wait_until_empty(
        sqs,
        resources.queue_url,
        resources.timing,
        patience=_PATIENCE_SECONDS,
        on_progress=lambda waiting: on_progress(replay, waiting),
    )
    flow = logged_flow(logs, plan.environment, started, datetime.now(UTC))
    return ReplayResult(replay, flow, drain)


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
