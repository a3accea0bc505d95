"""Options and values that several commands take."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Age(click.ParamType[datetime]):
    """A length of time such as ``90s``, ``15m``, ``2h`` or ``3d``, taken back from now."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment that was so long ago, aware."""
        if isinstance(value, datetime):
            return value
        found = re.fullmatch(r"(\d{1,6})([smhd])", str(value))
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
