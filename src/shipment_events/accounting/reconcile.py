"""Account for every event that the bus accepted: in the table once, or in the dead-letter queue.

This module checks the pipeline, so it does not use the pipeline's code to compare events.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

from shipment_events.publishing.journal import JournalRecord

_BEYOND_MICROSECONDS = re.compile(r"[.,]\d{6}(\d+)")


@dataclass(frozen=True, slots=True)
class TableEvent:
    """The attributes of an item that are compared."""

    correlation_id: str
    status: str
    stored_at: datetime
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """The attributes of a dead letter that are compared."""

    envelope_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Item:
    """The part of a ``TableEvent`` that stays in memory."""

    correlation_id: str
    status: str
    stored_at: datetime
    event_id: Any


@dataclass(slots=True)
class Reconciliation:
    """Where the accepted events are. ``published`` is the sum of the six counts below it.

    Attributes:
        discarded: number of records that were not found and that an operator discarded.
        lost: records that were not found.
        doubled: events that were found more than once, and where.
        altered: correlation ids of items that an event of this journal wrote and that differ from each of its
            events.
        unexpected: number of items that match no event of this journal and that another event wrote. It
            comes from an earlier run or another producer.
        hidden_dead_letters: approximate number of dead letters that could not be read. Their events can
            appear as lost.
        latencies_ms: time from sending to storing, for each item that an event of this journal wrote.
        first_sent_at: the earliest time in the journal.
        last_stored_at: the latest time of an item that an event of this journal wrote.
    """

    published: int = 0
    stored: int = 0
    duplicate: int = 0
    conflict: int = 0
    quarantined: int = 0
    discarded: int = 0
    lost: list[JournalRecord] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    unexpected: int = 0
    hidden_dead_letters: int = 0
    quarantined_by_reason: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    first_sent_at: datetime | None = None
    last_stored_at: datetime | None = None

    def undelivered(self, now: datetime, delivery_seconds: float) -> list[JournalRecord]:
        """The lost records that EventBridge may still deliver, because it tries for this long.

        Nothing that can be read tells whether it tries: such an event is in no queue.
        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
        """
        since = now - timedelta(seconds=delivery_seconds)
        return [record for record in self.lost if datetime.fromisoformat(record.sent_at) > since]


def reconcile(
    journal: Iterable[JournalRecord],
    table: Iterable[TableEvent],
    dead_letters: Iterable[QueuedEvent],
    discarded: Collection[str] = (),
) -> Reconciliation:
    """Compare the journal with the table and the dead-letter queue.

    The function holds a digest of each item in memory, not its content.

    Args:
        table: every item of the journal's shipments.
        dead_letters: messages of the dead-letter queue. Messages of other events are ignored.
        discarded: envelope ids of events that an operator discarded.
    """
    items: dict[bytes | str, list[_Item]] = defaultdict(list)
    for event in table:
        items[_content(event.detail)].append(
            _Item(event.correlation_id, event.status, event.stored_at, event.detail.get("event_id"))
        )
    letters: dict[str, list[QueuedEvent]] = defaultdict(list)
    for letter in dead_letters:
        letters[letter.envelope_id].append(letter)

    groups: dict[Any, list[JournalRecord]] = defaultdict(list)
    for record in journal:
        detail = json.loads(record.detail, parse_float=Decimal, parse_int=Decimal)
        groups[(_content(detail), detail.get("event_id"))].append(record)

    result = Reconciliation()
    claimed: set[int] = set()
    for (content, event_id), records in groups.items():
        found = [item for item in items.get(content, ()) if item.event_id == event_id]
        claimed.update(map(id, found))
        _account(result, records, found, letters, discarded)
    ours = {record.envelope_id for records in groups.values() for record in records}
    for item in chain.from_iterable(items.values()):
        if id(item) not in claimed:
            if item.correlation_id in ours:
                result.altered.append(item.correlation_id)
            else:
                result.unexpected += 1
    return result


def _account(
    result: Reconciliation,
    records: list[JournalRecord],
    found: list[_Item],
    letters: Mapping[str, list[QueuedEvent]],
    discarded: Collection[str],
) -> None:
    result.published += len(records)
    sent = min(datetime.fromisoformat(record.sent_at) for record in records)
    result.first_sent_at = min(result.first_sent_at or sent, sent)
    alive: list[JournalRecord] = []
    for record in records:
        dead = letters.get(record.envelope_id, [])
        if not dead:
            alive.append(record)
            continue
        result.quarantined += 1
        result.quarantined_by_reason[dead[0].reason] += 1
        if len(dead) > 1:
            result.doubled.append(f"{record.envelope_id}: {len(dead)} times in the dead-letter queue")
    if not found:
        lost = [record for record in alive if record.envelope_id not in discarded]
        result.lost += lost
        result.discarded += len(alive) - len(lost)
        return
    if len(found) > 1:
        result.doubled.append(f"{records[0].envelope_id}: {len(found)} times in the table")
    if not alive or any(item.correlation_id in letters for item in found):
        result.doubled.append(f"{records[0].envelope_id}: in the table and in the dead-letter queue")
    if not alive:
        return
    if found[0].status == "CONFLICT":
        result.conflict += 1
    else:
        result.stored += 1
    result.duplicate += len(alive) - 1
    _time(result, alive, found[0])


def _time(result: Reconciliation, records: list[JournalRecord], item: _Item) -> None:
    for record in records:
        if record.envelope_id == item.correlation_id:
            took = item.stored_at - datetime.fromisoformat(record.sent_at)
            result.latencies_ms.append(took.total_seconds() * 1000)
            result.last_stored_at = max(result.last_stored_at or item.stored_at, item.stored_at)


def _content(detail: Mapping[str, Any]) -> bytes | str:
    """A key for content. It ignores key order, event id, UTC offset and the notation of numbers."""
    rest = {name: value for name, value in detail.items() if name != "event_id"}
    if "event_timestamp" in rest:
        rest["event_timestamp"] = _instant(rest["event_timestamp"])
    try:
        return hashlib.sha256(_canonical(rest).encode()).digest()
    except RecursionError:
        # No item is nested this deep, so this key matches no item.
        return repr(rest)


def _instant(text: Any) -> Any:
    try:
        # RFC 3339 also allows t and z.
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, AttributeError, OverflowError):
        return text
    finer = _BEYOND_MICROSECONDS.search(text)
    return f"{moment.isoformat()}+{finer[1].rstrip('0') if finer else ''}"


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        fields = sorted(f"{json.dumps(name)}:{_canonical(inner)}" for name, inner in value.items())
        return f"{{{','.join(fields)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_canonical, value))}]"
    if isinstance(value, Decimal) and value.is_finite():
        return _canonical_number(value)
    return json.dumps(value)


def _canonical_number(value: Decimal) -> str:
    """The same text for 1.50, 1.5 and 15e-1, and for 0 and -0."""
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    significant = text.rstrip("0")
    if not significant:
        return "0"
    return f"{'-' * sign}{significant}e{int(exponent) + len(text) - len(significant)}"
