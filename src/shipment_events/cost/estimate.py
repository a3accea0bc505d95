"""What a stage costs a month, what other designs and settings would, and what the services would refuse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shipment_events.cost.bill import Bill, compared, monthly_bill
from shipment_events.cost.designs import OURS
from shipment_events.cost.limits import exceeded
from shipment_events.cost.workload import Workload
from shipment_events.stages import StageSettings


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer.

    Attributes:
        bills: ours first, then those of other designs.
        savings: USD that another value of a setting would save of our bill, by the setting's name; negative
            if it costs more. The other table class, and a batching window of a second where there is none.
        warnings: limits of services that the workload exceeds.
    """

    workload: Workload
    settings: StageSettings
    bills: Sequence[Bill]
    savings: Mapping[str, float]
    warnings: Sequence[str]

    @property
    def ours(self) -> Bill:
        """The bill of this design."""
        return self.bills[0]


def estimate(
    workload: Workload, settings: StageSettings, *, batch: float | None = None, batch_ms: float | None = None
) -> Estimate:
    """Reckon a steady workload.

    Args:
        batch: mean events of a batch, where it is known; a batching window says nothing then.
        batch_ms: length of one invocation, where it is known.
    """
    bills = list(compared(workload, settings, batch))
    if batch_ms is not None:
        design = replace(OURS, fixed_ms=batch_ms, event_ms=0)
        bills[0] = monthly_bill(workload, settings, design, batch)
    ours = bills[0]
    others = {"infrequent_access": replace(settings, infrequent_access=not settings.infrequent_access)}
    if not settings.batching_window_seconds and batch is None:
        others["batching_window_seconds"] = replace(settings, batching_window_seconds=1)
    savings = {
        name: ours.usd - monthly_bill(workload, other, ours.design, batch).usd
        for name, other in others.items()
    }
    return Estimate(workload, settings, bills, savings, exceeded(workload, settings, ours.design))
