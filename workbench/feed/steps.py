"""What happens to a shipment, before its carrier writes events about it. Times are in microseconds."""

from dataclasses import dataclass
from typing import Final

from workbench.feed.carrier import Place

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a journey.

    Attributes:
        event: the event type without its prefix.
        moment: when it happens, since 1970.
        kind: kind of its line.
        lag: time until its event arrives, besides the usual seconds.
        dated: when it happened according to its event; 0 for ``moment``.
        scan: number of its event, unique in the shipment; 0 for the next number.
        status: the carrier's word for the status; empty for the usual word.
        retracts: event and number of the step that it declares void.
    """

    event: str
    moment: int
    place: Place
    kind: str = "new"
    lag: int = 0
    dated: int = 0
    scan: int = 0
    status: str = ""
    retracts: tuple[str, int] | None = None
