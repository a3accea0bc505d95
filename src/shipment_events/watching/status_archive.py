"""The archive of all changes of shipments, and replays of a window of it to one subscriber."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from shipment_events.watching.archive import (
    ReplayError,
    ReplayPlan,
    plan_replay,
    started_replay,
    wait_for_replay,
)
from shipment_events.watching.replays import Replay, describe_archive, is_rule_enabled, rule_names

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


class StatusArchive:
    """The archive of a stage's status bus.

    A replay always names one rule, because other subscribers did not ask for repeats.

    Args:
        client: EventBridge client.
        name: name of the archive.
        bus_name: name of the bus.
    """

    def __init__(
        self,
        client: "EventBridgeClient",
        name: str,
        bus_name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._name = name
        self._bus_name = bus_name
        self._sleep = sleep

    def plan(self, since: datetime, until: datetime, rule_name: str) -> ReplayPlan:
        """Check a window and a subscriber, and estimate the replay.

        Args:
            rule_name: the subscriber's rule.

        Raises:
            ReplayError: the window is empty, ends in the future, or ends before the archive begins; or the
                bus has no such rule, or the rule is disabled. EventBridge would replay to nobody.
            botocore.exceptions.ClientError: archive or rule cannot be read.
        """
        enabled = is_rule_enabled(self._client, self._bus_name, rule_name)
        if enabled is None:
            there = ", ".join(rule_names(self._client, self._bus_name)) or "none"
            raise ReplayError(
                f"the bus {self._bus_name} has no rule {rule_name}",
                f"Its rules: {there}. Deploy the subscriber's stack first.",
            )
        if not enabled:
            raise ReplayError(f"the rule {rule_name} is disabled, so it receives nothing", "Enable it first.")
        return plan_replay(describe_archive(self._client, self._name), since, until, rule_name)

    def replay(self, plan: ReplayPlan, on_progress: Callable[[Replay], None] = lambda _: None) -> Replay:
        """Start a replay, and wait until EventBridge has sent all changes to the rule.

        Raises:
            ReplayError: the replay failed, or it was started and cannot be followed. Changes that were
                already replayed stay.
            botocore.exceptions.ClientError: the replay cannot be started.
        """
        with started_replay(self._client, plan):
            return wait_for_replay(self._client, plan, self._sleep, on_progress)
