"""A plot as data for the browser, as a sentence, and as a table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shipment_events.watching.series import Series


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot.

    Attributes:
        name: of its values in the series. The style sheet has a colour for it.
        label: what people read.
    """

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot.

    Attributes:
        data: JSON for ``console.js``: seconds since 1970, and the values of each line.
        rows: the same values for a table, newest first.
    """

    title: str
    unit: str
    digits: int
    lines: Sequence[Line]
    data: str
    latest: Sequence[float | None]
    highest: Sequence[float | None]
    rows: Sequence[tuple[datetime, Sequence[float | None]]]

    @property
    def is_empty(self) -> bool:
        """Whether no value is known."""
        return all(value is None for value in self.highest)


def plot(title: str, series: Series, lines: Sequence[Line], *, unit: str = "", digits: int = 0) -> Plot:
    """The plot of some values of a series."""
    values = [series.values[line.name] for line in lines]
    known = [[value for value in one if value is not None] for one in values]
    data = {
        "x": [int(begin.timestamp()) for begin in series.begins],
        "lines": [
            {"name": line.name, "values": [None if value is None else round(value, 3) for value in one]}
            for line, one in zip(lines, values, strict=True)
        ],
        "unit": unit,
        "digits": digits,
    }
    rows = [(begin, [one[index] for one in values]) for index, begin in enumerate(series.begins)]
    return Plot(
        title=title,
        unit=unit,
        digits=digits,
        lines=lines,
        data=json.dumps(data),
        latest=[one[-1] if one else None for one in known],
        highest=[max(one) if one else None for one in known],
        rows=rows[::-1],
    )
