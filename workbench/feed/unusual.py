"""Shipments whose current state is hard to say: what the tracker must bear.

At most one of these scenes happens to a shipment. Its events are added to those of the journey and change
none of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Final

from workbench.feed.carrier import Carrier
from workbench.feed.randomness import pick, up_to
from workbench.feed.steps import DAY, HOUR, MINUTE, SECOND, Step

RETRACTION: Final = "retraction"
EARLY_RETRACTION: Final = "early_retraction"
RETURN_AFTER_DELIVERY: Final = "return_after_delivery"
CONTRADICTION: Final = "contradiction"
LATE_SCAN: Final = "late_scan"
DATED_AHEAD: Final = "dated_ahead"
FAR_FUTURE: Final = "far_future"
REUSED_NUMBER: Final = "reused_number"

UNUSUAL_KINDS: Final[Mapping[str, str]] = {
    "mistaken": "a scan of another parcel, which a retraction voids",
    RETRACTION: "voids a mistaken scan that arrived before",
    EARLY_RETRACTION: "voids a mistaken scan that arrives after it",
    RETURN_AFTER_DELIVERY: "the parcel goes back days after its delivery",
    CONTRADICTION: "the status is another one than the event type says",
    LATE_SCAN: "a scan at the hub that arrives days after the delivery",
    DATED_AHEAD: "dated more than a day after it arrives",
    FAR_FUTURE: "dated in the year 2099",
}
"""The kinds of unusual lines, and what they mean. The kind of a scene is that of its last line.

The scene ``reused_number`` has no line of its own: the shipment has the tracking number of an earlier one.
"""

_SCENES: Final = (
    RETRACTION, EARLY_RETRACTION, RETURN_AFTER_DELIVERY, CONTRADICTION, LATE_SCAN, DATED_AHEAD, FAR_FUTURE,
    REUSED_NUMBER,
)  # fmt: skip
# Far above the numbers of a journey's own scans.
_FIRST_SCAN: Final = 900
_YEAR_2099: Final = int(datetime(2099, 12, 31, tzinfo=UTC).timestamp()) * SECOND


def unusual_scene(rng: Random, carrier: Carrier, chance: float) -> str:
    """The scene of a shipment, or an empty string."""
    if rng.random() >= chance:
        return ""
    scene = pick(rng, _SCENES)
    if scene in {RETRACTION, EARLY_RETRACTION} and carrier.event_ids in {"none", "sometimes"}:
        # A retraction names an event by its id, and these carriers do not give every event one.
        return CONTRADICTION
    if scene == RETURN_AFTER_DELIVERY and "returned" not in carrier.codes:
        return LATE_SCAN
    return scene


def unusual_steps(rng: Random, scene: str, steps: Sequence[Step]) -> Iterator[Step]:
    """Yield the further steps of a scene.

    Args:
        steps: the steps of the journey, in their order.
    """
    # After the first steps and before the last ones, there is a scan at the hub.
    middle = steps[len(steps) // 2]
    moment = middle.moment + MINUTE + up_to(rng, HOUR)
    last = steps[-1]
    match scene:
        case "retraction" | "early_retraction":
            later = moment + 5 * MINUTE + up_to(rng, 20 * HOUR)
            lag = later - moment + MINUTE + up_to(rng, DAY) if scene == EARLY_RETRACTION else 0
            mistaken = Step("delivered", moment, middle.place, "mistaken", lag=lag, scan=_FIRST_SCAN)
            yield mistaken
            # An error declaration of EPCIS repeats the event that it voids.
            voids = (mistaken.event, mistaken.scan)
            yield replace(mistaken, moment=later, kind=scene, lag=0, scan=_FIRST_SCAN + 1, retracts=voids)
        case "return_after_delivery" if last.event == "delivered":
            back = last.moment + DAY + up_to(rng, 5 * DAY)
            yield Step("returned", back, last.place, scene, scan=_FIRST_SCAN)
        case "contradiction":
            yield Step("delivered", moment, middle.place, scene, scan=_FIRST_SCAN, status="IN_TRANSIT")
        case "late_scan":
            lag = last.moment - moment + DAY + up_to(rng, 5 * DAY)
            yield Step("arrived", moment, middle.place, scene, lag=lag, scan=_FIRST_SCAN)
        case "dated_ahead":
            ahead = moment + DAY + HOUR + up_to(rng, DAY)
            yield Step("arrived", moment, middle.place, scene, dated=ahead, scan=_FIRST_SCAN)
        case "far_future":
            yield Step("delivered", moment, middle.place, scene, dated=_YEAR_2099, scan=_FIRST_SCAN)
