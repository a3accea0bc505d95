"""JSON that loses nothing: every digit of a number, no key twice, one canonical form for equal content."""

import json
from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation
from json.encoder import encode_basestring
from typing import Any, TypeAlias

from shipment_events.contract.limits import MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT, MIN_EXPONENT
from shipment_events.contract.outcome import InvalidEventError, Reason, shown


def loads(text: str) -> Any:
    """Decode JSON without losing anything: numbers become ``Decimal``.

    Raises:
        InvalidEventError: no JSON, NaN or Infinity, nesting beyond the decoder's limit, or an object that has
            the same key twice (every decoder would drop one of the two values).
    """
    try:
        return _DECODER.decode(text)
    except InvalidEventError:
        raise
    except RecursionError:
        raise InvalidEventError(Reason.TOO_DEEP, f"expected at most {MAX_DEPTH} levels of nesting") from None
    except InvalidOperation:
        raise InvalidEventError(Reason.NUMBER_OUT_OF_RANGE, "expected no exponent of 19 digits") from None
    except ValueError as error:
        raise InvalidEventError(Reason.INVALID_JSON, f"expected JSON: {error}") from None


def dumps(value: object) -> str:
    """Encode as compact JSON, numbers to their last digit and keys in the order they have.

    Raises:
        InvalidEventError: a value that JSON or the table has no room for.
    """
    return _render(value, None, 0, _exact_number, list)


def canonical_json(value: object) -> str:
    """Encode so that equal content gives equal text: keys sorted, numbers in one spelling.

    Raises:
        InvalidEventError: a value that JSON or the table has no room for.
    """
    return _render(value, None, 0, canonical_number, sorted)


_Path: TypeAlias = "tuple[_Path, str | int] | None"


def _render(
    value: object,
    path: _Path,
    depth: int,
    number: Callable[[Decimal, _Path], str],
    order: Callable[[Any], list[str]],
) -> str:
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return number(value, path)
    if isinstance(value, int):
        return number(Decimal(value), path)
    if isinstance(value, float):
        return number(Decimal(float.__repr__(value)), path)
    if depth > MAX_DEPTH:
        raise InvalidEventError(Reason.TOO_DEEP, f"expected at most {MAX_DEPTH} levels of nesting")
    if isinstance(value, list):
        return f"[{','.join([_render(v, (path, i), depth + 1, number, order) for i, v in enumerate(value)])}]"
    if isinstance(value, dict):
        try:
            keys = order(value)
            parts = []
            for key in keys:
                child = value[key]
                # Most fields are texts; a call for each would be a third of the time.
                text = (
                    encode_basestring(child)
                    if type(child) is str
                    else _render(child, (path, key), depth + 1, number, order)
                )
                parts.append(f"{encode_basestring(key)}:{text}")
        except TypeError:
            raise InvalidEventError(
                Reason.INVALID_FIELD, "expected texts as field names", path=_whole(path)
            ) from None
        return f"{{{','.join(parts)}}}"
    raise InvalidEventError(
        Reason.INVALID_FIELD, f"expected a JSON value, got {type(value).__name__}", path=_whole(path)
    )


# The default context would round to 28 digits in silence.
_UNROUNDED = Context(prec=MAX_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])


def _exact_number(value: Decimal, path: _Path) -> str:
    canonical_number(value, path)
    return str(value)


def canonical_number(value: Decimal, path: _Path = None) -> str:
    """The one spelling of a number: no zeros after its last decimal, no exponent without need, no minus zero.

    Raises:
        InvalidEventError: the table has no room for it; ``path`` names it.
    """
    if not value:
        return "0"
    text = str(value)
    if text.isdecimal() and len(text) <= MAX_DIGITS:
        return text
    if value.is_finite() and MIN_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
        try:
            shortest = value.normalize(_UNROUNDED)
        except Inexact:
            pass
        else:
            # Readers of whole numbers, of a time to live for one, do not expect 1.8E+9.
            return f"{shortest:f}" if 0 <= shortest.adjusted() < MAX_DIGITS else str(shortest)
    raise InvalidEventError(
        Reason.NUMBER_OUT_OF_RANGE,
        f"expected a number of at most {MAX_DIGITS} significant digits"
        f" from 1E{MIN_EXPONENT} to below 1E+{MAX_EXPONENT + 1}",
        path=_whole(path),
        found=f", got {shown(str(value))}",
    )


def _refuse_constant(name: str) -> Any:
    raise InvalidEventError(Reason.INVALID_JSON, f"expected a number, got {name}, which is not JSON")


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidEventError(
            Reason.DUPLICATE_KEY, "expected once in an object, got it twice", path=(twice,)
        )
    return result


_DECODER = json.JSONDecoder(
    parse_float=Decimal,
    parse_int=Decimal,
    parse_constant=_refuse_constant,
    object_pairs_hook=_refuse_duplicate_keys,
)


def _whole(path: _Path) -> tuple[str | int, ...]:
    parts: list[str | int] = []
    while path is not None:
        path, part = path
        parts.append(part)
    return tuple(reversed(parts)) or ("event",)


def type_name(value: object) -> str:
    """JSON's word for the type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, Decimal | int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else type(value).__name__
