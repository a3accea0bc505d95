"""One look at a deployed pipeline: is it healthy, how far behind, what fails."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from shipment_events.contract.outcome import Outcome
from shipment_events.dead_letters.letters import read_dead_letters
from shipment_events.queue.messages import Depth, depths
from shipment_events.resources import Resources
from shipment_events.watching.flow import Flow, logged_retry_errors, measured_flow
from shipment_events.watching.metrics import FiringAlarm, firing_alarms, oldest_message_seconds

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient

# The alarms on depth and age have these thresholds too.
_MANY_WAITING: Final = 1_000
_LONG_SECONDS: Final = 300
# Reading a dead letter hides it from others for a moment, so a large queue is sampled.
_MOST_LETTERS: Final = 1_000


class Health(StrEnum):
    """The answer in one word."""

    HEALTHY = "healthy"
    BEHIND = "behind"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that needs a person.

    Attributes:
        next_step: the command to begin with.
    """

    health: Health
    what: str
    next_step: str


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """What is known now.

    Attributes:
        since: ``flow`` is from then until ``at``.
        oldest_seconds: age of the oldest message that is not settled, as last measured; None where nothing
            measures it, as on the local engine. The queue itself is not asked: a receive would use up one
            of the few that each event has.
        dead_letters_by_reason: of the first thousand dead letters.
        retry_errors: why events that wait were given back, by error code, as far as the log was read.
    """

    at: datetime
    since: datetime
    flow: Flow
    queue: Depth
    oldest_seconds: float | None
    dead_letters: Depth
    dead_letters_by_reason: Mapping[str, int]
    alarms: list[FiringAlarm]
    deployed_at: datetime
    retry_errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def troubles(self) -> list[Trouble]:
        """What needs a person, the worst first."""
        found = []
        if self.dead_letters.total:
            found.append(
                Trouble(
                    Health.FAILING,
                    f"{self.dead_letters.total:,} dead letters wait for a decision",
                    "shipments dead-letters list",
                )
            )
        if retried := self.flow.counts[Outcome.RETRIED]:
            errors = ", ".join(sorted(self.retry_errors, key=lambda error: -self.retry_errors[error]))
            why = f" ({errors})" if errors else ""
            step = "docs/runbook.md#retried"
            if not self.flow.counts[Outcome.STORED]:
                found.append(
                    Trouble(Health.FAILING, f"nothing is stored, every event is given back{why}", step)
                )
            elif self.queue.total:
                found.append(
                    Trouble(Health.BEHIND, f"{retried:,} times an event was given back{why}; some wait", step)
                )
        found += [
            Trouble(Health.FAILING, f"alarm {alarm.name} fires", f"docs/runbook.md#{alarm.runbook_entry}")
            for alarm in self.alarms
        ]
        if self.queue.visible > _MANY_WAITING:
            found.append(
                Trouble(Health.BEHIND, f"{self.queue.visible:,} messages wait", "shipments status --watch")
            )
        if self.oldest_seconds is not None and self.oldest_seconds > _LONG_SECONDS:
            found.append(
                Trouble(
                    Health.BEHIND,
                    f"the oldest message waits since {self.oldest_seconds:,.0f} s",
                    "shipments status --watch",
                )
            )
        return found

    @property
    def health(self) -> Health:
        """The worst of all troubles."""
        kinds = {trouble.health for trouble in self.troubles}
        return Health.FAILING if Health.FAILING in kinds else Health.BEHIND if kinds else Health.HEALTHY


class StatusReader:
    """Reads the status again and again without disturbing those who repair."""

    def __init__(
        self,
        environment: str,
        resources: Resources,
        *,
        sqs: "SQSClient",
        cloudwatch: "CloudWatchClient",
        logs: "CloudWatchLogsClient",
    ) -> None:
        self._environment = environment
        self._resources = resources
        self._sqs = sqs
        self._cloudwatch = cloudwatch
        self._logs = logs
        self._letters: tuple[int, Mapping[str, int]] = (0, {})

    def read(self, minutes: int) -> PipelineStatus:
        """Look once.

        Raises:
            botocore.exceptions.ClientError: something of it cannot be read.
        """
        now = datetime.now(UTC)
        since = now - timedelta(minutes=minutes)
        dead_letters = depths(self._sqs, self._resources.dead_letter_queue_url)
        if dead_letters.visible != self._letters[0]:
            found = read_dead_letters(self._sqs, self._resources.dead_letter_queue_url, most=_MOST_LETTERS)
            self._letters = (dead_letters.visible, Counter(letter.reason for letter in found))
        flow = measured_flow(self._cloudwatch, self._logs, self._environment, since, now)
        return PipelineStatus(
            at=now,
            since=since,
            flow=flow,
            queue=depths(self._sqs, self._resources.queue_url),
            oldest_seconds=oldest_message_seconds(self._cloudwatch, self._environment, since, now),
            dead_letters=dead_letters,
            dead_letters_by_reason=self._letters[1],
            alarms=firing_alarms(self._cloudwatch, self._environment),
            deployed_at=self._resources.deployed_at,
            retry_errors=(
                logged_retry_errors(self._logs, self._environment, since, now)
                if flow.counts[Outcome.RETRIED]
                else {}
            ),
        )
