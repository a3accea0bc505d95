"""Read the stored events of a shipment, within bounds of time and memory."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shipment_events.contract.names import PARTITION_KEY, SORT_KEY
from shipment_events.table.store import EventTable
from shipment_events.tracking.failures import Failure
from shipment_events.tracking.news import News, UnfoldableError, news_of_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

MAX_SECONDS: Final = 20.0
"""Maximum duration of a reading. A shipment that takes longer would block the stream, because each invocation
would run out of time."""
MAX_NEWS_BYTES: Final = 128_000_000
"""Maximum memory for the news of a shipment. About 50,000 ordinary events take it."""
MAX_REPORTS: Final = 10
"""Maximum number of unreadable events that a reading reports one by one."""


@dataclass(slots=True)
class History:
    """The events of a shipment.

    Attributes:
        news: what they say, without conflicts.
        unreadable: the first events that the processor did not write.
        left_out: number of all such events.
    """

    news: list[News] = field(default_factory=list)
    unreadable: list["UnreadableEvent"] = field(default_factory=list)
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class UnreadableEvent:
    """An event that the processor did not write. ``stored_at`` is None if the item does not say it."""

    failure: Failure
    stored_at: str | None


def read_history(events: EventTable, shipment_id: str, has_time: Callable[[], bool]) -> History | None:
    """The events of a shipment; None if there is not enough time.

    Raises:
        UnfoldableError: the events take too long to read, or too much memory.
        botocore.exceptions.ClientError, BotoCoreError: the events cannot be read now.
    """
    history, room, end = History(), MAX_NEWS_BYTES, time.monotonic() + MAX_SECONDS
    if not has_time():
        return None
    for item in events.items(shipment_id):
        if time.monotonic() > end:
            raise UnfoldableError(f"expected events of the shipment that are read in {MAX_SECONDS:.0f} s")
        if not has_time():
            return None
        try:
            news = news_of_item(item)
        except UnfoldableError as error:
            history.left_out += 1
            if history.left_out <= MAX_REPORTS:
                history.unreadable.append(_unreadable(item, error))
            continue
        if news:
            history.news.append(news)
            room -= bytes_of(news)
        if room < 0:
            most = f"{MAX_NEWS_BYTES // 10**6} MB"
            raise UnfoldableError(f"expected events of the shipment that take at most {most} of memory")
    return history


def _unreadable(item: "Mapping[str, AttributeValueTypeDef]", error: UnfoldableError) -> UnreadableEvent:
    shipment_id, sort_key = (item[name]["S"] for name in (PARTITION_KEY, SORT_KEY))
    stored_at = item.get("processing", {}).get("M", {}).get("stored_at", {}).get("S")
    return UnreadableEvent(Failure(shipment_id, sort_key, str(error)), stored_at)


def bytes_of(news: News) -> int:
    """Memory that the news takes. A location of 2 KB can take 100, with an object for each digit."""
    parts = (news.place, news.stored_at, news.retracts, news.values, news.summary, news.findings)
    # The news itself, and its entry in the dictionary of a fold.
    return 300 + sum(map(_memory_of, parts))


def _memory_of(value: Any) -> int:
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        return size + sum(_memory_of(name) + _memory_of(element) for name, element in value.items())
    if isinstance(value, list):
        return size + sum(map(_memory_of, value))
    return size
