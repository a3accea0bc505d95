"""The events of a shipment, as a rebuild reads them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

from shipment_events.contract.names import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE
from shipment_events.tracking.failures import Failure
from shipment_events.tracking.news import News, UnfoldableError, news_of_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Items = Iterable[Mapping[str, AttributeValueTypeDef]]

MAX_EVENTS: Final = 100_000
"""Maximum number of events of one shipment that are read. They take 160 MB if their texts are short."""


@dataclass(slots=True)
class StoredHistory:
    """All events of one shipment.

    Attributes:
        news: the events without conflicts.
        unfoldable: items that are not stored events.
        items: number of items.
        is_whole: False if there are more than ``MAX_EVENTS``. Only the first ones were read.
        expires_at: when the last of the events expires, in seconds since 1970; 0 for none.
    """

    shipment_id: str
    news: list[News] = field(default_factory=list)
    unfoldable: list[Failure] = field(default_factory=list)
    items: int = 0
    is_whole: bool = True
    expires_at: int = 0

    @property
    def stored_at(self) -> str:
        """When the last of the events was stored; empty for none."""
        return max((one.stored_at for one in self.news), default="")


def history_of(shipment_id: str, items: "Items") -> StoredHistory:
    """Read the items of a shipment."""
    history = StoredHistory(shipment_id)
    for item in items:
        if history.items == MAX_EVENTS:
            history.is_whole = False
            break
        history.items += 1
        try:
            news = news_of_item(item)
        except UnfoldableError as error:
            history.unfoldable.append(Failure(shipment_id, item[SORT_KEY]["S"], str(error)))
            continue
        if news:
            history.news.append(news)
            history.expires_at = max(history.expires_at, int(item.get(TTL_ATTRIBUTE, {}).get("N", 0)))
    return history


def histories(items: "Items") -> Iterator[StoredHistory]:
    """Read the items of many shipments, in which those of a shipment follow each other."""
    for shipment_id, own in groupby(items, key=lambda item: item[PARTITION_KEY]["S"]):
        yield history_of(shipment_id, own)
