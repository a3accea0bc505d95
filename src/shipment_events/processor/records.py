"""Records of the queue on their way to an outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from shipment_events.contract.envelope import Envelope
from shipment_events.contract.outcome import Outcome, Reason
from shipment_events.table.item import Write


@dataclass(frozen=True, slots=True)
class Record:
    """One message as Lambda hands it over.

    Attributes:
        message_id: by which Lambda is told that the message failed.
        receive_count: how often the queue has handed it out, this time included.
        body: the EventBridge envelope.
    """

    message_id: str
    receipt_handle: str
    receive_count: int
    body: str

    @classmethod
    def from_lambda(cls, record: Mapping[str, Any]) -> "Record":
        """Read a record of the function's input.

        https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html shows its form.
        """
        return cls(
            message_id=record["messageId"],
            receipt_handle=record["receiptHandle"],
            receive_count=int(record["attributes"]["ApproximateReceiveCount"]),
            body=record["body"],
        )


@dataclass(frozen=True, slots=True)
class _Written:
    """A record whose event was written.

    Attributes:
        write: where the event lies.
        stored_at: when the write was sent.
    """

    record: Record
    envelope: Envelope
    write: Write
    stored_at: datetime

    @property
    def correlation_id(self) -> str:
        """Id that the bus gave to the event."""
        return self.envelope.id


@dataclass(frozen=True, slots=True)
class Stored(_Written):
    """The event lies at its own place."""

    outcome: ClassVar = Outcome.STORED


@dataclass(frozen=True, slots=True)
class Conflict(_Written):
    """Other content has the event's identity; the event lies beside it."""

    outcome: ClassVar = Outcome.CONFLICT


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The event lay in the table already; ``write`` is what was not written."""

    outcome: ClassVar = Outcome.DUPLICATE
    record: Record
    correlation_id: str
    write: Write


@dataclass(frozen=True, slots=True)
class Retried:
    """The event may be stored later, so the record goes back to the queue.

    Attributes:
        correlation_id: id that the bus gave to the event; empty where the body has none.
        detail: what failed, without text of the event.
        write: the last that was tried; None where the event was not read.
        reason: of the quarantine that failed, where one did.
    """

    outcome: ClassVar = Outcome.RETRIED
    record: Record
    correlation_id: str
    detail: str
    write: Write | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The event can never be stored.

    Attributes:
        correlation_id: id that the bus gave to the event; empty where the body has none.
        detail: what was expected, without text of the event.
        letter_detail: what was expected and what was found, which may be text of the event.
        write: that the table refused; None where the event is not valid.
    """

    outcome: ClassVar = Outcome.QUARANTINED
    record: Record
    correlation_id: str
    reason: Reason
    detail: str
    letter_detail: str
    write: Write | None = None

    def retried(self, detail: str) -> Retried:
        """The record where the event could not be quarantined."""
        return Retried(self.record, self.correlation_id, detail, self.write, self.reason)


Settled = Stored | Duplicate | Conflict | Quarantined | Retried
