"""Templates and their filters. Jinja2 escapes every value, so text from outside is never markup."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from shipment_events.contract.event import place_of

_LONGEST: Final = 300


def page(template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """A response from a template."""
    return HTMLResponse(render(template, values), status)


def render(template: str, values: Mapping[str, Any]) -> str:
    """The text of a template."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("shipment_events.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": ago,
        "clock": clock,
        "duration": duration,
        "moment": datetime.fromisoformat,
        "place": place_of,
        "foreign": foreign,
        "minutes": lambda count: f"{count} min" if count < 120 else f"{count // 60} h",
        "number": number,
        "ordinal": ordinal,
        "segment": segment,
        "as_json": json.dumps,
    }
    return made


def foreign(value: Any, most: int = _LONGEST) -> str:
    """Text from outside: characters that cannot be seen are shown as escapes, a long text loses its middle.

    Format characters can hide or reorder text.
    """
    shown = "" if value is None else str(value)
    if len(shown) > most:
        end = most // 3
        shown = f"{shown[: most - end - 1]}…{shown[-end:]}"
    if shown.isprintable():
        return shown
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in shown)


def segment(value: str) -> str:
    """A text as one segment of a path."""
    return quote(value.encode("utf-8", "surrogatepass"), safe="")


def number(value: float | None, digits: int = 0) -> str:
    """A number with thousands separators, or ``unknown``."""
    return "unknown" if value is None else f"{value:,.{digits}f}"


def ordinal(value: int) -> str:
    """A position such as ``2nd``."""
    ending = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value:,}{ending}"


def clock(moment: datetime) -> str:
    """A moment in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago a moment was, or how far it is ahead, such as ``5 min ago`` or ``in 3 h``."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(-seconds)}"


def duration(seconds: float) -> str:
    """A length of time in one unit, which is used from two of it on, such as ``90 s`` or ``2 h``."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} s"
