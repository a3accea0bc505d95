"""The one wait until a queue is empty."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shipment_events.queue.messages import depth
from shipment_events.queue.timing import QueueTiming

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Drain:
    """How a wait ended.

    Attributes:
        waiting: messages by the last count, which is approximate.
        is_empty: whether the count was 0 for as long as it may be wrong.
        empty_seconds: for which the count was 0 at the end.
    """

    waiting: int = 0
    is_empty: bool = False
    empty_seconds: float = 0.0


def wait_until_empty(
    client: "SQSClient",
    queue_url: str,
    timing: QueueTiming,
    *,
    patience: float = PATIENCE_SECONDS,
    poll_seconds: float = 1.0,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Drain:
    """Ask for the count until it was 0 for longer than it may be wrong.

    The wait is bounded: it ends where the count, once it may be right, has not fallen below its lowest for
    ``patience`` seconds beyond the time for which it may be wrong, and is not 0 then.

    Args:
        poll_seconds: between two counts.
        on_progress: called with each count.

    Raises:
        botocore.exceptions.ClientError: the queue cannot be read.
    """
    clock = timing.clock
    settled_at = clock.now() + timing.settling_seconds
    lowest: int | None = None
    fell_at = settled_at
    empty_since: float | None = None
    while True:
        waiting = depth(client, queue_url)
        now = clock.now()
        on_progress(waiting)
        if now >= settled_at and (lowest is None or waiting < lowest):
            lowest, fell_at = waiting, now
        if waiting:
            empty_since = None
            if now - fell_at >= patience + timing.settling_seconds:
                return Drain(waiting)
        else:
            empty_since = now if empty_since is None else empty_since
            if now - empty_since >= timing.settling_seconds:
                return Drain(0, is_empty=True, empty_seconds=now - empty_since)
        clock.sleep(poll_seconds)
