"""When to try again: within the invocation, and through the queue."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The waits between the three receives of a message.

    A short fault should cost seconds. An outage as long as the visibility timeout should send no valid event
    to the dead-letter queue. Therefore an invocation retries for a while. After the first receive, the
    message waits for a 36th of the visibility timeout (10 s of 360), after the second for the whole timeout.

    Attributes:
        visibility_timeout: of the queue, in seconds.
        budget: seconds of retrying within an invocation.
        reserve: seconds that must be left before the function's timeout to start another attempt. They
            suffice for the attempt, the quarantine and the visibility change, each until its client's
            timeout.
    """

    visibility_timeout: int
    budget: float = 10.0
    reserve: float = 38.0

    @classmethod
    def within(cls, visibility_timeout: int) -> Self:
        """Policy for a queue: budget and reserve in the ratio of 10 and 38 to 360 to its visibility timeout.

        In that ratio an outage as long as the visibility timeout does not use up the receives.
        """
        return cls(
            visibility_timeout, budget=visibility_timeout * 10 / 360, reserve=visibility_timeout * 38 / 360
        )

    def wait_in_queue(
        self, receive_count: int, jitter: Callable[[float, float], float] = random.uniform
    ) -> int:
        """Seconds for which a failed message stays hidden after this receive, with jitter."""
        if receive_count > 1:
            return self.visibility_timeout
        wait = self.visibility_timeout / 36
        return max(1, round(jitter(wait / 2, wait * 3 / 2)))
