"""The body of a dead letter as lines of indented JSON, with the field marked that breaks the contract."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shipment_events.console.rendering import foreign
from shipment_events.contract.outcome import InvalidEventError, Reason
from shipment_events.dead_letters.edits import ENVELOPE_FIELDS

_MOST_LINES: Final = 2_000
_LONGEST_TEXT: Final = 4_000
_DETAIL: Final = "detail"

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class BodyLine:
    """One line.

    Attributes:
        depth: level of indentation.
        mark: ``marked`` for the wrong field, ``changed`` for a corrected one, else empty.
        note: what is wrong with it; empty if nothing is.
    """

    depth: int
    text: str
    mark: str = ""
    note: str = ""


class _Number(str):
    """A number as it was spelled."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """An object with all its keys, also those that come twice."""

    __slots__ = ()


def body_lines(
    body: str, problem: InvalidEventError | None = None, changed: Collection[Path] = ()
) -> list[BodyLine]:
    """The lines of a body.

    Numbers are as they were spelled, and a key that comes twice is shown twice. A body that is not JSON is
    shown as it is.

    Args:
        problem: why the processor refuses the body.
        changed: paths of corrected values, from the envelope.
    """
    try:
        value = json.loads(
            body,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
            object_pairs_hook=_Object,
        )
        lines = list(_lines(value, _wrong(value, problem), changed, problem.detail if problem else ""))
    except (ValueError, RecursionError):
        lines = [BodyLine(0, foreign(line, _LONGEST_TEXT)) for line in body.split("\n")]
    if len(lines) > _MOST_LINES:
        more = len(lines) - _MOST_LINES
        return [*lines[:_MOST_LINES], BodyLine(0, f"… and {more:,} more lines")]
    return lines


def path_in_envelope(problem: InvalidEventError) -> Path:
    """Where the problem is, from the envelope. A path of the event begins in ``detail``."""
    path = problem.path
    if problem.reason is Reason.TOO_LARGE:
        return (_DETAIL,)
    if not path or problem.reason is Reason.INVALID_ENVELOPE:
        return path
    return path if path[0] in ENVELOPE_FIELDS else (_DETAIL, *path)


def _wrong(value: Any, problem: InvalidEventError | None) -> Path:
    if problem is None:
        return ()
    if problem.reason is Reason.DUPLICATE_KEY:
        # The decoder knows the key, but not where it is.
        paths = Counter(path for path, _ in _walk(value, (), 0, "", ""))
        return next((path for path in paths if paths[path] > 1 and path[-1:] == problem.path[-1:]), ())
    return path_in_envelope(problem)


def _lines(value: Any, wrong: Path, changed: Collection[Path], note: str) -> Iterator[BodyLine]:
    notes = [note]
    for path, line in _walk(value, (), 0, "", ""):
        if wrong and path == wrong:
            yield BodyLine(line.depth, line.text, "marked", notes.pop() if notes else "")
        else:
            yield BodyLine(line.depth, line.text, "changed" if path in changed else "")
    if wrong and notes:
        # The field is missing.
        yield BodyLine(0, str(wrong[-1]), "marked", notes.pop())


def _walk(value: Any, path: Path, depth: int, before: str, after: str) -> Iterator[tuple[Path, BodyLine]]:
    """Lines with the path of the value that begins there."""
    if isinstance(value, _Object | list) and value:
        opening, closing = "{}" if isinstance(value, _Object) else "[]"
        yield path, BodyLine(depth, before + opening)
        children: Sequence[tuple[str | int, Any]] = (
            value if isinstance(value, _Object) else list(enumerate(value))
        )
        for position, (name, child) in enumerate(children):
            label = f"{_text(name)}: " if isinstance(value, _Object) else ""
            comma = "," if position < len(children) - 1 else ""
            yield from _walk(child, (*path, name), depth + 1, label, comma)
        yield (*path, ""), BodyLine(depth, closing + after)
    else:
        yield path, BodyLine(depth, before + _scalar(value) + after)


def _scalar(value: Any) -> str:
    if isinstance(value, _Number):
        return foreign(value, _LONGEST_TEXT)
    if isinstance(value, _Object):
        return "{}"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str | int) -> str:
    return foreign(json.dumps(value, ensure_ascii=False), _LONGEST_TEXT)
