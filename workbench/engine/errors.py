"""What the local engine's commands report instead of a traceback."""

from shipment_events.errors import ShipmentEventsError


class LocalEngineError(ShipmentEventsError):
    """Something about the local engine that its user can put right."""
