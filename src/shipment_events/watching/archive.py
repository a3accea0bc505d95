"""The archive of a stage, and replays of a window of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import explained
from shipment_events.contract import names
from shipment_events.cost.prices import price_table
from shipment_events.cost.workload import BILLED_BYTES
from shipment_events.errors import ShipmentEventsError
from shipment_events.queue.queue import PATIENCE_SECONDS, Drain, Queue
from shipment_events.stages import StageSettings
from shipment_events.watching.flow import Flow, logged_flow
from shipment_events.watching.log import ProcessorLog
from shipment_events.watching.replays import (
    ArchiveContent,
    Replay,
    ReplayState,
    cancel_replay,
    describe_archive,
    describe_replay,
    start_replay,
)

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

# "There may be a delay between an event being received on an event bus and the event arriving in the
# archive. We recommend you delay replaying archived events for 10 minutes"
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html
SETTLING_TIME: Final = timedelta(minutes=10)
_POLL_SECONDS: Final = 1.0


class ReplayError(ShipmentEventsError):
    """The window cannot be replayed, or the replay failed."""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """A replay before its start.

    Attributes:
        name: unique to this plan. A plan that is used twice starts one replay.
        rule_name: the only rule that receives the events, or None for all rules.
        most_events: number of events in the archive. EventBridge does not count the events of a window.
        likely_events: the window's share of ``most_events`` if events arrived evenly.
        is_early: whether some events of the window may not be in the archive yet.
    """

    name: str
    content: ArchiveContent
    since: datetime
    until: datetime
    rule_name: str | None
    most_events: int
    likely_events: int
    is_early: bool

    @property
    def most_usd(self) -> float:
        """EventBridge's charge for all events of the archive. The cost of storing them is not included."""
        chunks = max(self.most_events, ceil(self.content.size_bytes / BILLED_BYTES))
        return price_table()["eventbridge_events"].of(chunks)


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """A replay that is over.

    Attributes:
        flow: outcomes from the start of the replay to the end of the wait, including those of live events.
        drain: how the wait for the queue ended. If the queue is not empty, ``flow`` may lack events.
    """

    replay: Replay
    flow: Flow
    drain: Drain


class Archive:
    """The archive of a stage's bus.

    Args:
        client: EventBridge client.
        stage: settings of the stage.
        name: name of the archive.
        queue: receives the replayed events.
        log: the log of the processor that reads the queue.
    """

    def __init__(
        self, client: "EventBridgeClient", stage: StageSettings, name: str, queue: Queue, log: ProcessorLog
    ) -> None:
        self._client = client
        self._stage = stage
        self._name = name
        self._queue = queue
        self._log = log

    def plan(self, since: datetime, until: datetime, *, all_rules: bool = False) -> ReplayPlan:
        """Check a window and estimate its replay.

        Raises:
            ReplayError: the window is empty, ends in the future, or ends before the archive begins.
            botocore.exceptions.ClientError: the archive cannot be read.
        """
        rule = None if all_rules else names.rule_name(self._stage.environment)
        return plan_replay(describe_archive(self._client, self._name), since, until, rule)

    def replay(
        self, plan: ReplayPlan, on_progress: Callable[[Replay, int], None] = lambda *_: None
    ) -> ReplayResult:
        """Start a replay, wait for its end, and wait until the queue is empty.

        Args:
            on_progress: called with the replay and the approximate number of messages in the queue.

        Raises:
            ReplayError: the replay failed, or it was started and cannot be followed. Events that were already
                replayed stay.
            botocore.exceptions.ClientError: the replay cannot be started.
        """
        started = datetime.now(UTC)
        with started_replay(self._client, plan):
            replay = wait_for_replay(
                self._client,
                plan,
                self._queue.timing.clock.sleep,
                lambda replay: on_progress(replay, self._queue.depth().total),
            )
            drain = self._queue.wait_until_empty(
                # A failed event is visible again only after the visibility timeout.
                patience=self._stage.visibility_timeout_seconds + PATIENCE_SECONDS,
                on_progress=lambda waiting: on_progress(replay, waiting),
            )
            return ReplayResult(replay, logged_flow(self._log, started, datetime.now(UTC)), drain)

    def cancel(self, name: str) -> None:
        """Cancel a replay. Events that were already replayed stay. Safe to repeat.

        Raises:
            botocore.exceptions.ClientError: the replay is over or does not exist.
        """
        cancel_replay(self._client, name)


def plan_replay(
    content: ArchiveContent, since: datetime, until: datetime, rule_name: str | None
) -> ReplayPlan:
    """Check a window and estimate its replay.

    Args:
        rule_name: the only rule that receives the events, or None for all rules.

    Raises:
        ReplayError: the window is empty, ends in the future, or ends before the archive begins.
    """
    now = datetime.now(UTC)
    oldest = content.created_at
    if content.retention_days:
        oldest = max(oldest, now - timedelta(days=content.retention_days))
    _ensure_replayable(since, until, now, oldest)
    share = (until - max(since, oldest)) / (now - oldest)
    return ReplayPlan(
        name=f"{content.bus_name}-{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}",
        content=content,
        since=since,
        until=until,
        rule_name=rule_name,
        most_events=content.event_count,
        likely_events=round(content.event_count * min(1.0, share)),
        is_early=until > now - SETTLING_TIME,
    )


@contextmanager
def started_replay(client: "EventBridgeClient", plan: ReplayPlan) -> Iterator[None]:
    """Start a replay, for a block that follows it.

    Raises:
        ReplayError: an error of AWS ended the block. The replay continues.
        botocore.exceptions.ClientError: the replay cannot be started.
    """
    start_replay(client, plan.content, plan.name, plan.since, plan.until, rule_name=plan.rule_name)
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise ReplayError(
            f"replay {plan.name} was started and continues, but it cannot be followed: {explained(error)}",
            f"See its state: aws events describe-replay --replay-name {plan.name}\n"
            f"Stop it: aws events cancel-replay --replay-name {plan.name}",
        ) from error


def wait_for_replay(
    client: "EventBridgeClient",
    plan: ReplayPlan,
    sleep: Callable[[float], None],
    on_progress: Callable[[Replay], None],
) -> Replay:
    """Wait for the end of a replay.

    Raises:
        ReplayError: the replay failed.
        botocore.exceptions.ClientError: its state cannot be read.
    """
    while not (replay := describe_replay(client, plan.name)).state.is_final:
        on_progress(replay)
        sleep(_POLL_SECONDS)
    if replay.state is ReplayState.FAILED:
        raise ReplayError(
            f"replay {plan.name} failed: {replay.reason or 'no reason given'}", "Start it again."
        )
    return replay


def _ensure_replayable(since: datetime, until: datetime, now: datetime, oldest: datetime) -> None:
    if since >= until:
        raise ReplayError(
            f"the window must end after it begins; it begins at {_shown(since)} and ends at {_shown(until)}"
        )
    if until > now:
        raise ReplayError(f"the window ends in the future, at {_shown(until)}; the time is {_shown(now)}")
    if until <= oldest:
        raise ReplayError(
            f"the archive begins at {_shown(oldest)} (its creation or its retention period), and the window"
            f" ends before that, at {_shown(until)}",
            "Let the producer publish older events again.",
        )


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
