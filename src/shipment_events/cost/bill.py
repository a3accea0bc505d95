"""The bill of a month: usage times prices, for our design and for others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from shipment_events.cost.designs import DESIGNS, Design
from shipment_events.cost.prices import Price, Usage, price_table
from shipment_events.cost.usage import events_per_batch, monthly_usage
from shipment_events.cost.workload import Workload
from shipment_events.stages import StageSettings


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill.

    Attributes:
        usd: cost of the month.
    """

    usage: Usage
    unit: str
    usd: float


@dataclass(frozen=True, slots=True)
class Bill:
    """The bill of one design for a month.

    Attributes:
        batch: mean number of events in a batch.
    """

    design: Design
    batch: float
    lines: Sequence[Line]

    @property
    def usd(self) -> float:
        """Total of the month."""
        return sum(line.usd for line in self.lines)

    def by_service(self) -> dict[str, float]:
        """USD of each service, in the order in which an event reaches the services."""
        return {
            service: sum(line.usd for line in lines)
            for service, lines in groupby(self.lines, key=lambda line: line.usage.service)
        }


def monthly_bill(
    workload: Workload, settings: StageSettings, design: Design, batch: float | None = None
) -> Bill:
    """The bill of one design.

    Args:
        batch: mean number of events in a batch, if it was measured.
    """
    usage = monthly_usage(workload, settings, design, batch)
    return Bill(design, batch or events_per_batch(workload, settings, design), _priced(usage, price_table()))


def compared(workload: Workload, settings: StageSettings, batch: float | None = None) -> list[Bill]:
    """Our bill, then the bills of the other designs for the same events."""
    return [monthly_bill(workload, settings, design, batch) for design in DESIGNS]


def prices_checked() -> date:
    """When the oldest price of the table was last compared with its source."""
    return min(price.checked for price in price_table().values())


def _priced(usage: Sequence[Usage], prices: Mapping[str, Price]) -> list[Line]:
    """Price each line. Lines with the same tiered price share its tiers."""
    totals: dict[str, float] = {}
    for used in usage:
        totals[used.price] = totals.get(used.price, 0.0) + used.quantity
    lines = []
    for used in usage:
        price, total = prices[used.price], totals[used.price]
        usd = price.of(total) * used.quantity / total if total else 0.0
        lines.append(Line(used, price.unit, usd))
    return lines
