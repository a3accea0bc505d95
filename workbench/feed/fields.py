"""Groups of an event's fields as JSON, in its carrier's words."""

import functools
from collections.abc import Mapping
from typing import Final

from shipment_events.contract.names import EVENT_TYPE_PREFIX
from workbench.feed.carrier import Carrier, Place

_STATUS: Final[Mapping[str, str]] = {
    "manifested": "PRE_TRANSIT",
    "picked_up": "PICKED_UP",
    "exception": "EXCEPTION",
    "customs_held": "EXCEPTION",
    "out_for_delivery": "OUT_FOR_DELIVERY",
    "delivery_failed": "EXCEPTION",
    "delivered": "DELIVERED",
    "returned": "RETURNED",
}


@functools.cache
def report_of(carrier: Carrier, name: str, reason: tuple[str, str] | None, status: str) -> str:
    """What happened, as JSON members that begin with a comma.

    Args:
        name: the event type without its prefix.
        reason: code and words, where the event needs an explanation.
        status: the carrier's word for the status; empty for the usual word.
    """
    code, words = carrier.codes[name]
    fields = {
        "event_type": f'"{EVENT_TYPE_PREFIX}{name}"',
        "carrier_code": f'"{code}"',
        "status": f'"{status or _STATUS.get(name, "IN_TRANSIT")}"',
    }
    if reason:
        code, words = reason
        fields["reason_code"] = f'"{code}"'
    return carrier.members({**fields, "description": carrier.encode(words)})


@functools.cache
def location_of(carrier: Carrier, place: Place) -> str:
    """Where it happened, as a JSON member that begins with a comma."""
    location: dict[str, object] = {"code": place.code, "city": place.city, "country": place.country}
    if carrier.extra == "nested":
        location["coordinates"] = {"latitude": place.latitude, "longitude": place.longitude}
    return carrier.members({"location": carrier.encode(location)})


def extra_fields(carrier: Carrier, serial: int, draw: int) -> Mapping[str, str]:
    """Names and JSON of further fields of a shipment, made from a number below 100,000."""
    match carrier.extra:
        case "numbers":
            return {
                "weight_kg": f"{draw // 100}.{draw // 10 % 10}0",
                "volume_m3": f"{draw}E-4",
                "customs_value": f"{draw}.125000",
                "freight_bill": str(2**53 + 1 + 2 * serial),
                "barcode": f'"4205202792001{serial:013d}00000123456"',
            }
        case "nested":
            cash = f'{{"code":"COD","amount":{{"value":{draw}.50,"currency":"EUR"}}}}'
            services = f'[{{"code":"SIG","paid":true}},{cash}]'
            return {
                "details": f'{{"product":"Express","services":{services},"pallet":null}}',
                "dimensions_cm": f"[{draw % 90 + 1},{draw % 50 + 1},12.5]",
            }
        case "counts":
            return {"pieces": str(draw % 40 + 1), "planned_minutes": str(draw % 6_000)}
    return {}
