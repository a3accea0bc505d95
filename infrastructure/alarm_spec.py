"""What one row of the alarm table holds."""

from dataclasses import dataclass
from enum import StrEnum

from aws_cdk import aws_cloudwatch as cloudwatch


class Urgency(StrEnum):
    """How soon a person has to look; each has a topic of its own."""

    PAGE = "page"
    """Now: events are failing, or may be gone."""
    WARNING = "warning"
    """In working hours: nothing is lost, something is not as it should be."""


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One row of the alarm table."""

    name: str
    of_version: str | None = None
    """Version of the processor that it is about, if it is one; the alarm's name ends with its number."""
    urgency: Urgency
    metric: cloudwatch.IMetric
    threshold: float
    above: bool = False
    """Whether the threshold itself is still good; otherwise reaching it is bad."""
    periods: int = 1
    """Periods at fault before anybody is told (count)."""
    within_periods: int | None = None
    """Of how many periods they may be any (count); consecutive ones if absent."""
    silence_is_bad: bool = False
    """Whether to fall below the threshold is bad, and no value at all is too."""
    tells_end: bool = True
    """Whether the end is told too; not where it is no all-clear."""
    meaning: str
    """What has happened."""
    look_at: str
    """Where to start."""

    @property
    def comparison(self) -> cloudwatch.ComparisonOperator:
        """How a bad value compares with the threshold."""
        if self.silence_is_bad:
            return cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
        if self.above:
            return cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
        return cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
