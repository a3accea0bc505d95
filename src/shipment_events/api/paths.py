"""The paths of the API. The infrastructure needs them, and nothing else of the routes."""

from collections.abc import Mapping
from typing import Final

PATHS: Final[Mapping[str, str]] = {
    "getShipment": "/shipments/{id}",
    "findShipments": "/shipments",
    "getShipmentEvents": "/shipments/{id}/events",
    "findEvents": "/events",
}
"""Path of each operation."""


def route_key(path: str) -> str:
    """API Gateway's key of the route of a path."""
    return f"GET {path}"
