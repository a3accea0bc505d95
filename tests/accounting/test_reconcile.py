import ast
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.accounting import reconcile as reconcile_module
from shipment_events.accounting.reconcile import QueuedEvent, Reconciliation, TableEvent, reconcile
from shipment_events.publishing.journal import JournalRecord

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
DEPARTED = '{"shipment_id":"S-1","event_timestamp":"2025-03-01T14:05:00+01:00","event_id":"1","x":1}'
ARRIVED = '{"shipment_id":"S-1","event_timestamp":"2025-03-02T14:05:00+01:00","event_id":"2","x":1}'


def sent(envelope_id: str, detail: str = DEPARTED, seconds: float = 0) -> JournalRecord:
    sent_at = (NOON + timedelta(seconds=seconds)).isoformat()
    return JournalRecord(envelope_id, sent_at, "shipment.service", "shipment.x", detail)


def item(
    correlation_id: str, detail: str = DEPARTED, status: str = "PROCESSED", seconds: float = 1
) -> TableEvent:
    content = json.loads(detail, parse_float=Decimal, parse_int=Decimal)
    return TableEvent(correlation_id, status, NOON + timedelta(seconds=seconds), content)


def dead(envelope_id: str, reason: str = "missing_field") -> QueuedEvent:
    return QueuedEvent(envelope_id, reason)


def with_field(detail: str, name: str, text: str) -> str:
    return f'{detail[:-1]},"{name}":{text}}}'


def summary(found: Reconciliation) -> dict[str, int]:
    counts = {
        "stored": found.stored,
        "duplicate": found.duplicate,
        "conflict": found.conflict,
        "quarantined": found.quarantined,
        "discarded": found.discarded,
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "altered": len(found.altered),
        "unexpected": found.unexpected,
    }
    assert found.published == sum(list(counts.values())[:6])
    return {name: count for name, count in counts.items() if count}


def test_nothing_published_and_nothing_there() -> None:
    found = reconcile([], [], [])
    assert summary(found) == {}
    assert found.first_sent_at is None
    assert found.last_stored_at is None


def test_all_fine() -> None:
    found = reconcile([sent("a"), sent("b", ARRIVED)], [item("a"), item("b", ARRIVED)], [])
    assert summary(found) == {"stored": 2}


def test_a_lost_event_is_named() -> None:
    found = reconcile([sent("a"), sent("b", ARRIVED)], [item("a")], [])
    assert summary(found) == {"stored": 1, "lost": 1}
    assert [record.envelope_id for record in found.lost] == ["b"]


def test_a_discarded_event_is_not_lost_and_may_be_back() -> None:
    records = [sent("a"), sent("b", ARRIVED)]
    assert summary(reconcile(records, [item("b", ARRIVED)], [], {"a"})) == {"stored": 1, "discarded": 1}
    assert summary(reconcile(records, [item("b", ARRIVED)], [dead("a")], {"a"})) == {
        "stored": 1, "quarantined": 1,
    }  # fmt: skip
    assert summary(reconcile(records, [item("a"), item("b", ARRIVED)], [], {"a"})) == {"stored": 2}


def test_every_repeat_of_a_lost_event_is_lost() -> None:
    assert summary(reconcile([sent("a"), sent("b")], [], [])) == {"lost": 2}


def test_repeats_are_duplicates() -> None:
    found = reconcile([sent("a"), sent("b"), sent("c")], [item("b")], [])
    assert summary(found) == {"stored": 1, "duplicate": 2}


def test_a_quarantined_event_is_counted_by_its_reason() -> None:
    records = [sent("a"), sent("b", ARRIVED), sent("c", '{"x":2}')]
    letters = [dead("b"), dead("c", "unmatched"), dead("of another run")]
    found = reconcile(records, [item("a")], letters)
    assert summary(found) == {"stored": 1, "quarantined": 2}
    assert found.quarantined_by_reason == Counter(missing_field=1, unmatched=1)


def test_twice_in_the_table_is_doubled_and_named() -> None:
    found = reconcile([sent("a")], [item("a"), item("a")], [])
    assert summary(found) == {"stored": 1, "doubled": 1}
    assert found.doubled == ["a: 2 times in the table"]


def test_a_copy_under_another_correlation_id_is_doubled() -> None:
    found = reconcile([sent("a")], [item("a"), item("phantom")], [])
    assert summary(found) == {"stored": 1, "doubled": 1}


def test_twice_in_the_dead_letter_queue_is_doubled_and_named() -> None:
    found = reconcile([sent("a")], [], [dead("a"), dead("a")])
    assert summary(found) == {"quarantined": 1, "doubled": 1}
    assert found.doubled == ["a: 2 times in the dead-letter queue"]


def test_in_both_places_is_doubled_and_named() -> None:
    found = reconcile([sent("a")], [item("a")], [dead("a", "retries_exhausted")])
    assert summary(found) == {"quarantined": 1, "doubled": 1}
    assert found.doubled == ["a: in the table and in the dead-letter queue"]


def test_in_both_places_is_doubled_though_a_repeat_is_alive() -> None:
    found = reconcile([sent("a"), sent("b")], [item("a")], [dead("a")])
    assert summary(found) == {"stored": 1, "quarantined": 1, "doubled": 1}


def test_a_repeat_in_the_dead_letter_queue_is_not_doubled() -> None:
    found = reconcile([sent("a"), sent("b")], [item("a")], [dead("b", "retries_exhausted")])
    assert summary(found) == {"stored": 1, "quarantined": 1}


def test_a_conflict_is_another_event_beside_the_first() -> None:
    enriched = with_field(DEPARTED, "signed_by", '"M. Müller"')
    found = reconcile([sent("a"), sent("b", enriched)], [item("a"), item("b", enriched, "CONFLICT")], [])
    assert summary(found) == {"stored": 1, "conflict": 1}


def test_a_conflict_that_was_dropped_is_lost() -> None:
    enriched = with_field(DEPARTED, "signed_by", '"M. Müller"')
    found = reconcile([sent("a"), sent("b", enriched)], [item("a")], [])
    assert summary(found) == {"stored": 1, "lost": 1}


def test_repeats_of_a_conflict_are_duplicates() -> None:
    enriched = with_field(DEPARTED, "signed_by", '"M. Müller"')
    records = [sent("a"), sent("b", enriched), sent("c", enriched)]
    found = reconcile(records, [item("a"), item("b", enriched, "CONFLICT")], [])
    assert summary(found) == {"stored": 1, "conflict": 1, "duplicate": 1}


@pytest.mark.parametrize("detail", [with_field(DEPARTED, "y", "1"), DEPARTED.replace('"x":1', '"x":2')])
def test_changed_content_is_lost_and_altered(detail: str) -> None:
    found = reconcile([sent("a")], [item("a", detail)], [])
    assert summary(found) == {"lost": 1, "altered": 1}
    assert found.altered == ["a"]


def test_a_copy_as_another_event_is_altered() -> None:
    copy = DEPARTED.replace('"event_id":"1"', '"event_id":"9"')
    found = reconcile([sent("a")], [item("a"), item("a", copy)], [])
    assert summary(found) == {"stored": 1, "altered": 1}


def test_what_others_stored_is_unexpected_and_no_fault() -> None:
    found = reconcile([sent("a")], [item("a"), item("of another run", ARRIVED)], [])
    assert summary(found) == {"stored": 1, "unexpected": 1}


def test_an_event_that_an_earlier_run_stored_is_there() -> None:
    found = reconcile([sent("a")], [item("of another run")], [])
    assert summary(found) == {"stored": 1}
    assert found.latencies_ms == []


@pytest.mark.parametrize("written_id", ["", ',"event_id":null'])
def test_an_event_without_id_is_found_by_its_content(written_id: str) -> None:
    detail = '{"shipment_id":"S-1","event_timestamp":"2025-03-01T14:05:00+01:00","x":1%s}'
    records = [sent("a", detail % written_id)]
    assert summary(reconcile(records, [item("a", detail % written_id)], [])) == {"stored": 1}
    assert reconcile(records, [item("b", detail % ',"event_id":"given"')], []).lost == records, (
        "another event"
    )


def test_events_that_differ_in_their_id_alone_are_two() -> None:
    second = DEPARTED.replace('"event_id":"1"', '"event_id":"9"')
    records = [sent("a"), sent("b", second)]
    assert summary(reconcile(records, [item("a"), item("b", second)], [])) == {"stored": 2}
    found = reconcile(records, [item("a")], [])
    assert summary(found) == {"stored": 1, "lost": 1}
    assert [record.envelope_id for record in found.lost] == ["b"]


SAME = [
    ("2025-03-01T14:05:00+01:00", "2025-03-01T13:05:00Z"),
    ("2025-03-01T14:05:00+01:00", "2025-03-01t13:05:00z"),
    ("2025-03-01T14:05:00+01:00", "2025-03-01 18:50:00.000+05:45"),
    ("2025-03-01T14:05:00+01:00", "2025-03-01T14:05+01:00"),
    ("2025-03-01T14:05:00+01:00", "2025-03-01T14:05:00,0+0100"),
    ("2025-03-01T14:05:00.123456789Z", "2025-03-01T15:05:00.12345678900+01"),
]
OTHER = [
    ("2025-03-01T14:05:00+01:00", "2025-03-01T14:05:00+02:00"),
    ("2025-03-01T14:05:00Z", "2025-03-01T14:05:00.000001Z"),
    ("2025-03-01T14:05:00.123456Z", "2025-03-01T14:05:00.1234561Z"),
    ("2025-03-01T14:05:00.1234561Z", "2025-03-01T14:05:00.1234562Z"),
]


@pytest.mark.parametrize(
    ("time", "other", "is_same"), [(*p, True) for p in SAME] + [(*p, False) for p in OTHER]
)
def test_tells_instants_and_not_their_spelling(time: str, other: str, is_same: bool) -> None:
    detail = DEPARTED.replace("2025-03-01T14:05:00+01:00", time)
    repeat = DEPARTED.replace("2025-03-01T14:05:00+01:00", other)
    found = reconcile([sent("a", detail), sent("b", repeat)], [item("a", detail)], [])
    assert summary(found) == ({"stored": 1, "duplicate": 1} if is_same else {"stored": 1, "lost": 1})


@pytest.mark.parametrize(
    ("value", "other", "is_same"),
    [
        ("1", "1.0", True),
        ("100", "1E+2", True),
        ("0.10", "0.1", True),
        ("0", "-0.0", True),
        ("1", "true", False),
        ("0", "false", False),
        ("1", '"1"', False),
        ("null", "false", False),
        ("null", '""', False),
        ("[]", "{}", False),
        ("[]", "null", False),
        ("[1]", "[true]", False),
        ("[1,2]", "[2,1]", False),
        ('{"a":1,"b":2}', '{"b":2.0,"a":1}', True),
        ('[["a",1]]', '{"a":1}', False),
        ("9007199254740993", "9007199254740992", False),
        ("0.1234567890123456789", "0.1234567890123456788", False),
        ('"\\u0141"', '"Ł"', True),
    ],
)
def test_tells_values_and_not_their_spelling(value: str, other: str, is_same: bool) -> None:
    detail, repeat = with_field(DEPARTED, "value", value), with_field(DEPARTED, "value", other)
    found = reconcile([sent("a", detail), sent("b", repeat)], [item("a", detail)], [])
    assert summary(found) == ({"stored": 1, "duplicate": 1} if is_same else {"stored": 1, "lost": 1})


def test_nesting_of_any_depth_is_judged() -> None:
    deep = with_field(DEPARTED, "x", "[" * 900 + "]" * 900)
    assert summary(reconcile([sent("a", deep)], [], [dead("a", "too_deep")])) == {"quarantined": 1}


def test_latency_is_that_of_the_delivery_that_stored_the_event() -> None:
    records = [sent("a", seconds=0), sent("b", seconds=5), sent("c", ARRIVED, seconds=2)]
    found = reconcile(records, [item("b", seconds=5.25), item("c", ARRIVED, seconds=2.125)], [])
    assert sorted(found.latencies_ms) == [125, 250]
    assert found.first_sent_at == NOON
    assert found.last_stored_at == NOON + timedelta(seconds=5.25)


@given(seed=st.integers(0, 2**32), damage=st.sampled_from(["none", "lose", "double", "alter", "both"]))
def test_every_damage_to_a_random_history_is_caught_and_nothing_else(seed: int, damage: str) -> None:
    random = Random(seed)
    records: list[JournalRecord] = []
    items: list[TableEvent] = []
    letters: list[QueuedEvent] = []
    for number in range(random.randint(1, 12)):
        detail = DEPARTED.replace('"event_id":"1"', f'"event_id":"{number}"')
        copies = [sent(f"{number}/{copy}", detail) for copy in range(random.randint(1, 3))]
        records += copies
        if random.random() < 0.3:
            letters += [dead(record.envelope_id) for record in copies]
        else:
            items.append(item(random.choice(copies).envelope_id, detail))
    for rows in (records, items, letters):
        random.shuffle(rows)
    if not items:
        damage = "none"
    if damage == "lose":
        items.pop()
    elif damage == "double":
        items.append(items[-1])
    elif damage == "alter":
        items[-1] = TableEvent(
            items[-1].correlation_id, "PROCESSED", NOON, {**items[-1].detail, "x": Decimal(2)}
        )
    elif damage == "both":
        letters.append(dead(items[-1].correlation_id))
    found = reconcile(records, items, letters)
    summary(found)
    assert bool(found.lost) == (damage in {"lose", "alter"})
    assert bool(found.doubled) == (damage in {"double", "both"})
    assert bool(found.altered) == (damage == "alter")
    assert found.unexpected == 0


def test_shares_no_rule_with_the_pipeline_that_it_judges() -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(Path(reconcile_module.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    ours: Any = {name for name in imported if name.startswith("shipment_events")}
    assert ours == {"shipment_events.publishing.journal"}
