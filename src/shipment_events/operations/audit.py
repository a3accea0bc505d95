"""Hold a producer's journal against the table and the dead-letter queue."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shipment_events.operations.dead_letters import read_dead_letters
from shipment_events.operations.journal import read_journal
from shipment_events.operations.reconcile import QueuedEvent, Reconciliation, TableEvent, reconcile
from shipment_events.store import EventTable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def audit_journal(
    journal_path: Path,
    table: EventTable,
    sqs: "SQSClient",
    dead_letter_queue_url: str,
    *,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Reconciliation:
    """Find where each event of a journal is.

    Only the journal's own shipments are read, so the size of the table does not matter; the journal and
    these shipments' events are held in memory.

    Args:
        on_progress: called with shipments read and shipments in all.

    Of several dead letters with the same envelope and reason one counts: dead letters are at least once, and
    a replay quarantines a broken event anew.

    Raises:
        ValueError: a line of the journal is no record; the message names it.
        OSError: the journal cannot be read.
        botocore.exceptions.ClientError: table or queue cannot be read.
    """
    with journal_path.open(encoding="utf-8") as lines:
        shipment_ids = list(dict.fromkeys(_shipment_ids(record.detail for record in read_journal(lines))))
    letters = read_dead_letters(sqs, dead_letter_queue_url)
    items: list[TableEvent] = []
    with ThreadPoolExecutor(4) as pool:
        timelines = pool.map(lambda shipment_id: list(table.timeline(shipment_id)), shipment_ids)
        for done, timeline in enumerate(timelines, start=1):
            items += [
                TableEvent(
                    item.correlation_id, item.status, datetime.fromisoformat(item.stored_at), item.detail
                )
                for item in timeline
            ]
            on_progress(done, len(shipment_ids))
    with journal_path.open(encoding="utf-8") as lines:
        return reconcile(
            read_journal(lines), items, {QueuedEvent(letter.envelope_id, letter.reason) for letter in letters}
        )


def _shipment_ids(details: Iterable[str]) -> Iterable[str]:
    for detail in details:
        shipment_id = json.loads(detail).get("shipment_id")
        if isinstance(shipment_id, str) and shipment_id:
            yield shipment_id
