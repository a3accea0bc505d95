"""Records from the stream of the table of events."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shipment_events.contract.names import PARTITION_KEY, SORT_KEY
from shipment_events.function.log_lines import stack_trace
from shipment_events.tracking.failures import Failure
from shipment_events.tracking.news import News, UnfoldableError, news_of_item

INSERT: Final = "INSERT"


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A record with an event.

    Attributes:
        sequence_number: identifies a failed record in the response to Lambda.
        shipment_id: partition key of the event's item.
        sort_key: sort key of the item.
    """

    sequence_number: str
    shipment_id: str
    sort_key: str
    news: News


@dataclass(frozen=True, slots=True)
class Unfoldable:
    """A record that can never be folded, and its report.

    Attributes:
        trace: stack trace of a defect in our code, without text of the event; else empty.
    """

    sequence_number: str
    failure: Failure
    trace: str = ""


def read_record(record: Mapping[str, Any]) -> StreamRecord | Unfoldable | None:
    """Read a record; None for a conflict and for a record that is not an INSERT.

    The event source mapping filters too, but its filter can change without this code. Form of a record:
    https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
    """
    if record.get("eventName") != INSERT:
        return None
    change = record.get("dynamodb", {})
    sequence_number = change.get("SequenceNumber", "")
    keys = change.get("Keys", {})
    shipment_id, sort_key = (keys.get(name, {}).get("S", "") for name in (PARTITION_KEY, SORT_KEY))
    try:
        news = news_of_item(change.get("NewImage", {}))
    except UnfoldableError as error:
        return Unfoldable(sequence_number, Failure(shipment_id, sort_key, str(error)))
    except Exception as error:  # noqa: BLE001 - a defect in our code must not stop the stream
        reason, trace = defect(error)
        return Unfoldable(sequence_number, Failure(shipment_id, sort_key, reason), trace)
    return StreamRecord(sequence_number, shipment_id, sort_key, news) if news else None


def defect(error: Exception) -> tuple[str, str]:
    """Reason and trace of a defect in our code, without its message, which can contain text of the event."""
    name = type(error).__name__
    return f"expected to fold it, got {name} in the tracker's own code", stack_trace(error)


def lag_ms(record: StreamRecord, now: datetime) -> int:
    """Milliseconds since the event was stored."""
    stored_at = datetime.fromisoformat(record.news.stored_at)
    return max(0, int((now - stored_at).total_seconds() * 1000))
