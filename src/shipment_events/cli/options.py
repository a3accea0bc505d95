"""Options and values that several commands take."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from shipment_events.contract import names

_AGE: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def command(words: str) -> str:
    """A command for the reader to copy, for the stage on which the present command works."""
    return names.command(click.get_current_context().find_root().params["environment"], words)


class NonEmptyText(click.ParamType[str]):
    """A text that is not empty, so that an unset shell variable does not select everything."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it is."""
        if not value:
            self.fail("it is empty (is a variable unset?)", param, ctx)
        return str(value)


class FilePath(click.Path):
    """The path of a file. An empty path is refused, because it means the current folder."""

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path as a ``Path``."""
        return super().convert(NonEmptyText().convert(value, param, ctx), param, ctx)


class Moment(click.ParamType[datetime]):
    """A moment in ISO 8601 with an offset, or a length of time before now, as in ``Age``."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment with its time zone."""
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
            self.fail(f"{value!r} is not a moment with an offset; expected: {expected}", param, ctx)
        return moment


class Age(click.ParamType[datetime]):
    """A length of time before now, such as ``90s``, ``15m``, ``2h`` or ``3d``."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment with its time zone."""
        if isinstance(value, datetime):
            return value
        found = _AGE.fullmatch(str(value))
        if found is None:
            self.fail(
                f"{value!r} is not a length of time; expected 90s, 15m, 2h or 3d, for example", param, ctx
            )
        try:
            return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
        except OverflowError:
            self.fail(f"{value!r} is before the year 1", param, ctx)


def ago(moment: datetime) -> str:
    """How long ago a moment was, such as ``5m ago``. A unit is used from two of it on."""
    seconds = max(0, round((datetime.now(UTC) - moment).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit} ago"
    return f"{seconds}s ago"
