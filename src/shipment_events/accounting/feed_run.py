"""The result of a run of a feed, and its report."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any

from shipment_events.accounting.read_side import ReadSideAccount
from shipment_events.accounting.reconcile import Reconciliation
from shipment_events.publishing.journal import JournalRecord
from shipment_events.queue.queue import Drain


@dataclass(slots=True)
class FeedRun:
    """The result of a run.

    Attributes:
        refused_by_reason: number of lines that no bus accepts, for example text that is not a JSON object, by
            reason code.
        unsent_by_error: number of entries that the bus did not accept, by error code.
        input_error: why the feed could not be read to its end, or empty.
        drain: the result of waiting for the queue. If the queue did not become empty, no event counts as
            lost.
        delivery_seconds: how long EventBridge tries to deliver an event (see :class:`QueueTiming`).
        judged_at: when the events were looked for last.
        shipment_ids: number of accepted events by shipment. The shipment of the last event is the last.
        envelope_ids: ids of the accepted events.
        read_side: None if the stage does not track shipments.
    """

    reconciliation: Reconciliation = field(default_factory=Reconciliation)
    refused_by_reason: Counter[str] = field(default_factory=Counter)
    unsent_by_error: Counter[str] = field(default_factory=Counter)
    input_error: str = ""
    drain: Drain = field(default_factory=Drain)
    delivery_seconds: float = 0.0
    judged_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    shipment_ids: Counter[str] = field(default_factory=Counter)
    envelope_ids: set[str] = field(default_factory=set)
    read_side: ReadSideAccount | None = None

    def note_accepted(self, envelope_id: str, shipment_id: str | None) -> None:
        """The bus accepted an event."""
        self.envelope_ids.add(envelope_id)
        if shipment_id:
            self.shipment_ids[shipment_id] = self.shipment_ids.pop(shipment_id, 0) + 1

    @property
    def is_decided(self) -> bool:
        """Whether an event that arrived was seen: the queue is empty, and every dead letter was read."""
        return self.drain.is_empty and not self.reconciliation.hidden_dead_letters

    @property
    def undelivered(self) -> list[JournalRecord]:
        """Missing events that EventBridge may still deliver."""
        return self.reconciliation.undelivered(self.judged_at, self.delivery_seconds)

    @property
    def delivery_ends_at(self) -> datetime | None:
        """When EventBridge has delivered or given up every missing event. None if no event is missing."""
        sent = [datetime.fromisoformat(record.sent_at) for record in self.undelivered]
        return max(sent) + timedelta(seconds=self.delivery_seconds) if sent else None

    @property
    def succeeded(self) -> bool:
        """Whether no event is missing, doubled, altered or unsent, and the feed was read to its end.

        Each state of a shipment must be right, too, and each change announced that had to.
        """
        found = self.reconciliation
        is_tracked = self.read_side is None or self.read_side.succeeded
        return is_tracked and not (
            found.lost or found.doubled or found.altered or self.unsent_by_error or self.input_error
        )

    def as_json(self) -> dict[str, Any]:
        """The report as JSON. Latencies are in milliseconds."""
        found = self.reconciliation
        seconds = _seconds(found)
        waiting = self.undelivered if self.is_decided else found.lost
        undecided = [record.envelope_id for record in waiting]
        lost = [record.envelope_id for record in found.lost if record not in waiting]
        ends_at = self.delivery_ends_at
        return {
            "published": found.published,
            "stored": found.stored,
            "duplicate": found.duplicate,
            "conflict": found.conflict,
            "quarantined": found.quarantined,
            "quarantined_by_reason": dict(sorted(found.quarantined_by_reason.items())),
            "lost": len(lost),
            "undecided": len(undecided),
            "delivery_ends_at": ends_at.isoformat(timespec="seconds") if ends_at else None,
            "doubled": len(found.doubled),
            "waiting": self.drain.waiting,
            "hidden_dead_letters": found.hidden_dead_letters,
            "altered": len(found.altered),
            "unexpected": found.unexpected,
            "refused": self.refused_by_reason.total(),
            "refused_by_reason": dict(sorted(self.refused_by_reason.items())),
            "unsent": self.unsent_by_error.total(),
            "unsent_by_error": dict(sorted(self.unsent_by_error.items())),
            "seconds": round(seconds, 3),
            "events_per_second": round(found.published / seconds, 1) if seconds else 0.0,
            "latency_ms": _percentiles(found.latencies_ms),
            "lost_events": lost[:100],
            "undecided_events": undecided[:100],
            "doubled_events": found.doubled[:100],
            "altered_events": found.altered[:100],
            "input_error": self.input_error or None,
            **(self.read_side.as_json() if self.read_side else {"states": None, "changes": None}),
        }


def _seconds(found: Reconciliation) -> float:
    if found.first_sent_at is None or found.last_stored_at is None:
        return 0.0
    return (found.last_stored_at - found.first_sent_at).total_seconds()


def _percentiles(latencies: list[float]) -> dict[str, float | None]:
    if len(latencies) < 2:
        only = round(latencies[0], 1) if latencies else None
        return {"p50": only, "p99": only}
    cuts = quantiles(latencies, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1)}
