"""The report of a drill."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from shipment_events.accounting.announcements import AnnouncementAccount
from shipment_events.accounting.read_side import ReadSideAccount
from shipment_events.accounting.reconcile import Reconciliation
from workbench.drill.verdict import Verdict

_NAMED: Final = 100


@dataclass(slots=True)
class DrillReport:
    """A drill's result. Times are in seconds.

    Attributes:
        wanted_events: the least number of events to be accepted.
        wanted_faults: the least number of faults to be fired.
        fault_kinds: faults that fired, by kind, from the proxies' own records and the log of incidents.
        missed: incidents that did not happen, by kind, because no container wrote in time.
        recovery_seconds: from the end of the last fault until the queue was empty; None if it never was.
        read_side: states and changes, checked when the queue was empty.
        refused: number of lines that no bus accepts, by reason.
        wrongly_refused: lines of good events that our publisher refused, with its reason.
        unsent: events that the bus did not take even after the faults.
        sent_again: events that the publisher handed back during the faults and that were published again.
        is_quiet_after_redrive: whether the queue became empty after the redrive; True without one.
        redriven: events that ran out of receives and were moved back from the dead-letter queue once.
        quarantined_again: exact repeats among the dead letters.
        visibility_timeout: of the queue during the drill; the times of the processor are in ratio.
    """

    seed: int
    minutes: float
    wanted_events: int
    wanted_faults: int
    visibility_timeout: int
    fault_kinds: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    reconciliation: Reconciliation = field(default_factory=Reconciliation)
    verdict: Verdict = field(default_factory=Verdict)
    read_side: ReadSideAccount = field(default_factory=ReadSideAccount)
    refused: Counter[str] = field(default_factory=Counter)
    wrongly_refused: list[str] = field(default_factory=list)
    bursts: int = 0
    unsent: int = 0
    sent_again: int = 0
    redriven: int = 0
    is_quiet_after_redrive: bool = True
    quarantined_again: int = 0
    recovery_seconds: float | None = None
    duration_seconds: float = 0.0

    @property
    def failures(self) -> list[str]:
        """Why the drill failed; empty if it did not."""
        found = self.reconciliation
        changes = self.read_side.changes or AnnouncementAccount()
        counts = {
            "lost": len(found.lost),
            "doubled": len(found.doubled),
            "altered": len(found.altered),
            "phantom": found.unexpected + len(self.verdict.phantoms),
            "misjudged": len(self.verdict.misjudged),
            "hidden dead letters": found.hidden_dead_letters,
            "wrongly refused": len(self.wrongly_refused),
            "unsent": self.unsent,
            "different states": len(self.read_side.different),
            "missing changes": len(changes.missing),
            "impossible changes": len(changes.impossible),
        }
        failures = [f"{count:,} {name}" for name, count in counts.items() if count]
        if self.recovery_seconds is None:
            failures.append("the queue did not empty after the last fault")
        if not self.is_quiet_after_redrive:
            failures.append("the queue did not empty after the redrive")
        if found.published < self.wanted_events:
            failures.append(f"{found.published:,} events instead of {self.wanted_events:,}")
        if self.fault_kinds.total() < self.wanted_faults:
            failures.append(f"{self.fault_kinds.total():,} faults instead of {self.wanted_faults:,}")
        return failures

    def as_json(self) -> dict[str, Any]:
        """The report, for machines."""
        found = self.reconciliation
        return {
            "seed": self.seed,
            "minutes": self.minutes,
            "duration_seconds": round(self.duration_seconds, 1),
            "visibility_timeout_seconds": self.visibility_timeout,
            "events": found.published,
            "faults": self.fault_kinds.total(),
            "fault_kinds": dict(self.fault_kinds.most_common()),
            "missed_incidents": dict(sorted(self.missed.items())),
            "bursts": self.bursts,
            "outcomes": {
                "stored": found.stored,
                "duplicate": found.duplicate,
                "conflict": found.conflict,
                "quarantined": found.quarantined,
                "quarantined_by_reason": dict(sorted(found.quarantined_by_reason.items())),
            },
            "recovery_seconds": None if self.recovery_seconds is None else round(self.recovery_seconds, 1),
            "lost": len(found.lost),
            "doubled": len(found.doubled),
            "altered": len(found.altered),
            "phantom": found.unexpected + len(self.verdict.phantoms),
            "misjudged": len(self.verdict.misjudged),
            "unsent": self.unsent,
            "refused": self.refused.total(),
            "hidden_dead_letters": found.hidden_dead_letters,
            "wrongly_refused": len(self.wrongly_refused),
            "sent_again": self.sent_again,
            "redriven": self.redriven,
            "quarantined_again": self.quarantined_again,
            "lost_events": [record.envelope_id for record in found.lost[:_NAMED]],
            "doubled_events": found.doubled[:_NAMED],
            "altered_events": found.altered[:_NAMED],
            "phantom_events": self.verdict.phantoms[:_NAMED],
            "misjudged_events": self.verdict.misjudged[:_NAMED],
            "wrongly_refused_lines": self.wrongly_refused[:_NAMED],
            **self.read_side.as_json(),
            "failures": self.failures,
        }
