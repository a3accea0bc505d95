"""The event: what is refused and why, which moment a time is, and what makes two events the same one."""

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shipment_events.contract.event import parse_event
from shipment_events.contract.exact_json import loads
from shipment_events.contract.outcome import InvalidEventError, Reason
from tests.contract.json_values import INSTANTS, JSON_VALUES, OFFSETS, details, spell, spelled_time, typed
from tests.contract.refusals import assert_fit_for_an_attribute, refusal

EVENT: Final = {
    "shipment_id": "S-1",
    "event_timestamp": "2025-03-01T14:05:00+01:00",
    "event_type": "shipment.departed",
}
ABSENT: Final = object()


def event(**changes: object) -> dict[str, Any]:
    changed = {**EVENT, **changes}
    return {name: value for name, value in changed.items() if value is not ABSENT}


# What is wrong, in which field, with which value, and what the refusal says of it.
MALFORMED: Final[dict[Reason, list[tuple[str, str, object, str]]]] = {
    Reason.MISSING_FIELD: [
        ("no shipment", "shipment_id", ABSENT, "expected a non-empty text, it is missing"),
        ("no time", "event_timestamp", ABSENT, "expected ISO 8601"),
        ("no type", "event_type", ABSENT, "expected shipment.* of at most 128 characters"),
    ],
    Reason.INVALID_FIELD: [
        ("shipment empty", "shipment_id", "", "expected a non-empty text, got ''"),
        ("shipment null", "shipment_id", None, "expected a non-empty text, got null"),
        ("shipment a number", "shipment_id", Decimal(1), "expected a non-empty text, got a number"),
        ("shipment an array", "shipment_id", ["S-1"], "got an array"),
        (
            "shipment too long for a key",
            "shipment_id",
            "é" * 1024 + "x",
            "expected at most 2048 bytes, got 2049",
        ),
        (
            "type of another domain",
            "event_type",
            "order.placed",
            "expected shipment.* of at most 128 characters",
        ),
        ("type in capitals", "event_type", "Shipment.departed", "got 'Shipment.departed'"),
        ("type without an end", "event_type", "shipment.", "got 'shipment.'"),
        ("type too long for the bus", "event_type", "shipment." + "x" * 120, "at most 128 characters"),
        ("type a boolean", "event_type", True, "got a boolean"),
        ("event id empty", "event_id", "", "expected a non-empty text"),
        ("event id a number", "event_id", Decimal(7), "expected a non-empty text, got a number"),
        ("event id too long for a key", "event_id", "x" * 901, "expected at most 900 bytes, got 901"),
        ("carrier a number", "carrier", Decimal(1), "expected a text, got a number"),
        ("description an object", "description", {}, "expected a text, got an object"),
        ("location a text", "location", "Zürich", "expected an object, got 'Z\\xfcrich'"),
        ("location an array", "location", [1, 2], "expected an object, got an array"),
    ],
    Reason.INVALID_TEXT: [
        ("shipment half a character", "shipment_id", "S-\ud83d", ""),
        ("event id half a character", "event_id", "\udc00", "expected Unicode text"),
        ("field half a character", "status", "\ud800", "lone surrogate"),
        ("field name half a character", "\ud800", Decimal(1), "lone surrogate"),
    ],
    Reason.INVALID_TIMESTAMP: [
        ("time null", "event_timestamp", None, "expected ISO 8601 with an offset or Z, got null"),
        ("time in epoch seconds", "event_timestamp", Decimal(1740834300), "got a number"),
        ("time empty", "event_timestamp", "", "got ''"),
        ("time without offset", "event_timestamp", "2025-03-01T14:05:00", "got '2025-03-01T14:05:00'"),
        ("date only", "event_timestamp", "2025-03-01", "got '2025-03-01'"),
        ("time after white space", "event_timestamp", " 2025-03-01T14:05Z", "got ' 2025"),
        ("time before a line break", "event_timestamp", "2025-03-01T14:05Z\n", "Z\\n'"),
        ("time in Arabic digits", "event_timestamp", "٢٠٢٥-03-01T14:05Z", "got '\\u0662"),
        ("finest digit in Arabic", "event_timestamp", "2025-03-01T14:05:00.000000\u0665Z", "got '"),
        ("30 February", "event_timestamp", "2025-02-30T14:05Z", "; "),
        ("month 13", "event_timestamp", "2025-13-01T14:05Z", "; "),
        ("year 0", "event_timestamp", "0000-01-01T00:00Z", ""),
        ("24 o'clock", "event_timestamp", "2025-03-01T24:00Z", ""),
        ("leap second", "event_timestamp", "2016-12-31T23:59:60Z", "a leap second"),
        ("second 61", "event_timestamp", "2025-03-01T14:05:61Z", "; "),
        ("offset of a day", "event_timestamp", "2025-03-01T14:05+24:00", ""),
        ("before the calendar in UTC", "event_timestamp", "0001-01-01T00:00+01:00", ""),
        ("after the calendar in UTC", "event_timestamp", "9999-12-31T23:59-01:00", ""),
        ("19 digits of a second", "event_timestamp", f"2025-03-01T14:05:00.{'1' * 19}Z", ""),
    ],
    Reason.NUMBER_OUT_OF_RANGE: [
        (
            "number of 39 digits",
            "weight",
            {"kg": Decimal(10**38 + 1)},
            "weight.kg: expected a number of at most 38",
        ),
        ("number too large", "x", [Decimal("1E+126")], "x[0]: expected a number"),
    ],
    Reason.TOO_DEEP: [
        ("nested too deep", "x", loads("[" * 31 + "]" * 31), "at most 30 levels"),
    ],
}


@pytest.mark.parametrize(
    ("reason", "field", "value", "says"),
    [
        pytest.param(reason, field, value, says, id=what)
        for reason, rows in MALFORMED.items()
        for what, field, value, says in rows
    ],
)
def test_malformed_event_is_refused(reason: Reason, field: str, value: object, says: str) -> None:
    error = refusal(lambda: parse_event(event(**{field: value})))
    assert error.reason is reason
    assert says in error.detail
    if reason not in {Reason.INVALID_TEXT, Reason.TOO_DEEP}:
        assert error.detail.startswith(field)


@pytest.mark.parametrize("detail", [None, [], "text", Decimal(1), True])
def test_detail_that_is_no_object_is_refused(detail: object) -> None:
    assert refusal(lambda: parse_event(detail)).reason is Reason.INVALID_ENVELOPE


def test_type_must_be_the_detail_type() -> None:
    error = refusal(lambda: parse_event(event(), detail_type="shipment.arrived"))
    assert error.reason is Reason.EVENT_TYPE_MISMATCH
    assert error.detail == "event_type: expected the detail-type 'shipment.arrived', got 'shipment.departed'"
    assert parse_event(event(), detail_type="shipment.departed").event_type == "shipment.departed"


@pytest.mark.parametrize(
    "change",
    [
        {"shipment_id": "é" * 1024},
        {"event_id": "x" * 900},
        {"event_id": None, "carrier": None, "location": None},
        {"carrier": "", "description": ""},
        {"event_type": "shipment." + "x" * 119},
        {"x": loads("[" * 30 + "]" * 30)},
        {"event_timestamp": f"2025-03-01T14:05:00.{'1' * 18}Z"},
    ],
)
def test_event_at_the_border_is_accepted(change: dict[str, Any]) -> None:
    detail = event(**change)
    assert parse_event(detail).detail == detail


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-03-01T14:05:00+01:00", "2025-03-01T13:05:00.000000Z"),
        ("2025-03-01T13:05:00Z", "2025-03-01T13:05:00.000000Z"),
        ("2025-03-01T13:05Z", "2025-03-01T13:05:00.000000Z"),
        ("2025-03-01t13:05:00z", "2025-03-01T13:05:00.000000Z"),
        ("2025-03-01 13:05:00,5Z", "2025-03-01T13:05:00.500000Z"),
        ("2025-03-01T13:05:00.000001Z", "2025-03-01T13:05:00.000001Z"),
        ("2025-03-01T13:05:00.999999999Z", "2025-03-01T13:05:00.999999Z"),
        ("2025-03-01T14:05:00+0100", "2025-03-01T13:05:00.000000Z"),
        ("2025-03-01T14:05:00+01", "2025-03-01T13:05:00.000000Z"),
        ("2025-03-01T13:05:00-00:00", "2025-03-01T13:05:00.000000Z"),
        ("2025-01-01T00:15:00+05:45", "2024-12-31T18:30:00.000000Z"),
        ("2024-02-28T23:30:00-01:00", "2024-02-29T00:30:00.000000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_time_is_this_moment(text: str, moment: str) -> None:
    assert parse_event(event(event_timestamp=text)).moment == moment


def test_sort_key_is_moment_and_event_id() -> None:
    assert parse_event(event(event_id="E-1#2")).sort_key == "2025-03-01T13:05:00.000000Z#E-1#2"


@given(INSTANTS, INSTANTS | st.none(), OFFSETS, OFFSETS, st.integers(-2, 2))
def test_order_of_moments_as_text_is_their_order_in_time(
    one: datetime, other: datetime | None, here: timezone, there: timezone, microseconds: int
) -> None:
    other = other or one + timedelta(microseconds=microseconds)
    first, second = (
        parse_event(event(event_timestamp=spelled_time(instant, offset))).moment
        for instant, offset in ((one, here), (other, there))
    )
    assert (first < second, first == second) == (one < other, one == other)


@given(INSTANTS, OFFSETS, OFFSETS, st.data())
def test_equal_moments_are_the_same_event(
    instant: datetime, here: timezone, there: timezone, data: st.DataObject
) -> None:
    letter, point, zeros = data.draw(
        st.tuples(st.sampled_from("Tt "), st.sampled_from(".,"), st.integers(0, 12))
    )
    local = instant.astimezone(there).isoformat(letter, "microseconds")
    respelled = f"{local[:19]}{point}{local[20:26]}{'0' * zeros}{local[26:]}"
    one = parse_event(event(event_timestamp=spelled_time(instant, here)))
    other = parse_event(event(event_timestamp=respelled))
    assert (one.sort_key, one.content_hash) == (other.sort_key, other.content_hash)
    assert datetime.fromisoformat(one.moment) == instant


def test_digits_beyond_the_microsecond_are_content() -> None:
    coarse, fine, finer = (
        parse_event(event(event_timestamp=f"2025-03-01T13:05:00.000001{digits}Z"))
        for digits in ("", "5", "50000001")
    )
    assert coarse.moment == fine.moment == finer.moment
    assert len({coarse.event_id, fine.event_id, finer.event_id}) == 3


@given(details(), st.randoms(use_true_random=False), OFFSETS)
def test_spelling_is_no_content(detail: dict[str, Any], random: Random, offset: timezone) -> None:
    instant = datetime.fromisoformat(detail["event_timestamp"])
    again = loads(spell({**detail, "event_timestamp": spelled_time(instant, offset)}, random))
    one, other = parse_event(detail), parse_event(again)
    assert (one.sort_key, one.content_hash) == (other.sort_key, other.content_hash)


@given(details(), st.text(min_size=1, max_size=12))
def test_event_id_is_identity_and_no_content(detail: dict[str, Any], event_id: str) -> None:
    one, other = parse_event(detail), parse_event({**detail, "event_id": event_id})
    assert one.content_hash == other.content_hash
    assert other.event_id == event_id
    assert one.event_id == (detail.get("event_id") or one.content_hash[:32])


def without_id(detail: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if name != "event_id"}


@given(details(), st.data())
def test_other_content_is_another_event(detail: dict[str, Any], data: st.DataObject) -> None:
    """One field more, one less or one changed, however small the change is."""
    detail = without_id(detail)
    name = data.draw(
        st.sampled_from([*detail, "note", "carrier"]).filter(
            lambda name: name not in {"event_timestamp", "event_type", "shipment_id"}
        )
    )
    value = data.draw(TEXTS_FOR.get(name, JSON_VALUES))
    changed = {**detail, name: value}
    if data.draw(st.booleans()) and name in detail:
        changed.pop(name)
    assume(typed(changed) != typed(detail))
    assert parse_event(detail).event_id != parse_event(changed).event_id


TEXTS_FOR: Final[dict[str, st.SearchStrategy[Any]]] = {
    name: st.none() | st.text(max_size=3)
    for name in ("carrier", "tracking_number", "carrier_code", "status", "reason_code", "description")
} | {"location": st.none() | st.dictionaries(st.text(max_size=2), JSON_VALUES, max_size=2)}


@pytest.mark.parametrize(
    "change",
    [
        {"shipment_id": "S-2"},
        {"event_timestamp": "2025-03-01T14:05:01+01:00"},
        {"event_type": "shipment.arrived"},
        {"carrier": ""},
        {"carrier": None},
        {"note": None},
        {"note": "S-1"},
    ],
)
def test_derived_id_depends_on_every_field(change: dict[str, Any]) -> None:
    assert parse_event(event()).event_id != parse_event(event(**change)).event_id


def test_derived_id_is_the_same_for_ever() -> None:
    """It lies in tables: another value for the same event would store each repeat anew."""
    detail = loads(
        '{"shipment_id":"S-1","event_timestamp":"2025-03-01T14:05:00.5+01:00","event_type":"shipment.departed",'
        '"location":{"city":"Zürich"},"weight":1.50,"parts":[1,100,true,null]}'
    )
    assert parse_event(detail).event_id == "9712dfca2671bba6c27dc2940887cdee"


@given(details(), st.randoms(use_true_random=False))
def test_event_comes_as_it_was_sent(detail: dict[str, Any], random: Random) -> None:
    parsed = parse_event(loads(spell(detail, random)))
    assert typed(parsed.detail) == typed(detail)
    assert parsed.content_bytes >= len(
        json.dumps(without_id(detail)["shipment_id"], ensure_ascii=False).encode()
    )


@given(st.dictionaries(st.sampled_from([*EVENT, "event_id", "location", "carrier", "x"]), JSON_VALUES))
def test_any_object_is_an_event_or_refused(changes: dict[str, Any]) -> None:
    try:
        parse_event({**EVENT, **changes})
    except InvalidEventError as error:
        assert_fit_for_an_attribute(error)


@given(
    st.text(max_size=40)
    | st.text(alphabet=st.characters(categories=["Cs", "Lu", "Nd"]), max_size=5)
    | st.from_regex(r"\A\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d{1,20})?)?([Zz]|[+-]\d\d(:?\d\d)?)\n?\Z")
)
def test_any_text_for_a_field_is_taken_or_refused(text: str) -> None:
    for name in EVENT | {"event_id": "", "carrier": "", text: ""}:
        try:
            parse_event({**EVENT, name: text})
        except InvalidEventError as error:
            assert_fit_for_an_attribute(error)
