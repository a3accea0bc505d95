"""The history of one event or shipment, oldest step first."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from shipment_events.contract.names import BATCH_MESSAGE, PARTITION_KEY, SORT_KEY
from shipment_events.contract.outcome import Outcome
from shipment_events.dead_letters.letters import DeadLetterMessage, Reading
from shipment_events.publishing.journal import JournalRecord
from shipment_events.table.item import StoredEvent
from shipment_events.table.store import EventTable
from shipment_events.watching.effects import MOST_EVENTS, effects_of
from shipment_events.watching.log import FunctionLog, LogLine

_MOST_LINES: Final = 200
# CloudWatch Logs also finds lines that contain the identifier inside a longer text.
# Only this limit counts them.
_MOST_READ: Final = 10_000
_MOST_SEARCHES: Final = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One step in the history of an event.

    Attributes:
        at: time of the step in UTC.
        what: ``published``, ``stored``, ``dead letter``, ``settled``, or another outcome that the processor
            logged; ``state`` for the effect on the state of its shipment, at the time of storing;
            ``unfoldable`` if the tracker could not fold it.
        fields: the data of the step.
    """

    at: datetime
    what: str
    shipment_id: str
    correlation_id: str
    detail: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trace:
    """The steps that were found, oldest first.

    Attributes:
        is_whole: False if a limit stopped the search of the log.
    """

    steps: list[Step]
    is_whole: bool


class Letters(Protocol):
    """Dead letters that can be read."""

    def read(self) -> Reading:
        """Those that are visible."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a trace.

    Attributes:
        journal: the records of a producer's journal, or empty without a journal.
        tracker_log: None if the stage does not track shipments.
    """

    table: EventTable
    dead_letters: Letters
    log: FunctionLog
    journal: Sequence[JournalRecord] = ()
    tracker_log: FunctionLog | None = None


def trace(identifier: str, sources: Sources, since: datetime, shipment_id: str | None = None) -> Trace:
    """Search table, dead-letter queue, log and journal.

    The table is read by shipment. An event that was stored without an error is found by its event id or
    correlation id only if its shipment is known from the journal or from ``shipment_id``.

    Args:
        identifier: shipment id, event id, correlation id (the envelope's id) or message id.
        since: start of the search in the log.
        shipment_id: shipment of the event, if it is known.

    Raises:
        botocore.exceptions.ClientError: a source cannot be read.
    """
    published = [record for record in sources.journal if identifier in _names_of_record(record)]
    letters = [
        letter
        for letter in sources.dead_letters.read().letters
        if identifier in (letter.message_id, letter.envelope_id, letter.shipment_id, letter.event_id)
    ]
    log = _LogSearch(sources.log, since, datetime.now(UTC))
    lines = log.naming(identifier)
    shipments = dict.fromkeys(
        [
            *([shipment_id] if shipment_id else [identifier]),
            *(_names_of_record(record)[1] for record in published),
            *(letter.shipment_id for letter in letters),
            *(line.fields.get("shipment_id", "") for line in lines),
        ]
    )
    known = {record.envelope_id for record in published} | {letter.envelope_id for letter in letters}
    known.discard("")
    items = list(_items(sources.table, filter(None, shipments), identifier, known))
    others = dict.fromkeys([*known, *(item.correlation_id for _, item in items)])
    sought = [each for each in others if each and each != identifier]
    for correlation_id in sought[:_MOST_SEARCHES]:
        lines += log.naming(correlation_id)
    steps = [
        *map(_published, published),
        *(_stored(shipment, item) for shipment, item in items),
        *map(_dead, letters),
        *_logged(lines, {identifier, *others}),
    ]
    if sources.tracker_log:
        tracker_log = _LogSearch(sources.tracker_log, since, datetime.now(UTC))
        steps += _unfoldable(tracker_log.naming(identifier), items)
        steps += _effects(sources.table, items)
        log.is_whole &= tracker_log.is_whole
    is_whole = log.is_whole and len(sought) <= _MOST_SEARCHES
    return Trace(sorted(steps, key=lambda step: step.at), is_whole)


def _items(
    table: EventTable, shipment_ids: Iterable[str], identifier: str, known: Container[str]
) -> Iterator[tuple[str, StoredEvent]]:
    """The events of these shipments that match the identifier or a known correlation id."""
    for shipment_id in shipment_ids:
        for item in table.timeline(shipment_id):
            if (
                shipment_id == identifier
                or identifier in (item.event_id, item.correlation_id)
                or item.correlation_id in known
            ):
                yield shipment_id, item


class _LogSearch:
    """Finds lines of the log by an id.

    Attributes:
        is_whole: False if a limit stopped a search.
    """

    def __init__(self, log: FunctionLog, since: datetime, until: datetime) -> None:
        self._log = log
        self._window = since, until
        self.is_whole = True

    def naming(self, identifier: str) -> list[LogLine]:
        """Lines with exactly this id. A search for MAC-1 in CloudWatch Logs also finds MAC-10."""
        found: list[LogLine] = []
        lines = self._log.lines(identifier, *self._window, most=_MOST_READ)
        for line in lines:
            if identifier in _names_of_line(line.fields):
                found.append(line)
            if len(found) == _MOST_LINES:
                self.is_whole = False
                break
        self.is_whole &= lines.is_whole
        return found


def _names_of_line(fields: Mapping[str, Any]) -> set[Any]:
    """The ids in a line of the processor, as ``report_batch`` writes them."""
    names = {fields.get(name) for name in ("shipment_id", "correlation_id", "message_id")}
    _, _, event_id = fields.get("event_timestamp", "").partition("#")
    settled = fields.get("correlation_ids", {}).values()
    return names.union([event_id], *settled)


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


def _effects(table: EventTable, items: Sequence[tuple[str, StoredEvent]]) -> Iterator[Step]:
    """What each of these events does to the state of its shipment."""
    for shipment_id in dict.fromkeys(shipment_id for shipment_id, _ in items):
        effects = effects_of(shipment_id, table.timeline(shipment_id))
        own = [item for of, item in items if of == shipment_id]
        if not effects:
            yield _no_effects(shipment_id, max(own, key=lambda item: item.stored_at))
        for item in own:
            if effect := effects.get(item.sort_key):
                yield Step(
                    datetime.fromisoformat(item.stored_at),
                    "state",
                    shipment_id,
                    item.correlation_id,
                    f"{effect.sentence} (computed from the stored events)",
                    {"sort_key": item.sort_key, "computed_from": "stored events", **effect.as_json},
                )


def _no_effects(shipment_id: str, last: StoredEvent) -> Step:
    return Step(
        datetime.fromisoformat(last.stored_at),
        "state",
        shipment_id,
        last.correlation_id,
        f"not computed: the shipment has more than {MOST_EVENTS:,} events",
        {"sort_key": last.sort_key, "computed_from": None},
    )


def _unfoldable(lines: Iterable[LogLine], items: Sequence[tuple[str, StoredEvent]]) -> Iterator[Step]:
    """Events that the tracker reported as unfoldable."""
    deliveries = {(shipment_id, item.sort_key): item.correlation_id for shipment_id, item in items}
    for line in lines:
        key = str(line.fields.get(PARTITION_KEY, "")), str(line.fields.get(SORT_KEY, ""))
        detail = f"{key[1]}: {line.fields.get('message')}; request {line.fields.get('request_id')}"
        yield Step(
            line.written_at,
            "unfoldable",
            key[0],
            deliveries.get(key, ""),
            f"{detail} of the tracker",
            line.fields,
        )


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
            # Only stored events have no log line of their own.
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
