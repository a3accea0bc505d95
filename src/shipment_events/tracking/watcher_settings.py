"""The environment variables of the watcher's function as a typed model."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class WatcherSettings:
    """The settings that the stack gives the function.

    Attributes:
        environment: name of the stage.
        retention: how long the table of events keeps an event.
        stalled_after_hours: time without news after which a shipment is stalled.
    """

    environment: str
    shipments_table_name: str
    status_bus_name: str
    retention: timedelta
    stalled_after_hours: int

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "WatcherSettings":
        """Read the variables.

        Raises:
            KeyError: a variable is missing. Its name is the message.
            ValueError: a number is invalid.
        """
        return cls(
            environment=variables["ENVIRONMENT"],
            shipments_table_name=variables["SHIPMENTS_TABLE_NAME"],
            status_bus_name=variables["STATUS_BUS_NAME"],
            retention=timedelta(days=int(variables["EVENT_RETENTION_DAYS"])),
            stalled_after_hours=int(variables["STALLED_AFTER_HOURS"]),
        )

    def variables(self) -> dict[str, str]:
        """The variables that :meth:`from_environment` reads."""
        return {
            "ENVIRONMENT": self.environment,
            "SHIPMENTS_TABLE_NAME": self.shipments_table_name,
            "STATUS_BUS_NAME": self.status_bus_name,
            "EVENT_RETENTION_DAYS": str(self.retention.days),
            "STALLED_AFTER_HOURS": str(self.stalled_after_hours),
        }
