"""The function's environment variables as a typed model."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

# 1 s and 3 s of 360: all times of a batch follow the visibility timeout.
CONNECT_SHARE: Final = 1 / 360
READ_SHARE: Final = 1 / 120


@dataclass(frozen=True, slots=True)
class ProcessorSettings:
    """The settings that the stack gives to the function.

    Attributes:
        environment: suffix of the stage, a dimension of every metric.
        visibility_timeout: seconds for which the queue hides a received message.
        retention: how long an event stays in the table.
        status_index_shards: index partitions of each status; None if the index is not sharded.
    """

    environment: str
    table_name: str
    queue_url: str
    dead_letter_queue_url: str
    visibility_timeout: int
    retention: timedelta
    status_index_shards: int | None = None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "ProcessorSettings":
        """Read the variables.

        Raises:
            KeyError: a variable is missing; the message is its name.
            ValueError: a number is invalid.
        """
        shards = variables.get("STATUS_INDEX_SHARDS")
        return cls(
            environment=variables["ENVIRONMENT"],
            table_name=variables["EVENTS_TABLE_NAME"],
            queue_url=variables["QUEUE_URL"],
            dead_letter_queue_url=variables["DEAD_LETTER_QUEUE_URL"],
            visibility_timeout=int(variables["VISIBILITY_TIMEOUT_SECONDS"]),
            retention=timedelta(days=int(variables["EVENT_RETENTION_DAYS"])),
            status_index_shards=int(shards) if shards else None,
        )

    def variables(self) -> dict[str, str]:
        """The variables that :meth:`from_environment` reads."""
        shards = self.status_index_shards
        return {
            "ENVIRONMENT": self.environment,
            "EVENTS_TABLE_NAME": self.table_name,
            "QUEUE_URL": self.queue_url,
            "DEAD_LETTER_QUEUE_URL": self.dead_letter_queue_url,
            "VISIBILITY_TIMEOUT_SECONDS": str(self.visibility_timeout),
            "EVENT_RETENTION_DAYS": str(self.retention.days),
            **({} if shards is None else {"STATUS_INDEX_SHARDS": str(shards)}),
        }
