"""The events of one shipment's journey, as its carrier reports them."""

import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Final, TypeAlias

from shipment_events.contract.outcome import Outcome
from workbench.feed.carrier import Carrier
from workbench.feed.carriers import CARRIERS
from workbench.feed.fields import extra_fields, location_of, report_of
from workbench.feed.randomness import pick, random_of, up_to
from workbench.feed.spelling import respelt
from workbench.feed.steps import DAY, HOUR, MINUTE, SECOND, Step
from workbench.feed.unusual import REUSED_NUMBER, UNUSUAL_KINDS, unusual_scene, unusual_steps

VALID_KINDS: Final[Mapping[str, Outcome]] = {
    "new": Outcome.STORED,
    "late": Outcome.STORED,
    "same_second": Outcome.STORED,
    "repeat": Outcome.DUPLICATE,
    "repeat_respelt": Outcome.DUPLICATE,
    "repeat_other_offset": Outcome.DUPLICATE,
    "enriched_repeat": Outcome.CONFLICT,
    "enriched_without_id": Outcome.STORED,
    **dict.fromkeys(UNUSUAL_KINDS, Outcome.STORED),
}
"""The outcome of each kind of valid line, if lines are processed in the order of the feed."""

Line: TypeAlias = tuple[int, str, str]
"""Arrival in microseconds since 1970, kind and text of a line."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the offset of a local time is written separately
_USUAL_ENDING: Final = 0.8
_PROMISE: Final = 4 * DAY
# Share of the events with which the estimate moves.
_MOVED: Final = 0.2
_LAST: Final = frozenset({"notified", "delivered", "returned"})
_OTHER_OFFSETS: Final = ("+00:00", "+01:00", "-05:00", "+05:30", "+09:00")


@dataclass(frozen=True, slots=True)
class Chances:
    """How often things happen for each event of a journey.

    Attributes:
        late: chance that the event arrives half an hour to three days late.
        same_second: mean number of further events in the same second.
        repeats: mean number of repeats of each event, including the further events.
        enriched: mean number of enriched repeats of each event, including the further events.
        unusual: chance that something unusual happens to the shipment.
    """

    late: float
    same_second: float
    repeats: float
    enriched: float
    unusual: float


def journey(seed: int, serial: int, start: int, chances: Chances) -> Iterator[Line]:
    """Yield all lines of one shipment. They are not in the order of arrival.

    Each line has random numbers of its own, so what is drawn for one line does not change another.

    Args:
        serial: number of the shipment.
        start: when the shipment begins, in microseconds since 1970. No line arrives earlier.
    """
    rng = random_of(seed, serial)
    carrier = pick(rng, CARRIERS)
    extra = extra_fields(carrier, serial, up_to(rng, 100_000))
    scene = unusual_scene(rng, carrier, chances.unusual)
    number_of = _namesake(seed, serial, carrier) if scene == REUSED_NUMBER else serial
    shipment = _Shipment((seed, serial), carrier, carrier.tracking_number(number_of), extra, start)
    reporter = _Reporter(shipment, chances)
    steps = list(_steps(carrier, start, random_of(seed, serial, "way")))
    for step in steps:
        yield from reporter.lines(step)
    for step in unusual_steps(random_of(seed, serial, "scene"), scene, steps):
        yield from reporter.lines(step)


def _steps(carrier: Carrier, start: int, rng: Random) -> Iterator[Step]:
    """Yield what happens to a shipment, in the order in which it happens."""
    places = {where: pick(rng, carrier.places) for where in ("origin", "hub", "destination")}
    ending = carrier.endings[0] if rng.random() < _USUAL_ENDING else pick(rng, carrier.endings)
    moment = start
    for milestone in carrier.way + ending:
        if milestone.chance < 1 and rng.random() >= milestone.chance:
            continue
        # Two steps are at least two minutes apart, so a clock without seconds gives them different times.
        shortest, longest = milestone.after
        moment += (2 + shortest) * MINUTE + up_to(rng, (longest - shortest) * MINUTE)
        yield Step(milestone.event, moment, places[milestone.where])


def _namesake(seed: int, serial: int, carrier: Carrier) -> int:
    """Serial of the carrier's shipment before this one."""
    while True:
        serial -= 1
        if pick(random_of(seed, serial), CARRIERS) is carrier:
            return serial


@dataclass(frozen=True, slots=True)
class _Shipment:
    """What all events of a shipment have in common.

    Attributes:
        key: seed and serial number.
        extra: JSON of further fields.
        start: when it begins, in microseconds since 1970.
    """

    key: tuple[int, int]
    carrier: Carrier
    tracking_number: str
    extra: Mapping[str, str]
    start: int


class _Reporter:
    """Writes the events of one shipment as its carrier does.

    Events are built from JSON text. Shared parts are therefore encoded only once, and numbers keep all their
    digits.
    """

    def __init__(self, shipment: _Shipment, chances: Chances) -> None:
        self._carrier = carrier = shipment.carrier
        self._key = shipment.key
        self._chances = chances
        self._tracking_number = shipment.tracking_number
        self._shipment = carrier.members(
            {
                "shipment_id": f'"{carrier.shipment_prefix}-{shipment.key[1]:09d}"',
                "carrier": carrier.encode(carrier.name),
                "tracking_number": f'"{shipment.tracking_number}"',
            }
        )
        self._extra = carrier.members(shipment.extra)
        self._time_name = carrier.members({"event_timestamp": ""})
        self._estimate = shipment.start - shipment.start % HOUR + _PROMISE
        self._scans = 0
        self._timespec = {1: "microseconds", 1_000: "milliseconds"}.get(carrier.resolution, "seconds")

    def lines(self, step: Step) -> Iterator[Line]:
        """Yield the lines of a step: its event, others of the same second, and repeats."""
        rng = random_of(*self._key, step.scan or self._scans + 1, step.kind)
        yield from self._event(rng, step)
        if step.kind != "new":
            return
        for number in range(_times(rng, self._chances.same_second)):
            own = random_of(*self._key, self._scans, "same second", number)
            again = step.moment - step.moment % SECOND + up_to(own, SECOND)
            yield from self._event(own, replace(step, moment=again, kind="same_second", lag=SECOND))

    def _event(self, rng: Random, step: Step) -> Iterator[Line]:
        carrier, kind, lag = self._carrier, step.kind, step.lag
        if kind == "new" and rng.random() < self._chances.late:
            kind, lag = "late", 30 * MINUTE + up_to(rng, 3 * DAY)
        arrival = step.moment + lag + SECOND // 5 + up_to(rng, 8 * SECOND)
        moment = step.dated or step.moment
        moment -= moment % carrier.resolution
        # Two pieces of a shipment may be scanned in the same second. Their events differ only in the scan's
        # number.
        if not step.scan:
            self._scans += 1
        scan = step.scan or self._scans
        event_id = self._event_id(step.event, scan)
        fields = {"scan": str(scan)}
        if event_id:
            fields["event_id"] = event_id
        if step.retracts:
            fields["retracts"] = str(self._event_id(*step.retracts))
        reasons = carrier.reasons.get(step.event)
        what = report_of(carrier, step.event, pick(rng, reasons) if reasons else None, step.status)
        offset = step.place.offset if carrier.local_time else "Z"
        before = f"{{{self._shipment[1:]}{what}{self._time_name}"
        after = (
            f"{location_of(carrier, step.place)}{carrier.members(fields | self._expected(rng, step, offset))}"
            f"{self._extra}"
        )
        text = f"{before}{self._timestamp(moment, offset)}{after}}}"
        yield arrival, kind, text
        for delay, repeat, words in self._repeats(rng, text, has_id=event_id not in {None, "null"}):
            if repeat == "repeat_other_offset":
                other = pick(rng, [one for one in _OTHER_OFFSETS if one != step.place.offset])
                yield arrival + delay, repeat, f"{before}{self._timestamp(moment, other)}{after}}}"
            else:
                yield arrival + delay, repeat, words

    def _repeats(self, rng: Random, text: str, *, has_id: bool) -> Iterator[Line]:
        """Yield delay, kind and text of the repeats of an event. The caller writes another offset."""
        for _ in range(_times(rng, self._chances.repeats)):
            delay = SECOND + up_to(rng, 2 * HOUR)
            draw = rng.random()
            if draw < 0.6:
                yield delay, "repeat", text
            elif draw < 0.9:
                yield delay, "repeat_respelt", respelt(text, rng)
            else:
                yield delay, "repeat_other_offset", text
        # The revision differs, so no enriched repeat is an exact repeat of another.
        for revision in range(2, 2 + _times(rng, self._chances.enriched)):
            signature = self._carrier.encode(pick(rng, ("Ł. Żak", "M. Müller", "佐藤", "N. O'Neill")))
            more = self._carrier.members({"revision": str(revision), "signed_by": signature})
            delay = MINUTE + up_to(rng, DAY)
            yield delay, "enriched_repeat" if has_id else "enriched_without_id", f"{text[:-1]}{more}}}"

    def _expected(self, rng: Random, step: Step, offset: str) -> dict[str, str]:
        """The carrier's estimate, with the first event and when it moves."""
        if not self._carrier.estimates or step.kind != "new" or step.event in _LAST:
            return {}
        if moves := rng.random() < _MOVED:
            self._estimate += HOUR * (up_to(rng, 40) - 8)
        if self._scans > 1 and not moves:
            return {}
        return {"estimated_delivery": self._timestamp(self._estimate, offset)}

    def _event_id(self, name: str, scan: int) -> str | None:
        match self._carrier.event_ids:
            case "none":
                return None
            case "leg":
                return f'"{self._tracking_number}/{scan}/{self._carrier.codes[name][0]}"'
            case "sequence":
                return f'"{scan}"'
        digest = hashlib.blake2b(f"{self._key}/{scan}".encode(), digest_size=16).hexdigest()
        if self._carrier.event_ids == "sometimes" and digest[-1] < "8":
            return "null"
        return f'"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"'

    def _timestamp(self, moment: int, offset: str) -> str:
        local = _EPOCH + timedelta(microseconds=moment + _microseconds(offset))
        return f'"{local.isoformat(timespec=self._timespec)}{offset}"'


@functools.cache
def _microseconds(offset: str) -> int:
    if offset == "Z":
        return 0
    size = (int(offset[1:3]) * 60 + int(offset[4:])) * MINUTE
    return -size if offset[0] == "-" else size


def _times(rng: Random, mean: float) -> int:
    return int(mean + rng.random())
