"""How much of a feed is out of the ordinary."""

from dataclasses import asdict, dataclass
from typing import Final

from workbench.feed.journeys import Chances

_MAX_SPECIAL: Final = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Shares:
    """Shares of the lines of a feed, from 0 to 1.

    Attributes:
        broken: of all lines: those that break the contract.
        repeat: of the valid lines: those that repeat an earlier event with the same content, in any spelling.
        enriched: of the valid lines: those that repeat an earlier event with more content. The repeat is a
            conflict if the event has an id, and another event if it has none.
        late: of the valid lines: those that arrive late.
        same_second: of the valid lines: those whose event happens in the second of another event of the same
            shipment.
        unusual: of the shipments: those that have an unusual event, or the tracking number of an earlier
            shipment.

    Raises:
        ValueError: a share is outside 0 to 1, or those of the valid lines add up to more than 0.9.
    """

    broken: float = 0.01
    repeat: float = 0.02
    enriched: float = 0.004
    late: float = 0.01
    same_second: float = 0.005
    unusual: float = 0.1

    def __post_init__(self) -> None:
        for name, share in asdict(self).items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name}: expected a number from 0 to 1, got {share}")
        # Special events are made from ordinary ones, so some ordinary events must remain.
        together = self.repeat + self.enriched + self.late + self.same_second
        if together > _MAX_SPECIAL:
            raise ValueError(
                "repeat, enriched, late, same_second: "
                f"expected {_MAX_SPECIAL} at most together, got {together:g}"
            )

    @property
    def chances(self) -> Chances:
        """The same shares as chances of each event of a journey."""
        first = 1 - self.repeat - self.enriched
        step = first - self.same_second
        return Chances(
            late=self.late / step,
            same_second=self.same_second / step,
            repeats=self.repeat / first,
            enriched=self.enriched / first,
            unusual=self.unusual,
        )


DEFAULT_SHARES: Final = Shares()
