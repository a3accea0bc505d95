"""JSON that loses nothing: exact numbers, no key twice, one text for equal content."""

import json
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.contract.exact_json import canonical_json, dumps, loads
from shipment_events.contract.limits import MAX_DEPTH
from shipment_events.contract.outcome import InvalidEventError, Reason
from tests.contract.json_values import JSON_VALUES, spell, typed


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.INVALID_JSON),
        ("shipment", Reason.INVALID_JSON),
        ('{"a":1', Reason.INVALID_JSON),
        ('{"a":1} {}', Reason.INVALID_JSON),
        ("{'a':1}", Reason.INVALID_JSON),
        ('{"a":1,}', Reason.INVALID_JSON),
        ('"\\q"', Reason.INVALID_JSON),
        ('"\n"', Reason.INVALID_JSON),
        ("\ufeff{}", Reason.INVALID_JSON),
        ("01", Reason.INVALID_JSON),
        (".5", Reason.INVALID_JSON),
        ("NaN", Reason.INVALID_JSON),
        ('{"weight":Infinity}', Reason.INVALID_JSON),
        ("[-Infinity]", Reason.INVALID_JSON),
        ('{"a":1,"a":1}', Reason.DUPLICATE_KEY),
        ('{"a":{"b":1,"c":2,"b":3}}', Reason.DUPLICATE_KEY),
        ("1e99999999999999999999", Reason.NUMBER_OUT_OF_RANGE),
        ("[-1e-99999999999999999999]", Reason.NUMBER_OUT_OF_RANGE),
        (nested(100_000), Reason.TOO_DEEP),
    ],
)
def test_text_that_is_no_json_or_cannot_be_kept_is_refused(text: str, reason: Reason) -> None:
    with pytest.raises(InvalidEventError) as caught:
        loads(text)
    assert caught.value.reason is reason


def test_refusal_of_a_key_that_comes_twice_names_it() -> None:
    with pytest.raises(InvalidEventError, match=r"duplicate_key: 'Gewicht \\u20ac': expected once"):
        loads('{"x":[{"Gewicht €":1,"Gewicht €":2}]}')


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
        ([Decimal("1.50"), Decimal("100"), Decimal("0.00"), Decimal("-0")], "[1.5,100,0,0]"),
        ({"ß": "Zürich ✈ 𐍈", "quote": '"\\\n'}, '{"quote":"\\"\\\\\\n","ß":"Zürich ✈ 𐍈"}'),
        ([True, False, None, 1, "", [], {}], '[true,false,null,1,"",[],{}]'),
        (0.1, "0.1"),
        (Decimal(10**38 - 1), "9" * 38),
        (Decimal(f"{'9' * 38}E88"), f"{'9' * 38}E+88".replace("9", "9.", 1).replace("E+88", "E+125")),
    ],
)
def test_canonical_form_is_this_text(value: object, canonical: str) -> None:
    assert canonical_json(value) == canonical


def test_plain_form_keeps_the_order_of_keys_and_the_spelling_of_numbers() -> None:
    text = '{"b":1.50,"a":[100,-0.0,1E+2],"é":"é"}'
    assert dumps(loads(text)) == text


@pytest.mark.parametrize("encode", [dumps, canonical_json])
@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("9" * 38, True),
        ("9" * 39, False),
        ("1" + "0" * 38, True),
        ("1." + "0" * 60, True),
        ("0." + "1" * 38, True),
        ("0." + "1" * 39, False),
        ("9.9999999999999999999999999999999999999E+125", True),
        ("-9.9999999999999999999999999999999999999E+125", True),
        ("1E+126", False),
        ("1E-130", True),
        ("1E-131", False),
        ("9E-131", False),
        ("0E+500", True),
    ],
)  # fmt: skip
def test_number_is_kept_where_the_table_has_room_for_it(encode: Any, text: str, fits: bool) -> None:
    value = {"weight": {"net": [loads(text)]}}
    if fits:
        assert loads(encode(value))["weight"]["net"][0] == Decimal(text)
    else:
        with pytest.raises(InvalidEventError, match=r"number_out_of_range: weight\.net\[0\]: expected"):
            encode(value)


@pytest.mark.parametrize("encode", [dumps, canonical_json])
def test_nesting_ends_where_the_table_has_no_more_levels(encode: Any) -> None:
    encode(loads(nested(MAX_DEPTH + 1)))
    with pytest.raises(InvalidEventError) as caught:
        encode(loads(nested(MAX_DEPTH + 2)))
    assert caught.value.reason is Reason.TOO_DEEP


@pytest.mark.parametrize("encode", [dumps, canonical_json])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": (1, 2)}, Reason.INVALID_FIELD),
        ({"a": {1: 2}}, Reason.INVALID_FIELD),
        ({"a": {"b": 1, None: 2}}, Reason.INVALID_FIELD),
        ({"a": b"bytes"}, Reason.INVALID_FIELD),
        ({"a": float("nan")}, Reason.NUMBER_OUT_OF_RANGE),
        ({"a": float("-inf")}, Reason.NUMBER_OUT_OF_RANGE),
        ({"a": Decimal("sNaN")}, Reason.NUMBER_OUT_OF_RANGE),
        ({"a": 10**5000}, Reason.NUMBER_OUT_OF_RANGE),
    ],
)
def test_value_that_is_no_json_is_refused_by_name(encode: Any, value: object, reason: Reason) -> None:
    with pytest.raises(InvalidEventError, match=": a: expected") as caught:
        encode(value)
    assert caught.value.reason is reason


@given(JSON_VALUES)
def test_round_trip_loses_nothing(value: object) -> None:
    assert typed(loads(dumps(value))) == typed(value)


@given(JSON_VALUES)
def test_other_decoders_read_the_same(value: object) -> None:
    for text in (dumps(value), canonical_json(value)):
        assert typed(json.loads(text, parse_float=Decimal, parse_int=Decimal)) == typed(value)


@given(JSON_VALUES)
def test_canonical_form_of_the_canonical_form_is_itself(value: object) -> None:
    canonical = canonical_json(value)
    assert canonical_json(loads(canonical)) == canonical


@given(JSON_VALUES, st.randoms(use_true_random=False))
def test_canonical_form_is_blind_to_spelling(value: object, random: Random) -> None:
    assert canonical_json(loads(spell(value, random))) == canonical_json(value)


# Few and near values, so that equal ones and almost equal ones meet.
_NEAR = st.recursive(
    st.sampled_from(
        [None, True, False, "", "1", "null", Decimal(1), Decimal("1.0"), Decimal(10), Decimal(0)]
    ),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(st.sampled_from("ab"), children),
    max_leaves=3,
)


@given(_NEAR, _NEAR)
def test_canonical_forms_are_equal_exactly_where_the_content_is(one: object, other: object) -> None:
    assert (canonical_json(one) == canonical_json(other)) == (typed(one) == typed(other))


@given(st.text() | st.text(alphabet='{}[]",:0123456789.eE+-\\u nultrefasNIiy', max_size=30))
def test_any_text_is_json_or_refused(text: str) -> None:
    try:
        value = loads(text)
    except InvalidEventError:
        return
    assert typed(value) == typed(json.loads(text, parse_float=Decimal, parse_int=Decimal))
