"""Checks that each accepted event ended where its feed line belongs. The reconciliation does not check this.

It shares no rule with the pipeline. The feed knows the defect of each line. The journal has the sent events.
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
    """Events that are in the wrong place, with their place.

    Attributes:
        misjudged: good ones that were quarantined, broken ones that were not or for another reason.
        phantoms: dead letters of events that were never sent.
    """

    misjudged: list[str] = field(default_factory=list)
    phantoms: list[str] = field(default_factory=list)


def unique_letters(letters: Iterable[DeadLetterMessage]) -> tuple[list[DeadLetterMessage], int]:
    """Letters without exact repeats, and the number of repeats.

    If a function dies after it quarantined an event but before it reported that, it quarantines the event
    again. The contract allows this. A repeat has the same envelope id, reason and body.
    """
    unique: dict[tuple[str, str, str], DeadLetterMessage] = {}
    repeats = 0
    for letter in letters:
        key = (letter.envelope_id, letter.reason, letter.body)
        repeats += key in unique
        unique.setdefault(key, letter)
    return list(unique.values()), repeats


def judge(sent: Sequence[SentEvent], letters: Iterable[DeadLetterMessage]) -> Verdict:
    """Compare the dead letters with the feed.

    Args:
        sent: every event that the bus accepted.
        letters: the dead-letter queue, without repeats.
    """
    verdict = Verdict()
    by_id = {event.record.envelope_id: event for event in sent}
    by_content = _by_content(sent)
    there: set[str] = set()
    for letter in letters:
        # If the first answer was lost, the event was sent again and has another envelope id.
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
