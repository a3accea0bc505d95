"""The function's environment variables as a typed model."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The settings that the stack gives the function. ``environment`` is the name of the stage."""

    environment: str
    events_table_name: str
    shipments_table_name: str

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "ApiSettings":
        """Read the variables.

        Raises:
            KeyError: a variable is missing. Its name is the message.
        """
        return cls(
            environment=variables["ENVIRONMENT"],
            events_table_name=variables["EVENTS_TABLE_NAME"],
            shipments_table_name=variables["SHIPMENTS_TABLE_NAME"],
        )

    def variables(self) -> dict[str, str]:
        """The variables that :meth:`from_environment` reads."""
        return {
            "ENVIRONMENT": self.environment,
            "EVENTS_TABLE_NAME": self.events_table_name,
            "SHIPMENTS_TABLE_NAME": self.shipments_table_name,
        }
