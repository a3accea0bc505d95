"""Broken events, by the kind of their defect."""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, Final

from shipment_events.contract.outcome import Reason
from workbench.feed.randomness import pick
from workbench.feed.spelling import PLAIN, Raw, parse, write

UNMATCHED: Final = "unmatched"
"""Reason of an event whose type does not have the prefix that the rule matches.

The contract's check gives such an event the reason ``invalid_field``.
"""

_DEEP: Final = 40
_LARGE_BYTES: Final = 420_000
# Large events cost time and memory at every step of a run, so they are rare. With the default share of broken
# lines, a feed of 10,000 lines has none and a feed of 20,000 has one.
_LARGE_EVERY: Final = 2_000
_LARGE_AT: Final = 150

Event = dict[str, Any]


def _with(field: str, value: str) -> Callable[[Event, Random], str]:
    return lambda event, _: write({**event, field: Raw(value)})


def _without(field: str) -> Callable[[Event, Random], str]:
    return lambda event, _: write({key: value for key, value in event.items() if key != field})


def _not_json(event: Event, rng: Random) -> str:
    return pick(
        rng,
        (
            "<html><head><title>502 Bad Gateway</title></head></html>",
            f'{event["shipment_id"]};{event["event_timestamp"]};{event["event_type"]};"Łódź"',
            "null,",
        ),
    )


def _truncated(event: Event, rng: Random) -> str:
    text = write(event)
    return text[: 1 + int(rng.random() * (len(text) - 1))]


def _no_offset(event: Event, _: Random) -> str:
    return write({**event, "event_timestamp": event["event_timestamp"][:19]})


_DEFECTS: Final[Mapping[str, tuple[str, Callable[[Event, Random], str]]]] = {
    "not_json": (Reason.INVALID_JSON, _not_json),
    "truncated_json": (Reason.INVALID_JSON, _truncated),
    "trailing_comma": (Reason.INVALID_JSON, lambda event, _: f"{write(event)[:-1]},}}"),
    "single_quotes": (Reason.INVALID_JSON, lambda event, _: write(event).replace('"', "'")),
    "two_objects_in_a_line": (Reason.INVALID_JSON, lambda event, _: write(event) * 2),
    "not_a_number": (Reason.INVALID_JSON, _with("weight_kg", "NaN")),
    "infinity": (Reason.INVALID_JSON, _with("weight_kg", "-Infinity")),
    "duplicate_key": (Reason.DUPLICATE_KEY, lambda event, _: f'{write(event)[:-1]},"shipment_id":"X-1"}}'),
    "nested_duplicate_key": (Reason.DUPLICATE_KEY, _with("location", '{"code":"WAW","code":"LCJ"}')),
    "array_event": (Reason.INVALID_ENVELOPE, lambda event, _: f"[{write(event)}]"),
    "text_event": (Reason.INVALID_ENVELOPE, lambda event, _: PLAIN(write(event))),
    "missing_shipment_id": (Reason.MISSING_FIELD, _without("shipment_id")),
    "missing_event_timestamp": (Reason.MISSING_FIELD, _without("event_timestamp")),
    "missing_event_type": (Reason.MISSING_FIELD, _without("event_type")),
    "empty_shipment_id": (Reason.INVALID_FIELD, _with("shipment_id", '""')),
    "null_shipment_id": (Reason.INVALID_FIELD, _with("shipment_id", "null")),
    "number_as_shipment_id": (Reason.INVALID_FIELD, _with("shipment_id", "40017744")),
    "number_as_event_id": (Reason.INVALID_FIELD, _with("event_id", "17")),
    "number_as_event_type": (Reason.INVALID_FIELD, _with("event_type", "5")),
    "boolean_as_status": (Reason.INVALID_FIELD, _with("status", "true")),
    "object_as_description": (Reason.INVALID_FIELD, _with("description", '{"en":"Delivered"}')),
    "text_as_location": (Reason.INVALID_FIELD, _with("location", '"Łódź"')),
    "array_as_location": (Reason.INVALID_FIELD, _with("location", "[51.7769,19.4547]")),
    "timestamp_without_offset": (Reason.INVALID_TIMESTAMP, _no_offset),
    "impossible_date": (Reason.INVALID_TIMESTAMP, _with("event_timestamp", '"2025-02-30T10:00:00Z"')),
    "impossible_hour": (Reason.INVALID_TIMESTAMP, _with("event_timestamp", '"2025-03-01T25:10:00Z"')),
    "date_alone": (Reason.INVALID_TIMESTAMP, _with("event_timestamp", '"2025-03-01"')),
    "timestamp_in_words": (Reason.INVALID_TIMESTAMP, _with("event_timestamp", '"yesterday at noon"')),
    "american_timestamp": (Reason.INVALID_TIMESTAMP, _with("event_timestamp", '"03/01/2025 2:05 PM"')),
    "number_as_timestamp": (Reason.INVALID_TIMESTAMP, _with("event_timestamp", "1740837900")),
    "misspelt_event_type": (UNMATCHED, _with("event_type", '"shipmnet.delivered"')),
    "capital_event_type": (UNMATCHED, _with("event_type", '"Shipment.delivered"')),
    "foreign_event_type": (UNMATCHED, _with("event_type", '"parcel.delivered"')),
    "number_of_40_digits": (Reason.NUMBER_OUT_OF_RANGE, _with("declared_value", "1234567891" * 4)),
    "number_too_great": (Reason.NUMBER_OUT_OF_RANGE, _with("declared_value", "1e200")),
    "number_too_small": (Reason.NUMBER_OUT_OF_RANGE, _with("declared_value", "1E-131")),
    "deep_nesting": (Reason.TOO_DEEP, _with("history", "[" * _DEEP + "]" * _DEEP)),
    "lone_surrogate": (Reason.INVALID_TEXT, _with("description", '"Nadano \\ud800 przesyłkę"')),
}  # fmt: skip

_TOO_LARGE: Final = "too_large"

BROKEN_KINDS: Final[Mapping[str, str]] = {
    **{kind: str(reason) for kind, (reason, _) in _DEFECTS.items()},
    _TOO_LARGE: str(Reason.TOO_LARGE),
}
"""Reason code of each kind of broken line."""


def kinds(rng: Random) -> Iterator[str]:
    """Yield kinds of broken lines without end, equally often and in a random order. Large lines are rare."""
    order = sorted(_DEFECTS, key=lambda _: rng.random())
    count = 0
    while True:
        for kind in order:
            count += 1
            if count % _LARGE_EVERY == _LARGE_AT:
                yield _TOO_LARGE
            yield kind


def broken(text: str, kind: str, rng: Random) -> str:
    """Break a valid line in the way of the kind."""
    event = parse(text)
    if kind == _TOO_LARGE:
        # ASCII only: a bus that escapes other characters would make the event too large for a queue as well.
        return write({**event, "description": "x" * _LARGE_BYTES})
    return _DEFECTS[kind][1](event, rng)
