"""The five ways in which the processor can settle an event it received."""

from enum import StrEnum


class Outcome(StrEnum):
    """Exactly one of these holds for each event of a batch; each is counted by a metric of its own."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"
    RETRIED = "retried"

    @property
    def metric(self) -> str:
        """Name of the CloudWatch metric that counts this outcome."""
        return self.value.capitalize()
