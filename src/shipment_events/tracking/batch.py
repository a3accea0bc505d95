"""The shipments of one batch of the stream, and the results of the batch."""

from dataclasses import dataclass, field
from datetime import datetime

from shipment_events.contract.moments import now
from shipment_events.contract.outcome import shown
from shipment_events.publishing.entries import Entry
from shipment_events.table.results import Rejected, Unavailable
from shipment_events.tracking.announcer import REFUSED, entry_of
from shipment_events.tracking.changes import Change
from shipment_events.tracking.failures import Failure
from shipment_events.tracking.records import StreamRecord, Unfoldable
from shipment_events.tracking.step import Step
from shipment_events.tracking.store import Overtaken, WriteResult


@dataclass(slots=True)
class Tracking:
    """The results of a batch.

    Attributes:
        skipped: records that are not an INSERT, and conflicts.
        folded: records that are in the states of their shipments.
        unsettled: sequence numbers of records that Lambda must send again, with the reason.
        unfoldable: records that can never be folded. They are in the queue for failures.
        announced: number of changes that were put on the bus, with repeats.
        readings: number of shipments whose events were read.
        unreadable_events: number of events that readings left out, with repeats.
        unreadable_event: the first of them.
        lost_races: number of writes that failed because another tracker wrote first.
        settled_at: when the batch ended.
    """

    skipped: int = 0
    folded: list[StreamRecord] = field(default_factory=list)
    unsettled: list[tuple[str, str]] = field(default_factory=list)
    unfoldable: list[Unfoldable] = field(default_factory=list)
    announced: int = 0
    readings: int = 0
    unreadable_events: int = 0
    unreadable_event: Failure | None = None
    lost_races: int = 0
    settled_at: datetime = field(default_factory=now)


@dataclass(slots=True)
class Pending:
    """A shipment of the batch, and how far it has come.

    Attributes:
        step: None if the shipment must be read and folded.
        unannounced: changes of the step that are not on the bus yet.
        statement: the statement that writes the step.
        lost: changes that were announced, but whose step was not written.
        trouble: why the shipment is not settled.
        reason: why it can never be settled, or empty.
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
        """Take a step. Its entries are made here, where a defect does not stop other shipments."""
        self.unannounced = [entry_of(change) for change in step.changes]
        self.step, self.statement = step, statement

    def give_up(self, reason: str, trace: str = "") -> None:
        """Note that the shipment can never be folded or written."""
        self.reason, self.trace, self.is_settled = reason, trace, True

    def announcing_failed(self, change: Entry, why: str) -> None:
        """Note that a change may not be on the bus."""
        if why in REFUSED:
            self.give_up(f"expected a change that the bus accepts, got {why}")
        else:
            self.unannounced.append(change)
            self.trouble = f"not announced: {why}"

    def write_ended(self, result: WriteResult) -> None:
        """Note the result of a write."""
        assert self.step is not None  # noqa: S101 - for the type checker: a write follows a step
        match result:
            case Unavailable(why):
                self.trouble = why
            case Rejected(why):
                self.give_up(
                    f"expected a state that the table accepts, got {shown(why, quote=False, limit=250)}"
                )
            case Overtaken():
                self.trouble = "Overtaken"
                self.lost += self.step.changes
                self.step = None
            case _:
                self.is_settled = True

    def conclude(self, tracking: Tracking) -> None:
        """Add the shipment's records to the results of the batch."""
        for record in self.records:
            if self.reason:
                failure = Failure(record.shipment_id, record.sort_key, self.reason)
                tracking.unfoldable.append(Unfoldable(record.sequence_number, failure, self.trace))
            elif self.is_settled:
                tracking.folded.append(record)
            else:
                tracking.unsettled.append((record.sequence_number, self.trouble))
