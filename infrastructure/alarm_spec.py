"""One row of the alarm table."""

from dataclasses import dataclass
from enum import StrEnum

from aws_cdk import aws_cloudwatch as cloudwatch


class Urgency(StrEnum):
    """How soon a person has to look. Each urgency has its own topic."""

    PAGE = "page"
    """Now: events fail, or may be lost."""
    WARNING = "warning"
    """In working hours: something is wrong, but no event is lost."""


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One row of the alarm table."""

    name: str
    of_version: str | None = None
    """Version of the processor that the alarm watches, if it watches one. The alarm's name ends with it."""
    urgency: Urgency
    metric: cloudwatch.IMetric
    threshold: float
    above: bool = False
    """Whether only a value above the threshold is bad. Otherwise the threshold itself is bad too."""
    periods: int = 1
    """Number of bad periods that set the alarm off."""
    within_periods: int | None = None
    """Number of last periods among which the bad ones count. If None, they have to be consecutive."""
    silence_is_bad: bool = False
    """Whether a value below the threshold is bad, and a missing value too."""
    tells_end: bool = True
    """Whether the alarm also notifies when it ends. False if its end does not mean that all is well."""
    meaning: str
    """What has happened, in sentences."""
    look_at: str
    """Where the reader should start; it follows the words 'Look at:'."""

    @property
    def comparison(self) -> cloudwatch.ComparisonOperator:
        """How a bad value compares with the threshold."""
        if self.silence_is_bad:
            return cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
        if self.above:
            return cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
        return cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
