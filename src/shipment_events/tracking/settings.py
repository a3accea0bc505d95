"""The function's environment variables as a typed model."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """The settings that the stack gives the function.

    Attributes:
        environment: name of the stage.
        retention: how long the table of events keeps an event.
    """

    environment: str
    events_table_name: str
    shipments_table_name: str
    status_bus_name: str
    failures_queue_url: str
    retention: timedelta

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "TrackerSettings":
        """Read the variables.

        Raises:
            KeyError: a variable is missing. Its name is the message.
            ValueError: the retention is not a number.
        """
        return cls(
            environment=variables["ENVIRONMENT"],
            events_table_name=variables["EVENTS_TABLE_NAME"],
            shipments_table_name=variables["SHIPMENTS_TABLE_NAME"],
            status_bus_name=variables["STATUS_BUS_NAME"],
            failures_queue_url=variables["FAILURES_QUEUE_URL"],
            retention=timedelta(days=int(variables["EVENT_RETENTION_DAYS"])),
        )

    def variables(self) -> dict[str, str]:
        """The variables that :meth:`from_environment` reads."""
        return {
            "ENVIRONMENT": self.environment,
            "EVENTS_TABLE_NAME": self.events_table_name,
            "SHIPMENTS_TABLE_NAME": self.shipments_table_name,
            "STATUS_BUS_NAME": self.status_bus_name,
            "FAILURES_QUEUE_URL": self.failures_queue_url,
            "EVENT_RETENTION_DAYS": str(self.retention.days),
        }
