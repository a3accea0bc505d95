"""How long a queue has to be asked until its answers can be relied on: on AWS, and on the local engine.

What AWS documents of a standard queue:

* Its counts "may not achieve consistency until at least 1 minute after the producers stop sending messages":
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
* A queue is empty when all three counts were 0 for several minutes; a long poll tells it in most cases, and
  is empty by mistake in rare ones, especially where it waits for a short time only:
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/confirm-queue-is-empty.html
* A short poll (one that does not wait) asks a part of the servers, a long poll asks all:
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from; a test gives one that it can move.

    Attributes:
        now: seconds since any moment; never goes back.
        sleep: waits so many seconds.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class QueueTiming:
    """When to believe a queue.

    Attributes:
        poll_seconds: for which a receive waits for a message; more than 0, so a long poll.
        empty_polls: so many empty ones in a row mean that no message is visible.
        settling_seconds: a count may be wrong for so long after the last change.
    """

    poll_seconds: int
    empty_polls: int
    settling_seconds: float
    clock: Clock = field(default_factory=Clock)


AWS_TIMING: Final = QueueTiming(poll_seconds=3, empty_polls=3, settling_seconds=90)
"""Half a minute more than AWS's "at least 1 minute"; and three long polls, as a person waits for a walk."""
EXACT_TIMING: Final = QueueTiming(poll_seconds=1, empty_polls=1, settling_seconds=0.5)
"""Of a queue in one process, as on the local engine: its counts and its polls are exact."""
