"""Error of the local engine's commands."""

from shipment_events.errors import ShipmentEventsError


class LocalEngineError(ShipmentEventsError):
    """A problem of the local engine that its user can solve."""
