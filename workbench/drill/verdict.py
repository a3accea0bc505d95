"""What the reconciliation of accepted events does not ask: whether each is where its feed line belongs.

Like the reconciliation it shares no rule with the pipeline. It knows from the feed what is wrong with each
line, and from the journal what was sent.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shipment_events.dead_letters.letters import DeadLetterMessage
from shipment_events.publishing.journal import JournalRecord


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An accepted event.

    Attributes:
        expected_reason: why it must be quarantined; None for a good one.
    """

    record: JournalRecord
    expected_reason: str | None


@dataclass(slots=True)
class Verdict:
    """Events that are in the wrong place, each with where.

    Attributes:
        misjudged: good ones that were quarantined, broken ones that were not or for another reason.
        phantoms: dead letters of events that were never sent.
    """

    misjudged: list[str] = field(default_factory=list)
    phantoms: list[str] = field(default_factory=list)


def unique_letters(letters: Iterable[DeadLetterMessage]) -> tuple[list[DeadLetterMessage], int]:
    """Letters without exact repeats, and how many of those there are.

    A function that dies between quarantining an event and saying so quarantines it again: the contract calls
    dead letters at least once, told apart by the envelope's id. The same body for the same reason is one.
    """
    unique: dict[tuple[str, str, str], DeadLetterMessage] = {}
    repeats = 0
    for letter in letters:
        key = (letter.envelope_id, letter.reason, letter.body)
        repeats += key in unique
        unique.setdefault(key, letter)
    return list(unique.values()), repeats


def judge(sent: Sequence[SentEvent], letters: Iterable[DeadLetterMessage]) -> Verdict:
    """Hold the dead letters against the feed.

    Args:
        sent: every event that the bus accepted.
        letters: the dead-letter queue, without repeats.
    """
    verdict = Verdict()
    by_id = {event.record.envelope_id: event for event in sent}
    by_content = _by_content(sent)
    there: set[str] = set()
    for letter in letters:
        # An event whose first answer was lost was sent again, under an envelope id of its own.
        event = by_id.get(letter.envelope_id) or by_content.get(_content(_detail(letter.body)))
        if event is None:
            verdict.phantoms.append(f"{letter.envelope_id}: {letter.reason}, and nothing like it was sent")
            continue
        there.add(letter.envelope_id)
        if event.expected_reason != letter.reason:
            wanted = event.expected_reason or "to be stored"
            verdict.misjudged.append(f"{letter.envelope_id}: {letter.reason}, expected {wanted}")
    verdict.misjudged += [
        f"{event.record.envelope_id}: not quarantined, expected {event.expected_reason}"
        for event in sent
        if event.expected_reason and event.record.envelope_id not in there
    ]
    return verdict


def _by_content(sent: Sequence[SentEvent]) -> Mapping[str, SentEvent]:
    events: dict[str, SentEvent] = {}
    for event in sent:
        events.setdefault(_content(json.loads(event.record.detail)), event)
    return events


def _detail(body: str) -> object:
    envelope = json.loads(body)
    return envelope.get("detail") if isinstance(envelope, dict) else None


def _content(detail: object) -> str:
    return json.dumps(detail, sort_keys=True)
