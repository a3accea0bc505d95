"""The state of a shipment as its readers see it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from shipment_events.tracking.item import UnreadableStateError

LATEST_EVENT: Final = ("event_id", "event_type", "location", "description", "reason_code")
"""Fields in the copy of the latest event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """Where a shipment is. A value that is unknown, or too long to be copied into a state, is None.

    A moment is a text in UTC with microseconds, such as ``2025-03-01T13:05:00.000000Z``. It has a fixed
    width, so text order is time order, and ``datetime.fromisoformat`` reads it.

    Attributes:
        status: one of :data:`~shipment_events.tracking.vocabulary.STATUSES`.
        status_at: moment of the event that gave the status.
        latest_at: moment of the latest event that is news.
        latest_event: copy of fields of this event: ``LATEST_EVENT``. Numbers are ``Decimal``.
        first_at: moment of the first event that is news.
        carrier: who moves the shipment.
        tracking_number: the carrier's number.
        estimated_delivery: when delivery is expected.
        delivered_at: moment of the delivery, while the shipment is delivered.
    """

    shipment_id: str
    status: str | None = None
    status_at: str | None = None
    latest_at: str | None = None
    latest_event: Mapping[str, Any] | None = None
    first_at: str | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    estimated_delivery: str | None = None
    delivered_at: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The shipment of an item, given as the values of its attributes.

        Raises:
            UnreadableStateError: the tracker did not write this item.
        """
        found = {one.name: values[one.name] for one in fields(cls) if one.name in values}
        for name, value in found.items():
            expected = Mapping if name == "latest_event" else str
            if not isinstance(value, expected):
                raise UnreadableStateError(f"{name}: expected the state of a shipment, got {value!r:.100}")
        if "shipment_id" not in found:
            raise UnreadableStateError("expected the state of a shipment, got an item without shipment_id")
        return cls(**found)

    @property
    def as_json(self) -> dict[str, Any]:
        """All attributes by their names in the contract; null where a value is unknown."""
        latest = self.latest_event
        return {
            **{one.name: getattr(self, one.name) for one in fields(self)},
            "latest_event": {name: latest.get(name) for name in LATEST_EVENT} if latest else None,
        }
