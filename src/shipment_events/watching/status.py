"""The status of a deployed pipeline: its health, its backlog and its failures."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from shipment_events.contract import names
from shipment_events.contract.outcome import Outcome
from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.queue.queue import Depth, Queue
from shipment_events.watching.flow import Flow, logged_retry_errors, measured_flow
from shipment_events.watching.log import ProcessorLog
from shipment_events.watching.metrics import Metrics, StageAlarm
from shipment_events.watching.tracking_flow import TrackingSources, TrackingStatus, tracking_status

# The health depends on the thresholds of these alarms. They are read as deployed: the settings of a clone
# can be of another version, and an installed package has no settings.
_DEAD_LETTERS: Final = "dead-letters"
_DEPTH: Final = "queue-depth"
_AGE: Final = "oldest-message"
# A dead letter that is read is invisible to others for a short time, so only some of a large queue are read.
_MOST_LETTERS: Final = 1_000


class Health(StrEnum):
    """The health of the pipeline in one word."""

    HEALTHY = "healthy"
    BEHIND = "behind"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem that needs a person.

    Attributes:
        next_step: the first command to run, or the runbook entry to read.
    """

    health: Health
    what: str
    next_step: str


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """The status at one moment.

    Attributes:
        since: ``flow`` covers the time from ``since`` to ``at``.
        oldest_seconds: last measured age of the oldest unsettled message; None if it is not measured, as on
            the local engine. It comes from the metric: a receive would count towards the message's
            maximum number of receives.
        dead_letters_by_reason: counts of the first thousand dead letters; empty if they were not read.
        alarms: all alarms of the stage.
        retry_errors: number of returned events by error code, as far as the log was read.
        tracking: None if the stage does not track shipments.
    """

    environment: str
    at: datetime
    since: datetime
    flow: Flow
    queue: Depth
    oldest_seconds: float | None
    dead_letters: Depth
    dead_letters_by_reason: Mapping[str, int]
    alarms: list[StageAlarm]
    deployed_at: datetime
    retry_errors: Mapping[str, int] = field(default_factory=dict)
    tracking: TrackingStatus | None = None

    @property
    def firing(self) -> list[StageAlarm]:
        """The alarms in the state ALARM."""
        return [alarm for alarm in self.alarms if alarm.is_firing]

    @property
    def troubles(self) -> list[Trouble]:
        """The problems that need a person, the worst first."""
        failing, watch = Health.FAILING, self._command("status --watch")
        found = [
            Trouble(
                failing,
                f"alarm {name} does not exist, so nobody is notified and its value is not checked",
                "make diff",
            )
            for name in (_DEAD_LETTERS, _DEPTH, _AGE)
            if name not in {alarm.name for alarm in self.alarms}
        ]
        if self._is_bad(_DEAD_LETTERS, self.dead_letters.total):
            what = f"{self.dead_letters.total:,} dead letters wait for a decision"
            found.append(Trouble(failing, what, self._command("dead-letters list")))
        found += self._retries()
        found += self._tracking_troubles()
        found += [
            Trouble(failing, f"alarm {alarm.name} fires", f"docs/runbook.md#{alarm.runbook_entry}")
            for alarm in self.firing
        ]
        if self._is_bad(_DEPTH, self.queue.visible):
            found.append(Trouble(Health.BEHIND, f"{self.queue.visible:,} messages wait", watch))
        if self.oldest_seconds is not None and self._is_bad(_AGE, self.oldest_seconds):
            what = f"the oldest message has waited for {self.oldest_seconds:,.0f} s"
            found.append(Trouble(Health.BEHIND, what, watch))
        return found

    def _retries(self) -> list[Trouble]:
        retried = self.flow.counts[Outcome.RETRIED]
        if not retried:
            return []
        errors = ", ".join(sorted(self.retry_errors, key=lambda error: -self.retry_errors[error]))
        why = f" ({errors})" if errors else ""
        step = "docs/runbook.md#retried"
        if not self.flow.counts[Outcome.STORED]:
            return [
                Trouble(
                    Health.FAILING, f"no event is stored, and events are returned to the queue{why}", step
                )
            ]
        if self.queue.total:
            return [
                Trouble(
                    Health.BEHIND,
                    f"events were returned to the queue {retried:,} times{why}, and some still wait",
                    step,
                )
            ]
        return []

    def _tracking_troubles(self) -> list[Trouble]:
        if self.tracking is None:
            return []
        found = []
        if failures := self.tracking.failures.total:
            what = (
                f"{failures:,} failures of the tracker wait for a repair, so states and changes are missing"
            )
            found.append(Trouble(Health.FAILING, what, self._command("rebuild --failures")))
        flow = self.tracking.flow
        if flow.unsettled and not flow.folded:
            what = f"no event reaches the state of its shipment, and {flow.unsettled:,} are tried again"
            found.append(Trouble(Health.FAILING, what, self._command("status --watch")))
        return found

    def _command(self, words: str) -> str:
        return names.command(self.environment, words)

    def _is_bad(self, name: str, value: float) -> bool:
        """Whether the value breaches the threshold of this alarm. False if the alarm does not exist."""
        return any(alarm.is_bad(value) for alarm in self.alarms if alarm.name == name)

    @property
    def health(self) -> Health:
        """The worst health of all troubles."""
        kinds = {trouble.health for trouble in self.troubles}
        return Health.FAILING if Health.FAILING in kinds else Health.BEHIND if kinds else Health.HEALTHY


class StatusReader:
    """Reads the status repeatedly.

    It reads the dead letters again only if their count changed, so that people can work on them.

    Args:
        receives: whether the reasons of dead letters are read, which hides these for a moment.
    """

    def __init__(
        self,
        queue: Queue,
        dead_letters: DeadLetterQueue,
        metrics: Metrics,
        log: ProcessorLog,
        deployed_at: datetime,
        *,
        environment: str,
        tracking: TrackingSources | None = None,
        receives: bool = True,
    ) -> None:
        self._environment = environment
        self._tracking = tracking
        self._queue = queue
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._log = log
        self._deployed_at = deployed_at
        self._receives = receives
        self._sampled: tuple[int, Mapping[str, int]] = (0, {})

    def read(self, minutes: int) -> PipelineStatus:
        """Read the status of the last minutes.

        Raises:
            botocore.exceptions.ClientError: a service cannot be read.
        """
        now = datetime.now(UTC)
        since = now - timedelta(minutes=minutes)
        dead_letters = self._dead_letters.depth()
        if self._receives and dead_letters.visible != self._sampled[0]:
            found = self._dead_letters.sample(_MOST_LETTERS)
            self._sampled = (dead_letters.visible, Counter(letter.reason for letter in found.letters))
        flow = measured_flow(self._metrics, self._log, since, now)
        has_retries = bool(flow.counts[Outcome.RETRIED])
        return PipelineStatus(
            environment=self._environment,
            at=now,
            since=since,
            flow=flow,
            queue=self._queue.depth(),
            oldest_seconds=self._metrics.oldest_message_seconds(since, now),
            dead_letters=dead_letters,
            dead_letters_by_reason=self._sampled[1],
            alarms=self._metrics.alarms(),
            deployed_at=self._deployed_at,
            retry_errors=logged_retry_errors(self._log, since, now) if has_retries else {},
            tracking=tracking_status(self._tracking, self._metrics, since, now) if self._tracking else None,
        )
