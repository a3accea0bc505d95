"""Medians, ratios of medians and their confidence intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Final

_RESAMPLES: Final = 2000
_OUTSIDE: Final = 0.025


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median of one thing divided by the median of another.

    Attributes:
        low: lower end of the 95 % interval, by bootstrap.
        high: its upper end.
    """

    value: float
    low: float
    high: float


def ratio_of_medians(ours: Sequence[float], other: Sequence[float], *, seed: int = 1) -> Ratio:
    """Ratio of ours to the other, both measured in the same rounds.

    The interval resamples whole rounds, so what disturbed both at the same time does not widen it.

    Raises:
        ValueError: the two do not have the same number of rounds, or have none.
    """
    if len(ours) != len(other) or not ours:
        raise ValueError(f"expected rounds of both, got {len(ours)} and {len(other)}")
    rounds = len(ours)
    random = Random(seed)  # noqa: S311 - resampling
    resampled = []
    for _ in range(_RESAMPLES):
        chosen = random.choices(range(rounds), k=rounds)
        resampled.append(median(ours[i] for i in chosen) / median(other[i] for i in chosen))
    resampled.sort()
    outside = int(_RESAMPLES * _OUTSIDE)
    return Ratio(median(ours) / median(other), resampled[outside], resampled[-1 - outside])


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Lower and upper quartile, by the nearest value."""
    ordered = sorted(values)
    return ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
