"""Options and values that several commands take."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

_AGE: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class NonEmptyText(click.ParamType[str]):
    """A text that narrows a selection: an unset shell variable must not select everything."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it is."""
        if not value:
            self.fail("it is empty (is a variable unset?)", param, ctx)
        return str(value)


class Moment(click.ParamType[datetime]):
    """A moment in ISO 8601 with an offset, or how long ago it was, as for ``Age``."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment, aware."""
        if isinstance(value, datetime):
            return value
        if _AGE.fullmatch(str(value)):
            return Age().convert(value, param, ctx)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            expected = "2026-11-20T08:00:00Z, or a length of time such as 2h"
            self.fail(f"{value!r} is no moment with an offset; expected for example {expected}", param, ctx)
        return moment


class Age(click.ParamType[datetime]):
    """A length of time such as ``90s``, ``15m``, ``2h`` or ``3d``, taken back from now."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment that was so long ago, aware."""
        if isinstance(value, datetime):
            return value
        found = _AGE.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no length of time; expected for example 90s, 15m, 2h or 3d", param, ctx)
        return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})


def ago(moment: datetime) -> str:
    """How long ago, in the largest unit that tells something."""
    seconds = max(0, round((datetime.now(UTC) - moment).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit} ago"
    return f"{seconds}s ago"
