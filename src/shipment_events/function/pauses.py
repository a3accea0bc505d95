"""The pauses between the attempts of a request."""

import random
from collections.abc import Iterator
from typing import Final

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0


def pauses() -> Iterator[float]:
    """Seconds between attempts. Jitter keeps throttled functions from retrying together.

    The upper bound doubles from ``FIRST_PAUSE`` to ``LONGEST_PAUSE``.
    """
    bound = FIRST_PAUSE
    while True:
        yield random.uniform(bound / 2, bound)  # noqa: S311 - jitter
        bound = min(bound * 2, LONGEST_PAUSE)
