"""The events of one shipment's journey, as its carrier reports them."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final, TypeAlias

from shipment_events.contract.names import EVENT_TYPE_PREFIX
from shipment_events.contract.outcome import Outcome
from workbench.feed.carriers import CARRIERS, Carrier, Place
from workbench.feed.spelling import pick, respelt

VALID_KINDS: Final[Mapping[str, Outcome]] = {
    "new": Outcome.STORED,
    "late": Outcome.STORED,
    "same_second": Outcome.STORED,
    "repeat": Outcome.DUPLICATE,
    "repeat_respelt": Outcome.DUPLICATE,
    "repeat_other_offset": Outcome.DUPLICATE,
    "enriched_repeat": Outcome.CONFLICT,
    "enriched_without_id": Outcome.STORED,
}
"""The outcome of each kind of valid line, if lines are processed in the order of the feed."""

Line: TypeAlias = tuple[int, str, str]
"""Arrival in microseconds since 1970, kind and text of a line."""

_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the offset of a local time is written separately
_USUAL_ENDING: Final = 0.8
_OTHER_OFFSETS: Final = ("+00:00", "+01:00", "-05:00", "+05:30", "+09:00")
_STATUS: Final[Mapping[str, str]] = {
    "picked_up": "PICKED_UP",
    "exception": "EXCEPTION",
    "customs_held": "EXCEPTION",
    "out_for_delivery": "OUT_FOR_DELIVERY",
    "delivery_failed": "EXCEPTION",
    "delivered": "DELIVERED",
    "returned": "RETURNED",
}


@dataclass(frozen=True, slots=True)
class Chances:
    """How often things happen for each event of a journey.

    Attributes:
        late: chance that the event arrives half an hour to three days late.
        same_second: mean number of further events in the same second.
        repeats: mean number of repeats of each event, including the further events.
        enriched: mean number of enriched repeats of each event, including the further events.
    """

    late: float
    same_second: float
    repeats: float
    enriched: float


def journey(serial: int, start: int, chances: Chances, rng: Random) -> Iterator[Line]:
    """Yield all lines of one shipment. They are not in the order of arrival.

    Args:
        serial: number of the shipment.
        start: when the shipment begins, in microseconds since 1970. No line arrives earlier.
    """
    carrier = pick(rng, CARRIERS)
    reporter = _Reporter(carrier, serial, chances, rng)
    places = {where: pick(rng, carrier.places) for where in ("origin", "hub", "destination")}
    ending = carrier.endings[0] if rng.random() < _USUAL_ENDING else pick(rng, carrier.endings)
    moment = start
    for step in carrier.way + ending:
        if step.chance < 1 and rng.random() >= step.chance:
            continue
        # Two steps are at least two minutes apart, so a clock without seconds gives them different times.
        moment += (2 + step.after[0]) * _MINUTE + _up_to(rng, (step.after[1] - step.after[0]) * _MINUTE)
        place = places[step.where]
        lag = 0
        kind = "new"
        if rng.random() < chances.late:
            kind = "late"
            lag = 30 * _MINUTE + _up_to(rng, 3 * _DAY)
        yield from reporter.lines(step.event, moment, place, kind=kind, lag=lag)
        for _ in range(_times(rng, chances.same_second)):
            again = moment - moment % _SECOND + _up_to(rng, _SECOND)
            yield from reporter.lines(step.event, again, place, kind="same_second", lag=_SECOND)


class _Reporter:
    """Writes the events of one shipment as its carrier does.

    Events are built from JSON text. Shared parts are therefore encoded only once, and numbers keep all their
    digits.
    """

    def __init__(self, carrier: Carrier, serial: int, chances: Chances, rng: Random) -> None:
        self._carrier = carrier
        self._chances = chances
        self._rng = rng
        self._tracking_number = carrier.tracking_number(serial)
        self._shipment = carrier.members(
            {
                "shipment_id": f'"{carrier.shipment_prefix}-{serial:09d}"',
                "carrier": carrier.encode(carrier.name),
                "tracking_number": f'"{self._tracking_number}"',
            }
        )
        self._extra = carrier.members(_extra(carrier, serial, _up_to(rng, 100_000)))
        self._time_name = carrier.members({"event_timestamp": ""})
        self._scans = 0
        self._timespec = {1: "microseconds", 1_000: "milliseconds"}.get(carrier.resolution, "seconds")

    def lines(self, name: str, moment: int, place: Place, *, kind: str, lag: int) -> Iterator[Line]:
        """Yield the line of one event and the lines of its repeats."""
        rng = self._rng
        carrier = self._carrier
        arrival = moment + lag + _SECOND // 5 + _up_to(rng, 8 * _SECOND)
        moment -= moment % carrier.resolution
        # Two pieces of a shipment may be scanned in the same second. Their events differ only in the scan's
        # number.
        self._scans += 1
        event_id = self._event_id(name)
        reasons = carrier.reasons.get(name)
        what = _what(carrier, name, pick(rng, reasons) if reasons else None)
        fields = {"scan": str(self._scans)}
        if event_id:
            fields["event_id"] = event_id
        before = f"{{{self._shipment[1:]}{what}{self._time_name}"
        after = f"{_where(carrier, place)}{carrier.members(fields)}{self._extra}"
        text = f"{before}{self._timestamp(moment, place.offset if carrier.local_time else 'Z')}{after}}}"
        yield arrival, kind, text
        for _ in range(_times(rng, self._chances.repeats)):
            again = arrival + _SECOND + _up_to(rng, 2 * _HOUR)
            draw = rng.random()
            if draw < 0.6:
                yield again, "repeat", text
            elif draw < 0.9:
                yield again, "repeat_respelt", respelt(text, rng)
            else:
                offset = pick(rng, [other for other in _OTHER_OFFSETS if other != place.offset])
                yield again, "repeat_other_offset", f"{before}{self._timestamp(moment, offset)}{after}}}"
        # The revision differs, so no enriched repeat is an exact repeat of another.
        for revision in range(2, 2 + _times(rng, self._chances.enriched)):
            signature = carrier.encode(pick(rng, ("Ł. Żak", "M. Müller", "佐藤", "N. O'Neill")))
            more = carrier.members({"revision": str(revision), "signed_by": signature})
            again = arrival + _MINUTE + _up_to(rng, _DAY)
            has_id = event_id not in {None, "null"}
            yield again, "enriched_repeat" if has_id else "enriched_without_id", f"{text[:-1]}{more}}}"

    def _event_id(self, name: str) -> str | None:
        match self._carrier.event_ids:
            case "none":
                return None
            case "leg":
                return f'"{self._tracking_number}/{self._scans}/{self._carrier.codes[name][0]}"'
            case "sequence":
                return f'"{self._scans}"'
            case "sometimes" if self._rng.random() < 0.5:
                return "null"
        return f'"{_uuid(self._rng)}"'

    def _timestamp(self, moment: int, offset: str) -> str:
        local = _EPOCH + timedelta(microseconds=moment + _microseconds(offset))
        return f'"{local.isoformat(timespec=self._timespec)}{offset}"'


@functools.cache
def _what(carrier: Carrier, name: str, reason: tuple[str, str] | None) -> str:
    code, words = carrier.codes[name]
    fields = {
        "event_type": f'"{EVENT_TYPE_PREFIX}{name}"',
        "carrier_code": f'"{code}"',
        "status": f'"{_STATUS.get(name, "IN_TRANSIT")}"',
    }
    if reason:
        code, words = reason
        fields["reason_code"] = f'"{code}"'
    return carrier.members({**fields, "description": carrier.encode(words)})


@functools.cache
def _where(carrier: Carrier, place: Place) -> str:
    location: dict[str, object] = {"code": place.code, "city": place.city, "country": place.country}
    if carrier.extra == "nested":
        location["coordinates"] = {"latitude": place.latitude, "longitude": place.longitude}
    return carrier.members({"location": carrier.encode(location)})


def _extra(carrier: Carrier, serial: int, draw: int) -> Mapping[str, str]:
    """Further fields of a shipment, made from a number below 100,000."""
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


@functools.cache
def _microseconds(offset: str) -> int:
    if offset == "Z":
        return 0
    size = (int(offset[1:3]) * 60 + int(offset[4:])) * _MINUTE
    return -size if offset[0] == "-" else size


def _uuid(rng: Random) -> str:
    digits = (
        f"{int(rng.random() * 2**48):012x}{int(rng.random() * 2**48):012x}{int(rng.random() * 2**32):08x}"
    )
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _times(rng: Random, mean: float) -> int:
    return int(mean + rng.random())


def _up_to(rng: Random, limit: int) -> int:
    return int(rng.random() * limit)
