"""Everything that is known of one event or shipment, in the order in which it happened."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from shipment_events.contract.names import BATCH_MESSAGE
from shipment_events.contract.outcome import Outcome
from shipment_events.dead_letters.letters import DeadLetterMessage, read_dead_letters
from shipment_events.publishing.journal import JournalRecord
from shipment_events.table.item import StoredEvent
from shipment_events.table.store import EventTable
from shipment_events.watching.log import LogLine, read_log

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient

_MOST_LINES: Final = 200
_MOST_SEARCHES: Final = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened.

    Attributes:
        at: UTC.
        what: ``published``, ``stored``, ``dead letter``, ``settled`` or another outcome that the processor
            logged.
        fields: all that is known of it.
    """

    at: datetime
    what: str
    shipment_id: str
    correlation_id: str
    detail: str
    fields: dict[str, Any] = field(default_factory=dict)


def trace(
    identifier: str,
    *,
    table: EventTable,
    sqs: "SQSClient",
    dead_letter_queue_url: str,
    logs: "CloudWatchLogsClient",
    environment: str,
    since: datetime,
    journal: Iterable[JournalRecord] = (),
    shipment_id: str | None = None,
) -> list[Step]:
    """Search table, dead-letter queue, log and journal.

    The table is read by shipment. So an event that went well is found by its event id or correlation id only
    where its shipment is known: from the journal, or because it is given.

    Args:
        identifier: shipment id, event id, correlation id (the envelope's id) or message id.
        since: how far back the log is searched.
        shipment_id: of the event, where it is known.

    Raises:
        botocore.exceptions.ClientError: one of them cannot be read.
    """
    published = [record for record in journal if identifier in _names_of_record(record)]
    letters = [
        letter
        for letter in read_dead_letters(sqs, dead_letter_queue_url)
        if identifier in (letter.message_id, letter.envelope_id, letter.shipment_id, letter.event_id)
    ]
    until = datetime.now(UTC)
    lines = list(read_log(logs, environment, identifier, since=since, until=until, most=_MOST_LINES))
    shipments = dict.fromkeys(
        [
            *([shipment_id] if shipment_id else [identifier]),
            *(_names_of_record(record)[1] for record in published),
            *(letter.shipment_id for letter in letters),
            *(line.fields.get("shipment_id", "") for line in lines),
        ]
    )
    known = {record.envelope_id for record in published} | {letter.envelope_id for letter in letters}
    items = [
        (shipment, item)
        for shipment in shipments
        if shipment
        for item in table.timeline(shipment)
        if shipment == identifier
        or identifier in (item.event_id, item.correlation_id)
        or item.correlation_id in known
    ]
    others = dict.fromkeys([*known, *(item.correlation_id for _, item in items)])
    for correlation_id in list(others)[:_MOST_SEARCHES]:
        if correlation_id and correlation_id != identifier:
            lines += read_log(logs, environment, correlation_id, since=since, until=until, most=_MOST_LINES)
    steps = [
        *map(_published, published),
        *(_stored(shipment, item) for shipment, item in items),
        *map(_dead, letters),
        *_logged(lines, {identifier, *others}),
    ]
    return sorted(steps, key=lambda step: step.at)


def _names_of_record(record: JournalRecord) -> tuple[str, str, str]:
    detail = json.loads(record.detail)
    return record.envelope_id, str(detail.get("shipment_id", "")), str(detail.get("event_id", ""))


def _published(record: JournalRecord) -> Step:
    envelope_id, shipment_id, event_id = _names_of_record(record)
    fields = {"event_id": event_id, "detail_type": record.detail_type}
    at = datetime.fromisoformat(record.sent_at)
    return Step(
        at, "published", shipment_id, envelope_id, f"accepted by the bus: {record.detail_type}", fields
    )


def _stored(shipment_id: str, item: StoredEvent) -> Step:
    fields = {"event_id": item.event_id, "sort_key": item.sort_key, "processing_status": item.status}
    detail = f"{item.sort_key} ({item.status})"
    return Step(
        datetime.fromisoformat(item.stored_at), "stored", shipment_id, item.correlation_id, detail, fields
    )


def _dead(letter: DeadLetterMessage) -> Step:
    fields = {"message_id": letter.message_id, "event_id": letter.event_id, "receives": letter.receives}
    detail = f"{letter.reason}: {letter.detail} (message {letter.message_id[:8]})"
    return Step(letter.sent_at, "dead letter", letter.shipment_id, letter.envelope_id, detail, fields)


def _logged(lines: Iterable[LogLine], wanted: set[str]) -> Iterator[Step]:
    seen: set[str] = set()
    for line in lines:
        fields = line.fields
        text = json.dumps(fields, sort_keys=True)
        if text in seen:
            continue
        seen.add(text)
        request = f"request {fields.get('request_id')}"
        if "trace_id" in fields:
            request += f", trace {fields['trace_id']}"
        if fields.get("message") == BATCH_MESSAGE:
            # Every other outcome has a line of its own for each event.
            stored = fields.get("correlation_ids", {}).get(Outcome.STORED.value, [])
            for correlation_id in sorted(wanted.intersection(stored)):
                yield Step(line.written_at, "settled", "", correlation_id, f"stored; {request}", fields)
        elif "outcome" in fields:
            attempt = f"receive {fields.get('receive_count')}: {fields.get('message')}"
            why = ": ".join(filter(None, (fields.get("reason"), fields.get("detail"))))
            yield Step(
                line.written_at,
                str(fields["outcome"]),
                str(fields.get("shipment_id", "")),
                str(fields.get("correlation_id", "")),
                "; ".join(filter(None, (attempt, why, request))),
                fields,
            )
