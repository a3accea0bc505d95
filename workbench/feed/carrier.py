"""What the feed has to know of a carrier: its places, the steps of its shipments, its habits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from workbench.feed.spelling import ASCII, PLAIN, SPACED


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A place where something happens to a shipment.

    Attributes:
        code: IATA's code of the airport, or of the nearest one.
        offset: offset of local time from UTC in ISO 8601. It is standard time all year: the moments are
            correct, but local times in summer may be an hour off.
    """

    city: str
    country: str
    code: str
    offset: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Milestone:
    """One step of a journey.

    Attributes:
        event: the event type without its prefix.
        where: the place of the journey.
        after: shortest and longest time since the step before, in minutes.
        chance: share of journeys that have it.
    """

    event: str
    where: Literal["origin", "hub", "destination"]
    after: tuple[int, int]
    chance: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """A carrier and its habits.

    Attributes:
        tracking_number: makes the tracking number from a shipment's serial number.
        places: where it picks up, transfers and delivers.
        way: the steps of every journey before its ending.
        endings: how journeys end. The first is the most frequent.
        codes: the carrier's own code and words for each type of event.
        reasons: code and words for each type of event that needs an explanation.
        resolution: resolution of its clocks in microseconds.
        local_time: whether it writes times with the place's offset instead of in UTC with ``Z``.
        event_ids: ``leg`` (tracking number, step and code), ``uuid``, ``sequence`` (1, 2, … within a
            shipment), ``sometimes`` (a UUID or null) or ``none``.
        estimates: whether it says when it expects to deliver, and changes that on the way.
        extra: further fields: exact numbers, nested objects, counts, or none.
        spaced: whether it writes a space after commas and colons.
        ascii_only: whether it writes other characters than ASCII as ``\\u`` escapes.
    """

    name: str
    shipment_prefix: str
    tracking_number: Callable[[int], str]
    places: tuple[Place, ...]
    way: tuple[Milestone, ...]
    endings: tuple[tuple[Milestone, ...], ...]
    codes: Mapping[str, tuple[str, str]]
    reasons: Mapping[str, tuple[tuple[str, str], ...]]
    resolution: int
    local_time: bool
    event_ids: Literal["leg", "uuid", "sequence", "sometimes", "none"]
    extra: Literal["numbers", "nested", "counts", "none"]
    estimates: bool = False
    spaced: bool = False
    ascii_only: bool = False

    def encode(self, value: object) -> str:
        """Encode a value as JSON in the carrier's spelling."""
        return (ASCII if self.ascii_only else SPACED if self.spaced else PLAIN)(value)

    def members(self, fields: Mapping[str, str]) -> str:
        """Join names and JSON texts to members of an object. Each member begins with a comma."""
        comma, colon = (", ", ": ") if self.spaced else (",", ":")
        return "".join([f'{comma}"{name}"{colon}{value}' for name, value in fields.items()])
