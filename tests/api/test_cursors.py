"""Cursors are opaque positions, valid for one query of one stage."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.api.cursors import cursor_of, position_of
from shipment_events.api.parameters import MAX_CURSOR_CHARACTERS
from shipment_events.api.problems import ProblemError

QUERY = {"collection": "shipments", "status": "in_transit"}
ALPHABET = string.ascii_letters + string.digits + "-_=+/."


def refusal(cursor: str, stage: str = "dev", query: dict[str, str] = QUERY) -> tuple[int, str, str | None]:
    """Status, code and parameter of the problem."""
    with pytest.raises(ProblemError) as caught:
        position_of(cursor, stage, query)
    return caught.value.status.value, caught.value.code, caught.value.parameter


def is_refused(cursor: str, stage: str = "dev", query: dict[str, str] = QUERY) -> bool:
    return refusal(cursor, stage, query) == (400, "invalid_cursor", "cursor")


@given(st.text(min_size=1))
def test_a_cursor_gives_its_position_back(position: str) -> None:
    assert position_of(cursor_of(position, "dev", QUERY), "dev", QUERY) == position


@given(st.text(min_size=1, max_size=12), st.data())
def test_a_cursor_with_one_other_character_is_refused(position: str, data: st.DataObject) -> None:
    cursor = cursor_of(position, "dev", QUERY)
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from([one for one in ALPHABET if one != cursor[at]]))
    assert is_refused(cursor[:at] + other + cursor[at + 1 :])


def test_every_last_character_but_the_right_one_is_refused() -> None:
    """A decoder ignores some bits of the last character."""
    for length in range(1, 4):
        cursor = cursor_of("x" * length, "dev", QUERY)
        assert all(is_refused(cursor[:-1] + one) for one in ALPHABET if one != cursor[-1])


@pytest.mark.parametrize(
    ("stage", "query"),
    [
        ("prod", QUERY),
        ("dev", {**QUERY, "status": "delivered"}),
        ("dev", {**QUERY, "before": "2026-01-01T00:00:00.000000Z"}),
        ("dev", {"collection": "events", "shipment_id": "in_transit"}),
    ],
)
def test_a_cursor_of_another_query_is_refused(stage: str, query: dict[str, str]) -> None:
    assert is_refused(cursor_of("position", "dev", QUERY), stage, query)


CURSOR = cursor_of("x", "dev", QUERY)


@pytest.mark.parametrize(
    "cursor",
    [
        "", "=", "A", "AAAA", "ü", "%", f"{CURSOR}=", f" {CURSOR}",
        base64.urlsafe_b64encode(b"\xff" * 30).decode(), cursor_of("x" * 4000, "dev", QUERY),
    ],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    assert is_refused(cursor)


def test_the_longest_position_fits() -> None:
    position = "2026-01-01T00:00:00.000000Z" + "\x01" * 2048
    assert len(cursor_of(position, "dev", QUERY)) < MAX_CURSOR_CHARACTERS
