"""One queue of a stage: how full it is, what is sent to it and taken from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from shipment_events.queue.messages import MAX_BATCH_ENTRIES, delete, put_off, send_bodies
from shipment_events.queue.timing import AWS_TIMING, QueueTiming

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages of a queue; the numbers are approximate, and can be a minute old.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html

    Attributes:
        in_flight: received and neither deleted nor visible again.
    """

    visible: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.visible + self.in_flight + self.delayed


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


class Queue:
    """A queue, and when to believe what it says of itself.

    Args:
        client: SQS client.
        timing: of AWS, or that of the local engine.

    Attributes:
        url: of the queue.
    """

    def __init__(self, client: "SQSClient", url: str, timing: QueueTiming = AWS_TIMING) -> None:
        self.url = url
        self.timing = timing
        self._client = client

    def polled_for(self, seconds: int) -> "Queue":
        """The same queue, whose receives wait so long for a message."""
        return Queue(self._client, self.url, replace(self.timing, poll_seconds=seconds))

    def depth(self) -> Depth:
        """About how many messages the queue has.

        Raises:
            botocore.exceptions.ClientError: the queue cannot be read.
        """
        names: list[QueueAttributeNameType] = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        attributes = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return Depth(*(int(attributes.get(name, "0")) for name in names))

    def wait_until_empty(
        self,
        *,
        patience: float = PATIENCE_SECONDS,
        poll_seconds: float = 1.0,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> Drain:
        """Ask for the count until it was 0 for longer than it may be wrong.

        The wait is bounded: it ends where the count, once it may be right, has not fallen below its lowest
        for ``patience`` seconds beyond the time for which it may be wrong, and is not 0 then.

        Args:
            poll_seconds: between two counts.
            on_progress: called with each count.

        Raises:
            botocore.exceptions.ClientError: the queue cannot be read.
        """
        clock, settling = self.timing.clock, self.timing.settling_seconds
        settled_at = clock.now() + settling
        lowest: int | None = None
        fell_at = settled_at
        empty_since: float | None = None
        while True:
            waiting = self.depth().total
            now = clock.now()
            on_progress(waiting)
            if now >= settled_at and (lowest is None or waiting < lowest):
                lowest, fell_at = waiting, now
            if waiting:
                empty_since = None
                if now - fell_at >= patience + settling:
                    return Drain(waiting)
            else:
                empty_since = now if empty_since is None else empty_since
                if now - empty_since >= settling:
                    return Drain(0, is_empty=True, empty_seconds=now - empty_since)
            clock.sleep(poll_seconds)

    def receive(self, *, hold_seconds: int) -> "list[MessageTypeDef]":
        """At most 10 visible messages with all their attributes, hidden from others for ``hold_seconds``.

        It waits for a message where none is visible: a receive that does not wait asks a part of the servers
        only.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html

        Raises:
            botocore.exceptions.ClientError: the queue cannot be read.
        """
        return self._client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=MAX_BATCH_ENTRIES,
            VisibilityTimeout=hold_seconds,
            WaitTimeSeconds=self.timing.poll_seconds,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])

    def hide(self, handles: Sequence[str], seconds: int) -> None:
        """Hide received messages for so long from now, 0 to show them; what fails comes back by itself."""
        for start in range(0, len(handles), MAX_BATCH_ENTRIES):
            some = handles[start : start + MAX_BATCH_ENTRIES]
            put_off(self._client, self.url, [(handle, seconds) for handle in some])

    def delete(self, handles: Sequence[str]) -> dict[int, str]:
        """Delete at most 10 messages by their receipt handles.

        Returns:
            Why, for the index of each message that may still be there.
        """
        return delete(self._client, self.url, handles) if handles else {}

    def send(self, bodies: Sequence[str]) -> dict[int, str]:
        """Send messages without attributes in as few requests as the limits allow.

        Returns:
            Why, for the index of each message that may not be in the queue.
        """
        return send_bodies(self._client, self.url, bodies)
