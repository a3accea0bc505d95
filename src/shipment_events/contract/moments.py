"""Moments: the current one, and the form in which keys and attributes have them."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current time, aware."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """An aware moment in UTC with microseconds, such as ``2025-03-01T13:05:00.000000Z``.

    It has a fixed width, so text order is time order.
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
