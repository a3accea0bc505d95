"""Hold a producer's journal against the table and the dead-letter queue."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shipment_events.operations.dead_letters import read_dead_letters
from shipment_events.operations.journal import read_journal
from shipment_events.operations.reconcile import QueuedEvent, Reconciliation, TableEvent, reconcile
from shipment_events.store import EventTable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_READERS: Final = 4
_READ_AHEAD: Final = 64


def audit_journal(
    journal_path: Path,
    table: EventTable,
    sqs: "SQSClient",
    dead_letter_queue_url: str,
    *,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Reconciliation:
    """Find where each event of a journal is.

    Only the journal's own shipments are read, so the size of the table does not matter; the journal is held
    in memory.

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
    with journal_path.open(encoding="utf-8") as lines:
        return reconcile(
            read_journal(lines),
            _stored_events(table, shipment_ids, on_progress),
            {QueuedEvent(letter.envelope_id, letter.reason) for letter in letters},
        )


def _stored_events(
    table: EventTable, shipment_ids: Sequence[str], on_progress: Callable[[int, int], None]
) -> Iterator[TableEvent]:
    done = 0
    with ThreadPoolExecutor(_READERS) as pool:
        # Some at a time: what is read before it is wanted is held in memory.
        for start in range(0, len(shipment_ids), _READ_AHEAD):
            some = shipment_ids[start : start + _READ_AHEAD]
            for timeline in pool.map(lambda shipment_id: list(table.timeline(shipment_id)), some):
                for item in timeline:
                    stored_at = datetime.fromisoformat(item.stored_at)
                    yield TableEvent(item.correlation_id, item.status, stored_at, item.detail)
                done += 1
                on_progress(done, len(shipment_ids))


def _shipment_ids(details: Iterable[str]) -> Iterable[str]:
    for detail in details:
        shipment_id = json.loads(detail).get("shipment_id")
        if isinstance(shipment_id, str) and shipment_id:
            yield shipment_id
