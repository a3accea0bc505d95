"""Random numbers that are the same on every machine and every version of Python."""

from collections.abc import Sequence
from random import Random
from typing import Final, TypeVar

_Item = TypeVar("_Item")

_SEPARATOR: Final = "/"


def random_of(*parts: int | str) -> Random:
    """A generator of its own for a part of the feed, so that no part changes the random numbers of another.

    Python keeps the way in which a text seeds a generator: https://docs.python.org/3/library/random.html
    """
    return Random(_SEPARATOR.join(map(str, parts)))  # noqa: S311 - a feed must be predictable


def pick(rng: Random, items: Sequence[_Item]) -> _Item:
    """Pick one of the items at random.

    Python guarantees the same sequence for the same seed only for ``random()``. The feed therefore does not
    use ``choice`` and other methods, which changed between versions.
    """
    return items[int(rng.random() * len(items))]


def up_to(rng: Random, limit: int) -> int:
    """A whole number from 0 to below the limit."""
    return int(rng.random() * limit)
