"""How long the counts and polls of a queue can be wrong, on AWS and on the local engine.

AWS documents for a standard queue:

* Its counts "may not achieve consistency until at least 1 minute after the producers stop sending messages":
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
* A queue is empty when all three counts were 0 for several minutes. An empty long poll usually means an empty
  queue. In rare cases it does not, especially if the wait time is short:
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/confirm-queue-is-empty.html
* A short poll queries a subset of the servers, a long poll queries all:
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class Clock:
    """The source of time. A test replaces it.

    Attributes:
        now: monotonic time in seconds.
        sleep: waits for a number of seconds.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class QueueTiming:
    """How reliable the counts and polls of a queue are.

    Attributes:
        poll_seconds: wait time of a receive; more than 0, which makes it a long poll.
        empty_polls: number of consecutive empty polls after which no message is visible.
        settling_seconds: how long a count can be out of date after the last change.
        delivery_seconds: how long EventBridge tries to deliver an event that it accepted to the queue. It is
            a setting of the stage. The local engine delivers once, so 0.
    """

    poll_seconds: int
    empty_polls: int
    settling_seconds: float
    delivery_seconds: float = 0.0
    clock: Clock = field(default_factory=Clock)

    def with_delivery(self, seconds: float) -> Self:
        """This timing, if EventBridge tries to deliver for so long. The local engine delivers once."""
        return self if self == EXACT_TIMING else replace(self, delivery_seconds=seconds)


AWS_TIMING: Final = QueueTiming(poll_seconds=3, empty_polls=3, settling_seconds=90)
"""90 s are half a minute more than AWS's "at least 1 minute". The polls are short, because a person waits."""
EXACT_TIMING: Final = QueueTiming(poll_seconds=1, empty_polls=1, settling_seconds=0.5)
"""The local engine's queues are in one process, so their counts and polls are exact."""
