"""A settled record of each outcome."""

from datetime import datetime

from shipment_events.contract.outcome import Outcome, Reason
from shipment_events.processor.records import (
    Conflict,
    Duplicate,
    Quarantined,
    Record,
    Retried,
    Settled,
    Stored,
)
from shipment_events.table.item import prepare_write


def settled_as(outcome: Outcome, body: str, stored_at: datetime) -> Settled:
    """The record of a valid body as if it had ended so; ``stored_at`` where it was written."""
    record = Record("m-1", "receipt-1", 2, body)
    envelope, write = prepare_write(body)
    match outcome:
        case Outcome.STORED:
            return Stored(record, envelope, write, stored_at)
        case Outcome.CONFLICT:
            return Conflict(record, envelope, write.beside(), stored_at)
        case Outcome.DUPLICATE:
            return Duplicate(record, envelope.id, write)
        case Outcome.QUARANTINED:
            return Quarantined(record, envelope.id, Reason.UNSTORABLE, "expected an item", "refused", write)
        case Outcome.RETRIED:
            return Retried(record, envelope.id, "ThrottlingException", write)
