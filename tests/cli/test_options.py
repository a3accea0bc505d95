"""Values of options that several commands take."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from shipment_events.cli.options import Age, Moment


@pytest.mark.parametrize("kind", [Age(), Moment()])
@pytest.mark.parametrize("value", ["999999d", "800000d"])
def test_a_length_of_time_before_the_calendar_is_a_usage_error(
    kind: click.ParamType[datetime], value: str
) -> None:
    with pytest.raises(click.BadParameter, match=f"'{value}' is before the year 1"):
        kind.convert(value, None, None)


def test_a_length_of_time_is_before_now() -> None:
    moment = Age().convert("2h", None, None)
    assert abs(datetime.now(UTC) - timedelta(hours=2) - moment) < timedelta(minutes=1)
