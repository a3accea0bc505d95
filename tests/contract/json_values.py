"""JSON values and events for property tests, and an encoder that can spell the same content in many ways.

Nothing here uses the code under test, so that a mistake there cannot hide here.
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any, Final

from hypothesis import strategies as st

FIELD_NAMES: Final = (
    "shipment_id", "event_timestamp", "event_type", "event_id", "carrier", "tracking_number", "carrier_code",
    "status", "reason_code", "description", "location", "estimated_delivery", "retracts",
)  # fmt: skip
# Attributes that the table adds; a producer may use the names for something else.
OWN_ATTRIBUTES: Final = (
    "processing_status", "content_hash", "correlation_id", "stored_at", "expires_at", "detail",
)  # fmt: skip


def _number(negative: bool, coefficient: int, magnitude: int) -> Decimal:
    digits = str(coefficient)
    return Decimal((int(negative), tuple(map(int, digits)), magnitude - len(digits) + 1))


TEXTS: Final = st.text(max_size=12)
NUMBERS: Final = st.one_of(
    st.sampled_from([Decimal(0), Decimal(1), Decimal("1.5"), Decimal(-100)]),
    st.integers(-(10**38) + 1, 10**38 - 1).map(Decimal),
    st.builds(_number, st.booleans(), st.integers(1, 10**38 - 1), st.integers(-130, 125)),
)
JSON_VALUES: Final = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=8,
)
OFFSETS: Final = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# A day away from the ends of the calendar, so that every offset has a moment in UTC.
INSTANTS: Final = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)


def spelled_time(instant: datetime, offset: timezone) -> str:
    """ISO 8601 with the given offset."""
    return instant.astimezone(offset).isoformat()


@st.composite
def details(draw: st.DrawFn) -> dict[str, Any]:
    """A valid event: required fields, some of the optional ones, and foreign ones of every JSON type."""
    optional = {
        name: st.none() | TEXTS
        for name in ("carrier", "tracking_number", "carrier_code", "status", "reason_code", "description")
    }
    detail: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {
                "shipment_id": st.text(min_size=1, max_size=12),
                "event_timestamp": st.builds(spelled_time, INSTANTS, OFFSETS),
                "event_type": st.text(min_size=1, max_size=12).map(lambda end: f"shipment.{end}"),
            },
            optional=optional
            | {
                "event_id": st.none() | st.text(min_size=1, max_size=12),
                "location": st.none() | st.dictionaries(TEXTS, JSON_VALUES, max_size=3),
                # Nothing is wrong enough here to be refused.
                "estimated_delivery": JSON_VALUES,
                "retracts": JSON_VALUES,
            },
        )
    )
    foreign = st.dictionaries(
        TEXTS.filter(lambda name: name not in FIELD_NAMES) | st.sampled_from(OWN_ATTRIBUTES),
        JSON_VALUES,
        max_size=4,
    )
    return detail | draw(foreign)


def typed(value: object) -> object:
    """A form in which only equal JSON is equal: Python takes ``True`` for ``1``, JSON does not."""
    if isinstance(value, dict):
        return {name: typed(element) for name, element in value.items()}
    if isinstance(value, list):
        return [typed(element) for element in value]
    return type(value).__name__, value


def spell(value: object, random: Random) -> str:
    """JSON text of the value with keys, white space, escapes and digits as the random source has it."""
    gap = random.choice(["", " ", "\n\t"])
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=random.random() < 0.5)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Decimal):
        return _spell_number(value, random)
    if isinstance(value, list):
        return f"[{gap}{f',{gap}'.join(spell(element, random) for element in value)}]"
    assert isinstance(value, dict)
    names = list(value)
    random.shuffle(names)
    parts = [f"{spell(name, random)}{gap}:{spell(value[name], random)}" for name in names]
    return f"{{{gap}{f'{gap},'.join(parts)}}}"


def _spell_number(value: Decimal, random: Random) -> str:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    whole = "".join(map(str, digits)).lstrip("0") or "0"
    zeros = random.randrange(4) if whole != "0" else 0
    shift = random.randrange(4)
    text = f"{whole}{'0' * zeros}"
    if shift:
        text += f".{'0' * shift}"
    return f"{'-' if sign else ''}{text}{random.choice('eE')}{exponent - zeros:{random.choice(['+', ''])}}"
