"""What a stage and its alternatives cost a month, and which service limits the workload exceeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shipment_events.cost.bill import Bill, compared, monthly_bill
from shipment_events.cost.designs import OURS
from shipment_events.cost.limits import exceeded
from shipment_events.cost.workload import Workload
from shipment_events.stages import StageSettings


@dataclass(frozen=True, slots=True)
class Estimate:
    """The result of :func:`estimate`.

    Attributes:
        bills: ours first, then the bills of other designs.
        savings: USD that another value of a setting saves, by the setting's name. It is negative if that
            value costs more. The values are the other table class, a batching window of one second if the
            stage has none, and no tracking if it has tracking. ``etag`` is what responses with 304 save.
        warnings: service limits that the workload exceeds.
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
    """Estimate the bill of a steady workload.

    Args:
        batch: mean number of events in a batch, if it was measured. The batching window is then ignored.
        batch_ms: duration of one invocation, if it was measured.
    """
    bills = list(compared(workload, settings, batch))
    if batch_ms is not None:
        design = replace(OURS, fixed_ms=batch_ms, event_ms=0)
        bills[0] = monthly_bill(workload, settings, design, batch)
    ours = bills[0]
    others = {"infrequent_access": replace(settings, infrequent_access=not settings.infrequent_access)}
    if not settings.batching_window_seconds and batch is None:
        others["batching_window_seconds"] = replace(settings, batching_window_seconds=1)
    if settings.tracking:
        others["tracking"] = replace(settings, tracking=False)
    savings = {
        name: ours.usd - monthly_bill(workload, other, ours.design, batch).usd
        for name, other in others.items()
    }
    if settings.has_api and workload.api_unchanged_share:
        always_sent = replace(workload, api_unchanged_share=0)
        savings["etag"] = monthly_bill(always_sent, settings, ours.design, batch).usd - ours.usd
    return Estimate(workload, settings, bills, savings, exceeded(workload, settings, ours.design))
