"""Compare a producer's journal with the table and the dead-letter queue."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from shipment_events.accounting.reconcile import QueuedEvent, Reconciliation, TableEvent, reconcile
from shipment_events.contract.exact_json import dumps, loads
from shipment_events.contract.limits import MAX_SHIPMENT_ID_BYTES
from shipment_events.dead_letters.edits import Edit, edited
from shipment_events.dead_letters.exports import Decision, Exported, read_export
from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.publishing.journal import JournalRecord, read_journal_file
from shipment_events.table.store import EventTable

_READERS: Final = 4
_READ_AHEAD: Final = 64


def audit_journal(
    journal_path: Path,
    table: EventTable,
    dead_letters: DeadLetterQueue,
    *,
    exports: Sequence[Path] = (),
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Reconciliation:
    """Find where each event of a journal is.

    The function reads only the shipments of the journal, so the size of the table does not matter. It holds
    the journal in memory.

    Dead letters with the same envelope and reason count as one. SQS delivers at least once, and a replay
    quarantines a broken event again.

    Args:
        exports: files of dead letters that were discarded or redriven, oldest first. A discarded event can be
            missing. An event that was changed and redriven must be in the table with its changes.
        on_progress: called with the number of shipments read and the number of all shipments.

    Raises:
        JournalError: a line of the journal is not a record, or the journal is not UTF-8.
        LetterExportError: an export is invalid. The message names the line.
        OSError: the journal or an export cannot be read.
        botocore.exceptions.ClientError: the table or the queue cannot be read.
    """
    decided = _decided(exports)
    shipment_ids = list(dict.fromkeys(_shipment_ids(_as_decided(read_journal_file(journal_path), decided))))
    read = dead_letters.read()
    found = reconcile(
        _as_decided(read_journal_file(journal_path), decided),
        _stored_events(table, shipment_ids, on_progress),
        {QueuedEvent(letter.envelope_id, letter.reason) for letter in read.letters},
        {key for key, found in decided.items() if found.decision is Decision.DISCARDED},
    )
    found.hidden_dead_letters = read.hidden
    return found


def _decided(exports: Sequence[Path]) -> dict[str, Exported]:
    """The last decision for each envelope. A later redrive keeps the changes of an earlier one."""
    decided: dict[str, Exported] = {}
    for path in exports:
        for found in read_export(path):
            before = decided.get(found.letter.envelope_id)
            if before and before.decision is Decision.REDRIVEN:
                kept = {name: value for name, value in before.changes.items() if name not in found.changes}
                found = replace(found, changes={**kept, **found.changes})  # noqa: PLW2901
            decided[found.letter.envelope_id] = found
    return decided


def _as_decided(records: Iterable[JournalRecord], decided: Mapping[str, Exported]) -> Iterator[JournalRecord]:
    """Yield the journal's records. A redriven event has the changes that were made to it."""
    for record in records:
        found = decided.get(record.envelope_id)
        if found is None or found.decision is not Decision.REDRIVEN or not found.changes:
            yield record
            continue
        edits = [Edit(name, value) for name, value in found.changes.items()]
        try:
            envelope = loads(edited(found.letter.body, edits))
        except ValueError:
            # The change could not be made, so nothing was sent.
            yield record
            continue
        yield replace(
            record,
            source=envelope["source"],
            detail_type=envelope["detail-type"],
            detail=dumps(envelope["detail"]),
        )


def _stored_events(
    table: EventTable, shipment_ids: Sequence[str], on_progress: Callable[[int, int], None]
) -> Iterator[TableEvent]:
    done = 0
    with ThreadPoolExecutor(_READERS) as pool:
        # Results that wait for the consumer are in memory, so only a few shipments are read ahead.
        for start in range(0, len(shipment_ids), _READ_AHEAD):
            some = shipment_ids[start : start + _READ_AHEAD]
            for timeline in pool.map(lambda shipment_id: list(table.timeline(shipment_id)), some):
                for item in timeline:
                    stored_at = datetime.fromisoformat(item.stored_at)
                    yield TableEvent(item.correlation_id, item.status, stored_at, item.detail)
                done += 1
                on_progress(done, len(shipment_ids))


def _shipment_ids(records: Iterable[JournalRecord]) -> Iterator[str]:
    return filter(None, (shipment_id_of(record.detail) for record in records))


def shipment_id_of(detail: str) -> str:
    """The shipment of an event; empty if it has none that can be a key of a table.

    DynamoDB refuses to search for a longer key, so such an event cannot be in the table.
    """
    shipment_id = json.loads(detail).get("shipment_id")
    if not isinstance(shipment_id, str):
        return ""
    try:
        is_key = len(shipment_id.encode()) <= MAX_SHIPMENT_ID_BYTES
    except UnicodeEncodeError:
        return ""
    return shipment_id if is_key else ""
