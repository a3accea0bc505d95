"""Records of the queue on their way to an outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
class Settled:
    """A record with its outcome.

    Attributes:
        correlation_id: id that the bus gave to the event; empty where the body has none.
        envelope: None where the event is not valid.
        write: likewise; the last that was tried.
        reason: of a quarantine.
        detail: of a quarantine or a retry: what was expected, or what failed; without text of the event.
        letter_detail: of a quarantine: what was expected and what was found, which may be text of the event.
        stored_at: when the write that succeeded was sent.
    """

    record: Record
    outcome: Outcome
    correlation_id: str
    envelope: Envelope | None = None
    write: Write | None = None
    reason: Reason | None = None
    detail: str | None = None
    letter_detail: str | None = None
    stored_at: datetime | None = None
