"""Spellings of JSON: order of keys, white space and escapes. Every digit of a number is kept."""

import json
from random import Random
from typing import Any, Final

from workbench.feed.randomness import pick

PLAIN: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
SPACED: Final = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode
ASCII: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Raw(str):
    """Text that is written unchanged: a number with all its digits, or text that is not JSON."""

    __slots__ = ()


def parse(text: str) -> Any:
    """Decode JSON and keep numbers as they are written (:class:`Raw`)."""
    return json.loads(text, parse_int=Raw, parse_float=Raw)


def write(value: object) -> str:
    """Encode a result of :func:`parse` without white space."""
    return _write(value, None, ",", ":", ascii_only=False)


def respelt(text: str, rng: Random) -> str:
    """Write the same content with another order of keys, other white space and other escapes."""
    comma, colon = pick(rng, ((",", ":"), (", ", ": "), (" ,\t", " :  ")))
    return _write(parse(text), rng, comma, colon, ascii_only=rng.random() < 0.5)


def _write(value: object, rng: Random | None, comma: str, colon: str, *, ascii_only: bool) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        keys = list(value)
        if rng is not None:
            keys.sort(key=lambda _: rng.random())
        members = {key: _write(value[key], rng, comma, colon, ascii_only=ascii_only) for key in keys}
        return "{" + comma.join([f"{PLAIN(key)}{colon}{text}" for key, text in members.items()]) + "}"
    if isinstance(value, list):
        return f"[{comma.join([_write(item, rng, comma, colon, ascii_only=ascii_only) for item in value])}]"
    return (ASCII if ascii_only else PLAIN)(value)
