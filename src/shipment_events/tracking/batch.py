"""A batch of the stream on its way: each of its shipments, and what became of all in the end."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from shipment_events.publishing.entries import Entry
from shipment_events.table.results import Rejected, Unavailable
from shipment_events.tracking.announcer import entry_of
from shipment_events.tracking.changes import Change
from shipment_events.tracking.failures import Failure
from shipment_events.tracking.records import StreamRecord, Unfoldable
from shipment_events.tracking.step import Step
from shipment_events.tracking.store import Overtaken, WriteResult


def now() -> datetime:
    """The present, aware."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Tracking:
    """What became of a batch.

    Attributes:
        skipped: records that do not count: no INSERT, or the copy of a conflict.
        folded: whose shipments have states that hold them.
        unsettled: records that have to come again, with the reason.
        unfoldable: reported to the queue for failures.
        announced: changes that were put on the bus, repeats included.
        readings: shipments whose events were read.
        unreadable_events: events that such a reading had to leave out. Their own records were reported.
        lost_races: writes that came too late.
        settled_at: when all was done.
    """

    skipped: int = 0
    folded: list[StreamRecord] = field(default_factory=list)
    unsettled: list[tuple[str, str]] = field(default_factory=list)
    unfoldable: list[Unfoldable] = field(default_factory=list)
    announced: int = 0
    readings: int = 0
    unreadable_events: int = 0
    lost_races: int = 0
    settled_at: datetime = field(default_factory=now)


@dataclass(slots=True)
class Shipment:
    """A shipment of the batch on its way to its new state.

    Attributes:
        step: None where the shipment has to be read and folded, for the first time or again.
        unannounced: those changes of the step that are still to be put on the bus.
        statement: that writes the step.
        lost: changes that were announced for steps which were not written.
        trouble: why the shipment is not settled.
        reason: why it can never be; empty where it may.
    """

    shipment_id: str
    records: list[StreamRecord] = field(default_factory=list)
    step: Step | None = None
    unannounced: list[Entry] = field(default_factory=list)
    statement: str = ""
    lost: list[Change] = field(default_factory=list)
    trouble: str = "NotTried"
    reason: str = ""
    trace: str = ""
    is_settled: bool = False

    def take(self, step: Step, statement: str) -> None:
        """Take a step. Its changes and its statement are made now, where a defect stops no other shipment."""
        self.unannounced = [entry_of(change) for change in step.changes]
        self.step, self.statement = step, statement

    def give_up(self, reason: str, trace: str = "") -> None:
        """The shipment can never be folded or written."""
        self.reason, self.trace, self.is_settled = reason, trace, True

    def write_ended(self, result: WriteResult) -> None:
        """Go on after a write."""
        assert self.step is not None  # noqa: S101
        match result:
            case Unavailable(why):
                self.trouble = why
            case Rejected(why):
                self.give_up(f"expected a state that the table takes, got {ascii(why)[1:-1][:250]}")
            case Overtaken():
                self.trouble = "Overtaken"
                self.lost += self.step.changes
                self.step = None
            case _:
                self.is_settled = True

    def conclude(self, tracking: Tracking) -> None:
        """Note what became of a shipment's records."""
        for record in self.records:
            if self.reason:
                failure = Failure(record.shipment_id, record.sort_key, self.reason)
                tracking.unfoldable.append(Unfoldable(record.sequence_number, failure, self.trace))
            elif self.is_settled:
                tracking.folded.append(record)
            else:
                tracking.unsettled.append((record.sequence_number, self.trouble))
