"""What a careless, broken or hostile producer may send, and what must become of it.

A row is a message's body with the reason for which it is quarantined, or ``STORED``. The bodies are text, so
that nothing between this table and the processor can repair them.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from shipment_events.contract.outcome import Reason

STORED: Final = "stored"

INVALID_JSON: Final = Reason.INVALID_JSON
DUPLICATE_KEY: Final = Reason.DUPLICATE_KEY
INVALID_ENVELOPE: Final = Reason.INVALID_ENVELOPE
MISSING_FIELD: Final = Reason.MISSING_FIELD
INVALID_FIELD: Final = Reason.INVALID_FIELD
INVALID_TIMESTAMP: Final = Reason.INVALID_TIMESTAMP
TYPE_MISMATCH: Final = Reason.EVENT_TYPE_MISMATCH
OUT_OF_RANGE: Final = Reason.NUMBER_OUT_OF_RANGE
TOO_DEEP: Final = Reason.TOO_DEEP
TOO_LARGE: Final = Reason.TOO_LARGE
INVALID_TEXT: Final = Reason.INVALID_TEXT

ENVELOPE_ID: Final = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
MAX_ITEM_BYTES: Final = 400 * 1024
# What an item holds besides the text that fills it: names, keys, hash, times, the other fields of `event`.
ITEM_OVERHEAD_BYTES: Final = 412


class Literal(str):
    """JSON text that goes into a body as it stands."""

    __slots__ = ()


@dataclass(frozen=True)
class Row:
    """One message.

    Attributes:
        name: for people, and the shipment of the events that name none.
        expected: ``STORED`` or the reason.
    """

    name: str
    template: str
    expected: str

    @property
    def body(self) -> str:
        """The message as the queue hands it out."""
        return self.template.replace("<shipment>", self.name)


def spelled(value: object) -> str:
    """JSON text, but for literals inside, which stand for themselves."""
    if isinstance(value, Literal):
        return value
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(key)}:{spelled(element)}' for key, element in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(spelled, value))}]"
    return json.dumps(value)


def envelope(detail: object, **fields: Any) -> str:
    """Body with the detail; fields replace or join those of the envelope, ``None`` leaves one out."""
    known: dict[str, Any] = {
        "version": "0",
        "id": ENVELOPE_ID,
        "detail-type": "shipment.departed",
        "source": "shipment.service",
        "time": "2025-03-01T13:05:01Z",
    }
    replaced = {name.replace("_", "-"): value for name, value in fields.items()}
    kept = {name: value for name, value in {**known, **replaced}.items() if value is not None}
    return spelled(kept | {"detail": detail})


def detail(*without: str, **fields: Any) -> dict[str, Any]:
    """A valid event, but for what is replaced, added or left out."""
    known = {
        "shipment_id": "<shipment>",
        "event_timestamp": "2025-03-01T14:05:00+01:00",
        "event_type": "shipment.departed",
    }
    return {name: value for name, value in {**known, **fields}.items() if name not in without}


def event(*without: str, **fields: Any) -> str:
    return envelope(detail(*without, **fields))


def at(text: str) -> str:
    return event(event_timestamp=text)


def number(literal: str) -> str:
    return event(weight=Literal(literal))


def raw(members: str) -> str:
    """A valid event with these members, in JSON, at its end."""
    return envelope(Literal(f"{spelled(detail())[:-1]},{members}}}"))


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    """A valid event with a value of so many levels below the event's own."""
    return event(value=Literal(opening * levels + '"core"' + closing * levels))


def filled(item_bytes: int) -> str:
    """A valid event whose item has exactly this size."""
    filler = "x" * (item_bytes - ITEM_OVERHEAD_BYTES)
    return event(shipment_id=f"filled-{item_bytes}", event_id="E-1", filler=filler)


def rows(*table: tuple[str, str, str]) -> tuple[Row, ...]:
    return tuple(Row(*row) for row in table)


BODIES: Final = rows(
    ("white space", " \n\t ", INVALID_JSON),
    ("plain text", "shipment departed", INVALID_JSON),
    ("XML", "<event><id>1</id></event>", INVALID_JSON),
    ("query string", "shipment_id=S-1&event_type=shipment.departed", INVALID_JSON),
    ("single quotes", "{'detail': {}}", INVALID_JSON),
    ("cut off", event()[:-9], INVALID_JSON),
    ("cut within an escape", '{"detail":"\\u00', INVALID_JSON),
    ("two documents", event() + event(), INVALID_JSON),
    ("byte order mark", "\ufeff" + event(), INVALID_JSON),
    ("trailing comma", raw('"a":1,'), INVALID_JSON),
    ("comment", raw('"a":1/*kg*/'), INVALID_JSON),
    ("raw line feed in a text", raw('"a":"one\ntwo"'), INVALID_JSON),
    ("raw tabulator in a text", raw('"a":"one\ttwo"'), INVALID_JSON),
    ("unknown escape", raw('"a":"\\x41"'), INVALID_JSON),
    ("key without quotes", raw("a:1"), INVALID_JSON),
    ("white space around everything", f"\r\n\t {event()} \n", STORED),
    ("null", "null", INVALID_ENVELOPE),
    ("number", "17", INVALID_ENVELOPE),
    ("text", '"shipment.departed"', INVALID_ENVELOPE),
    ("true", "true", INVALID_ENVELOPE),
    ("array of envelopes", f"[{event()}]", INVALID_ENVELOPE),
    ("empty object", "{}", INVALID_ENVELOPE),
    ("event without envelope", spelled(detail()), INVALID_ENVELOPE),
    ("envelope in JSON in JSON", json.dumps(event()), INVALID_ENVELOPE),
    ("notification of S3", '{"Records":[{"eventSource":"aws:s3","s3":{"object":{}}}]}', INVALID_ENVELOPE),
    ("envelope of SNS", spelled({"Type": "Notification", "Message": event()}), INVALID_ENVELOPE),
)

ENVELOPES: Final = rows(
    ("no detail", '{"detail-type":"shipment.departed"}', INVALID_ENVELOPE),
    ("detail null", envelope(None), INVALID_ENVELOPE),
    ("detail array", envelope([detail()]), INVALID_ENVELOPE),
    ("detail as text", envelope(spelled(detail())), INVALID_ENVELOPE),
    ("detail empty", envelope({}), MISSING_FIELD),
    ("detail twice", event()[:-1] + f',"detail":{spelled(detail())}}}', DUPLICATE_KEY),
    ("no detail-type", envelope(detail(), detail_type=None), INVALID_ENVELOPE),
    ("detail-type null", envelope(detail(), detail_type=Literal("null")), INVALID_ENVELOPE),
    ("detail-type number", envelope(detail(), detail_type=1), INVALID_ENVELOPE),
    ("detail-type empty", envelope(detail(), detail_type=""), TYPE_MISMATCH),
    ("detail-type of another event", envelope(detail(), detail_type="shipment.arrived"), TYPE_MISMATCH),
    ("detail-type in capitals", envelope(detail(), detail_type="SHIPMENT.DEPARTED"), TYPE_MISMATCH),
    ("replayed", envelope(detail(), replay_name="replay-2025-03"), STORED),
    ("replay-name array", envelope(detail(), replay_name=["a"]), STORED),
    ("no id", envelope(detail(), id=None), STORED),
    ("id number", envelope(detail(), id=Literal("9" * 5000)), STORED),
    ("id object", envelope(detail(), id={"id": "1"}), STORED),
    ("id of half a surrogate pair", envelope(detail(), id="\ud83d"), STORED),
    ("id of 1 MB / 4", envelope(detail(), id="i" * 250_000), STORED),
    ("time no time", envelope(detail(), time="yesterday"), STORED),
    ("time without offset", envelope(detail(), time="2025-03-01T13:05:01"), STORED),
    ("time number", envelope(detail(), time=Literal("1E400")), STORED),
    ("source of another service", envelope(detail(), source="aws.s3"), STORED),
    ("unknown fields in the envelope", envelope(detail(), account="1", resources=[[]], x={}), STORED),
)

FIELDS: Final = rows(
    ("no shipment_id", event("shipment_id"), MISSING_FIELD),
    ("no event_timestamp", event("event_timestamp"), MISSING_FIELD),
    ("no event_type", event("event_type"), MISSING_FIELD),
    ("names in capitals", envelope({"SHIPMENT_ID": "S", "EVENT_TYPE": "shipment.x"}), MISSING_FIELD),
    ("name with a space", event("shipment_id", **{"shipment_id ": "S"}), MISSING_FIELD),
    ("shipment_id null", event(shipment_id=None), INVALID_FIELD),
    ("shipment_id empty", event(shipment_id=""), INVALID_FIELD),
    ("shipment_id number", event(shipment_id=17), INVALID_FIELD),
    ("shipment_id boolean", event(shipment_id=False), INVALID_FIELD),
    ("shipment_id array", event(shipment_id=["S-1"]), INVALID_FIELD),
    ("shipment_id object", event(shipment_id={"S": "S-1"}), INVALID_FIELD),
    ("shipment_id of 2,048 bytes", event(shipment_id="s" * 2048), STORED),
    ("shipment_id of 2,049 bytes", event(shipment_id="s" * 2049), INVALID_FIELD),
    ("shipment_id of 2,048 bytes in 512 characters", event(shipment_id="🚚" * 512), STORED),
    ("shipment_id of 2,049 bytes in 683 characters", event(shipment_id="名" * 683), INVALID_FIELD),
    ("shipment_id of one space", event(shipment_id=" "), STORED),
    ("event_id null", event(event_id=None), STORED),
    ("event_id empty", event(event_id=""), INVALID_FIELD),
    ("event_id number", event(event_id=1), INVALID_FIELD),
    ("event_id of 900 bytes", event(event_id="e" * 900), STORED),
    ("event_id of 901 bytes", event(event_id="e" * 901), INVALID_FIELD),
    ("event_id of 900 bytes in 450 characters", event(event_id="ü" * 450), STORED),
    ("event_id of 902 bytes in 451 characters", event(event_id="ü" * 451), INVALID_FIELD),
    ("event_id with the separator", event(event_id="a#b##"), STORED),
    ("event_type null", event(event_type=None), INVALID_FIELD),
    ("event_type prefix alone", event(event_type="shipment."), INVALID_FIELD),
    ("event_type without prefix", event(event_type="departed"), INVALID_FIELD),
    ("event_type of 129 characters", event(event_type="shipment." + "x" * 120), INVALID_FIELD),
    (
        "event_type of 128 characters",
        envelope(detail(event_type="shipment." + "x" * 119), detail_type="shipment." + "x" * 119),
        STORED,
    ),
    ("event_type with a space", event(event_type="shipment.departed "), TYPE_MISMATCH),
    ("carrier number", event(carrier=4), INVALID_FIELD),
    ("carrier null", event(carrier=None), STORED),
    ("carrier empty", event(carrier=""), STORED),
    ("status boolean", event(status=True), INVALID_FIELD),
    ("description array", event(description=["a", "b"]), INVALID_FIELD),
    ("location text", event(location="Zürich"), INVALID_FIELD),
    ("location array", event(location=[]), INVALID_FIELD),
    ("location empty", event(location={}), STORED),
    ("location with an empty key", event(location={"": ""}), STORED),
    ("empty key", event(**{"": "nameless"}), STORED),
    ("empty object and array", event(lines=[], packages={}, more=[[], {}]), STORED),
    ("attributes of the item as fields", event(processing={"content_hash": "0"}, expires_at=0), STORED),
    ("types of DynamoDB as fields", event(N="1", value={"S": "a"}, NULL=True), STORED),
    ("10,000 fields", event(**{f"field {index}": index for index in range(10_000)}), STORED),
)

TIMES: Final = rows(
    ("leap second", at("2016-12-31T23:59:60Z"), INVALID_TIMESTAMP),
    ("second before a leap second", at("2016-12-31T23:59:59.999999999Z"), STORED),
    ("second 61", at("2016-12-31T23:59:61Z"), INVALID_TIMESTAMP),
    ("24:00", at("2025-03-01T24:00:00Z"), INVALID_TIMESTAMP),
    ("minute 60", at("2025-03-01T12:60:00Z"), INVALID_TIMESTAMP),
    ("29 February of a common year", at("2025-02-29T12:00:00Z"), INVALID_TIMESTAMP),
    ("29 February of a leap year", at("2024-02-29T12:00:00Z"), STORED),
    ("29 February of 1900", at("1900-02-29T12:00:00Z"), INVALID_TIMESTAMP),
    ("31 April", at("2025-04-31T12:00:00Z"), INVALID_TIMESTAMP),
    ("month 13", at("2025-13-01T12:00:00Z"), INVALID_TIMESTAMP),
    ("day 0", at("2025-03-00T12:00:00Z"), INVALID_TIMESTAMP),
    ("year 0000", at("0000-03-01T12:00:00Z"), INVALID_TIMESTAMP),
    ("first moment", at("0001-01-01T00:00:00Z"), STORED),
    ("before the first moment", at("0001-01-01T00:00:00+00:01"), INVALID_TIMESTAMP),
    ("year 1 west of Greenwich", at("0001-01-01T00:00:00-12:00"), STORED),
    ("last moment", at("9999-12-31T23:59:59.999999Z"), STORED),
    ("after the last moment", at("9999-12-31T23:59:59-00:01"), INVALID_TIMESTAMP),
    ("year 9999 east of Greenwich", at("9999-12-31T23:59:59+14:00"), STORED),
    ("year of five digits", at("12025-03-01T12:00:00Z"), INVALID_TIMESTAMP),
    ("negative year", at("-2025-03-01T12:00:00Z"), INVALID_TIMESTAMP),
    ("week date", at("2025-W09-6T12:00:00Z"), INVALID_TIMESTAMP),
    ("ordinal date", at("2025-060T12:00:00Z"), INVALID_TIMESTAMP),
    ("basic format", at("20250301T120000Z"), INVALID_TIMESTAMP),
    ("date alone", at("2025-03-01"), INVALID_TIMESTAMP),
    ("no offset", at("2025-03-01T12:00:00"), INVALID_TIMESTAMP),
    ("name of a zone", at("2025-03-01T12:00:00 CET"), INVALID_TIMESTAMP),
    ("zone in brackets", at("2025-03-01T12:00:00+01:00[Europe/Zurich]"), INVALID_TIMESTAMP),
    ("offset of 24 hours", at("2025-03-01T12:00:00+24:00"), INVALID_TIMESTAMP),
    ("offset of 23:59", at("2025-03-01T12:00:00+23:59"), STORED),
    ("offset with seconds", at("2025-03-01T12:00:00+01:00:30"), INVALID_TIMESTAMP),
    ("offset without colon", at("2025-03-01T12:00:00+0530"), STORED),
    ("minus as a sign of typography", at("2025-03-01T12:00:00\u221201:00"), INVALID_TIMESTAMP),
    ("nanoseconds", at("2025-03-01T12:00:00.123456789Z"), STORED),
    ("attoseconds", at("2025-03-01T12:00:00.123456789012345678Z"), STORED),
    ("19 digits of a second", at("2025-03-01T12:00:00.1234567890123456789Z"), INVALID_TIMESTAMP),
    ("fraction without digits", at("2025-03-01T12:00:00.Z"), INVALID_TIMESTAMP),
    ("comma", at("2025-03-01T12:00:00,5Z"), STORED),
    ("small t and z", at("2025-03-01t12:00:00z"), STORED),
    ("no seconds", at("2025-03-01T12:00Z"), STORED),
    ("no minutes", at("2025-03-01T12Z"), INVALID_TIMESTAMP),
    ("American", at("03/01/2025 12:00 PM"), INVALID_TIMESTAMP),
    ("RFC 2822", at("Sat, 01 Mar 2025 12:00:00 +0000"), INVALID_TIMESTAMP),
    ("seconds since 1970 as a text", at("1740830400"), INVALID_TIMESTAMP),
    ("seconds since 1970", event(event_timestamp=1740830400), INVALID_TIMESTAMP),
    ("time null", event(event_timestamp=None), INVALID_TIMESTAMP),
    ("time empty", at(""), INVALID_TIMESTAMP),
    ("time object", event(event_timestamp={"$date": "2025-03-01T12:00:00Z"}), INVALID_TIMESTAMP),
    ("line feed after the time", at("2025-03-01T12:00:00Z\n"), INVALID_TIMESTAMP),
    ("space before the time", at(" 2025-03-01T12:00:00Z"), INVALID_TIMESTAMP),
    ("Arabic digits", at("٢٠٢٥-03-01T12:00:00Z"), INVALID_TIMESTAMP),
    ("full-width digits", at("２０２５-03-01T12:00:00Z"), INVALID_TIMESTAMP),  # noqa: RUF001
    ("NUL in the time", at("2025-03-01T12:00:00\x00Z"), INVALID_TIMESTAMP),
    ("100,000 digits", at("2" * 100_000), INVALID_TIMESTAMP),
)

NUMBERS: Final = rows(
    ("38 digits", number("1" * 38), STORED),
    ("38 digits with a point", number("-1.2345678901234567890123456789012345678"), STORED),
    ("39 digits", number("1" * 39), OUT_OF_RANGE),
    ("39 digits after the point", number("0." + "1" * 39), OUT_OF_RANGE),
    ("39 digits of which one is a zero at the end", number("1" * 38 + "0"), STORED),
    ("1E125", number("1E125"), STORED),
    ("largest", number("9." + "9" * 37 + "E+125"), STORED),
    ("1E126", number("1E126"), OUT_OF_RANGE),
    ("-1E126", number("-1E126"), OUT_OF_RANGE),
    ("1E-130", number("1E-130"), STORED),
    ("1E-131", number("1E-131"), OUT_OF_RANGE),
    ("126 digits of which 125 are zeros", number("1" + "0" * 125), STORED),
    ("127 digits of which 126 are zeros", number("1" + "0" * 126), OUT_OF_RANGE),
    ("-0", number("-0"), STORED),
    ("-0.0", number("-0.0"), STORED),
    ("1.0", number("1.0"), STORED),
    ("zero with 100,000 places", number("0." + "0" * 100_000), STORED),
    ("one with 100,000 places", number("1." + "0" * 100_000), STORED),
    ("0E400", number("0E400"), STORED),
    ("0E-400", number("0E-400"), STORED),
    ("0.1", number("0.1"), STORED),
    ("2^53 + 1", number("9007199254740993"), STORED),
    ("2^64", number("18446744073709551616"), STORED),
    ("largest float", number("1.7976931348623157E308"), OUT_OF_RANGE),
    ("smallest float", number("5E-324"), OUT_OF_RANGE),
    ("NaN", number("NaN"), INVALID_JSON),
    ("Infinity", number("Infinity"), INVALID_JSON),
    ("-Infinity", number("-Infinity"), INVALID_JSON),
    ("NaN as a text", event(weight="NaN"), STORED),
    ("exponent of 18 digits", number("1E999999999999999999"), OUT_OF_RANGE),
    ("exponent of 19 digits", number("1E9999999999999999999"), OUT_OF_RANGE),
    ("negative exponent of 18 digits", number("1E-999999999999999999"), OUT_OF_RANGE),
    ("negative exponent of 100 digits", number("1E-" + "9" * 100), OUT_OF_RANGE),
    ("zero with an exponent of 19 digits", number("0E9999999999999999999"), OUT_OF_RANGE),
    ("integer of 5,000 digits", number("7" * 5000), OUT_OF_RANGE),
    ("integer of 200,000 digits", number("7" * 200_000), OUT_OF_RANGE),
    ("39 digits deep inside", event(location={"lines": [{"weight": Literal("3" * 39)}]}), OUT_OF_RANGE),
    ("leading zero", number("007"), INVALID_JSON),
    ("plus sign", number("+1"), INVALID_JSON),
    ("point at the end", number("1."), INVALID_JSON),
    ("point at the start", number(".5"), INVALID_JSON),
    ("hexadecimal", number("0x1F"), INVALID_JSON),
    ("decimal comma", number("1,5"), INVALID_JSON),
    ("digits grouped", number("1_000"), INVALID_JSON),
    ("Arabic number", number("٣"), INVALID_JSON),
)

TEXTS: Final = rows(
    ("high surrogate alone", event(description="\ud83d"), INVALID_TEXT),
    ("low surrogate alone", event(description="ok \udc80 ok"), INVALID_TEXT),
    ("surrogates the wrong way round", event(description="\ude9a\ud83d"), INVALID_TEXT),
    ("surrogate in shipment_id", event(shipment_id="S\ud800"), INVALID_TEXT),
    ("surrogate in event_id", event(event_id="\udfff"), INVALID_TEXT),
    ("surrogate in a key", event(**{"\ud800": 1}), INVALID_TEXT),
    ("surrogate deep inside", event(location={"lines": [{"\ud800": None}]}), INVALID_TEXT),
    ("surrogate in event_type", event(event_type="shipment.\ud800"), TYPE_MISMATCH),
    ("surrogate in event_timestamp", at("2025-03-01T12:00:00\ud800"), INVALID_TIMESTAMP),
    ("surrogate pair", raw('"description":"\\ud83d\\ude9a"'), STORED),
    ("NUL in a text", event(description="a\x00b"), STORED),
    ("NUL in shipment_id", event(shipment_id="S\x00-1"), STORED),
    ("NUL in event_id", event(event_id="\x00"), STORED),
    ("NUL in a key", event(**{"a\x00": 1}), STORED),
    ("control characters", event(description="".join(map(chr, range(32))) + "\x7f\x85"), STORED),
    ("no characters", event(description="\ufffe\uffff\U0010ffff"), STORED),
    ("order of writing turned", event(description="\u202egnp.exe\u2066\u200f"), STORED),
    ("one letter and a thousand accents", event(description="e" + "\u0301" * 1000), STORED),
    ("composed and decomposed", event(description="\u00e9 e\u0301"), STORED),
    ("line separators", event(description="\u2028\u2029"), STORED),
    ("byte order mark in a text", event(description="\ufeff"), STORED),
)

KEYS: Final = rows(
    ("key twice in the envelope", event()[:-1] + ',"id":"other"}', DUPLICATE_KEY),
    ("key twice in the event", raw('"shipment_id":"other"'), DUPLICATE_KEY),
    ("key twice with equal values", raw('"a":1,"a":1'), DUPLICATE_KEY),
    ("key twice in the location", raw('"location":{"city":"a","city":"b"}'), DUPLICATE_KEY),
    ("key twice in an array", raw('"lines":[[{"a":1,"a":2}]]'), DUPLICATE_KEY),
    ("empty key twice", raw('"":1,"":2'), DUPLICATE_KEY),
    ("key twice in two spellings", raw('"caf\\u00e9":1,"café":2'), DUPLICATE_KEY),
    ("keys that differ in case", raw('"a":1,"A":2'), STORED),
    ("keys that differ in composition", raw('"caf\\u00e9":1,"cafe\\u0301":2'), STORED),
    ("__proto__", raw('"__proto__":{"admin":true}'), STORED),
)

DEPTHS: Final = rows(
    ("30 arrays", nested(30), STORED),
    ("31 arrays", nested(31), TOO_DEEP),
    ("32 arrays", nested(32), TOO_DEEP),
    ("30 objects", nested(30, '{"a":', "}"), STORED),
    ("31 objects", nested(31, '{"a":', "}"), TOO_DEEP),
    ("1,100 arrays", nested(1100), TOO_DEEP),
    ("1,100 objects", nested(1100, '{"a":', "}"), TOO_DEEP),
    ("100,000 arrays", nested(100_000), TOO_DEEP),
    ("100,000 objects", nested(100_000, '{"a":', "}"), TOO_DEEP),
    ("100,000 arrays around everything", "[" * 100_000 + event() + "]" * 100_000, TOO_DEEP),
    ("100,000 arrays that never close", '{"detail":' + "[" * 100_000, TOO_DEEP),
    ("500 arrays beside the event", envelope(detail(), x=Literal("[" * 500 + "]" * 500)), STORED),
    ("100,000 arrays side by side", event(value=Literal("[" + "[]," * 9_999 + "[]]")), STORED),
)

SIZES: Final = rows(
    ("256 KB less one byte", filled(256 * 1024 - 1), STORED),
    ("256 KB", filled(256 * 1024), STORED),
    ("256 KB and one byte", filled(256 * 1024 + 1), STORED),
    ("400 KB less one byte", filled(MAX_ITEM_BYTES - 1), STORED),
    ("400 KB", filled(MAX_ITEM_BYTES), STORED),
    ("400 KB and one byte", filled(MAX_ITEM_BYTES + 1), TOO_LARGE),
    ("400 KB in a key", event(**{"k" * 410_000: 1}), TOO_LARGE),
    ("400 KB in half as many characters", event(description=Literal(f'"{"ü" * 205_000}"')), TOO_LARGE),
    ("400 KB of escapes that are small", event(description=Literal('"' + "\\u0041" * 68_000 + '"')), STORED),
    ("400 KB of numbers", event(value=[12345] * 90_000), TOO_LARGE),
    ("1 MB", event(description="x" * 999_000), TOO_LARGE),
    ("1 MB of white space", event() + " " * 999_000, STORED),
    ("1 MB that is no JSON", "x" * 1_000_000, INVALID_JSON),
)

INJECTIONS: Final = rows(
    ("PartiQL in shipment_id", event(shipment_id='\'}; DELETE FROM "shipmentevents-prod" --'), STORED),
    ("PartiQL in event_id", event(event_id="' OR '1'='1"), STORED),
    ("PartiQL parameter", event(description="?, ?, ?"), STORED),
    ("PartiQL in a key", event(**{"'}} INSERT INTO x VALUE {'a": "?"}), STORED),
    ("quotes of all kinds", event(description="'\"`´‘’“”«»\\'\\\""), STORED),  # noqa: RUF001
    ("expression of DynamoDB", event(description="#a = :b", **{"#a": ":b"}), STORED),
    ("JSON in JSON", event(description=spelled(detail())), STORED),
    ("HTML", event(description="<script>alert('1')</script><!--"), STORED),
    ("template", event(description="{{7*7}} ${jndi:ldap://x} %s %n {0}"), STORED),
    ("lines of a log", event(description='\n{"level":"ERROR","message":"forged"}\r\n'), STORED),
    ("escape codes of a terminal", event(description="\x1b[2J\x1b]0;title\x07"), STORED),
    ("path", event(shipment_id="../../etc/passwd\x00.json"), STORED),
    ("formula of a spreadsheet", event(description="=cmd|' /C calc'!A0"), STORED),
)

BAD_INPUT: Final = (
    *BODIES, *ENVELOPES, *FIELDS, *TIMES, *NUMBERS, *TEXTS, *KEYS, *DEPTHS, *SIZES, *INJECTIONS,
)  # fmt: skip
