"""A shipment's events as people read them: when and where, what is void, and what arrived late."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shipment_events.console.bodies import BodyLine, body_lines
from shipment_events.contract.event import place_of
from shipment_events.contract.exact_json import dumps
from shipment_events.table.item import CONFLICT, StoredEvent
from shipment_events.tracking.news import (
    Finding,
    News,
    UnfoldableError,
    event_id_at,
    mark_of,
    news_of,
    status_at_place,
)
from shipment_events.watching.effects import effects_of

_LATE: Final = timedelta(minutes=1)
# A time that ends so is already in UTC.
_UTC: Final = ("Z", "z", "+00:00", "+0000")
_FINDINGS: Final[Mapping[Finding, str]] = {
    Finding.FUTURE: "dated in the future",
    Finding.CONTRADICTION: "status contradicts type",
    Finding.INVALID_ESTIMATE: "estimate is not a time",
    Finding.INVALID_RETRACTION: "retracts nothing that can exist",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the history.

    Attributes:
        at: when it happened, in UTC.
        local: the same as the producer wrote it, with the offset of the place; empty if that is UTC.
        status: the shipment's status after it; None if it says none.
        arrived: its position by arrival among the events given, from 1.
        overtaken_by: number of events that happened later and arrived earlier.
        delay: time from its moment to its storing, if that is long.
        voided: whether another one of the events given retracts it.
        retracts: the event id that it retracts; empty if none.
        effect: what it did to the state of the shipment, as ``shipments trace`` says it; empty if unknown.
    """

    event: StoredEvent
    at: datetime
    stored_at: datetime
    local: str
    what: str
    status: str | None
    place: str
    arrived: int
    overtaken_by: int
    delay: timedelta | None
    is_conflict: bool
    voided: bool
    retracts: str
    findings: Sequence[str]
    effect: str

    @property
    def lines(self) -> list[BodyLine]:
        """The event as the producer sent it."""
        return body_lines(dumps(self.event.detail))

    def text(self, name: str) -> str:
        """A field of the event, if it is a text."""
        value = self.event.detail.get(name)
        return value if isinstance(value, str) else ""


def history(shipment_id: str, events: Iterable[StoredEvent], *, with_effects: bool) -> list[Entry]:
    """The entries of a shipment's events. The latest is first.

    Args:
        shipment_id: of the events.
        events: in the order in which they happened. If older ones are left out, the positions by arrival do
            not count them, and an event that one of them retracts is not marked.
        with_effects: whether the effect of each is wanted. This needs all events of the shipment.
    """
    found = list(events)
    effects = effects_of(shipment_id, found) if with_effects else {}
    by_arrival = sorted(range(len(found)), key=lambda index: (found[index].stored_at, index))
    arrived = {index: position for position, index in enumerate(by_arrival, start=1)}
    news = [_news(event) for event in found]
    void = {one.retracts for one in news if one and one.retracts}
    entries = []
    earliest_after = len(found) + 1
    overtaken: list[int] = []
    for index in reversed(range(len(found))):
        later = arrived[index] > earliest_after
        overtaken.append(
            sum(arrived[other] < arrived[index] for other in range(index + 1, len(found))) if later else 0
        )
        earliest_after = min(earliest_after, arrived[index])
    for index, late_by in zip(reversed(range(len(found))), overtaken, strict=True):
        effect = effects.get(found[index].sort_key)
        sentence = effect.sentence if effect else ""
        entries.append(
            _entry(
                found[index],
                news[index],
                void,
                arrived=arrived[index],
                overtaken_by=late_by,
                effect=sentence,
            )
        )
    return entries


def _entry(
    event: StoredEvent, news: News | None, void: set[str], *, arrived: int, overtaken_by: int, effect: str
) -> Entry:
    detail = event.detail
    at = datetime.fromisoformat(event.sort_key.partition("#")[0])
    stored_at = datetime.fromisoformat(event.stored_at)
    event_type, written = str(detail.get("event_type", "")), str(detail.get("event_timestamp", ""))
    return Entry(
        event=event,
        at=at,
        stored_at=stored_at,
        local="" if written.endswith(_UTC) else written,
        what=event_type.removeprefix("shipment.").replace("_", " "),
        status=status_at_place(news.place) if news else None,
        place=place_of(detail.get("location")),
        arrived=arrived,
        overtaken_by=overtaken_by,
        delay=stored_at - at if stored_at - at > _LATE else None,
        is_conflict=event.status == CONFLICT,
        voided=bool(news and news.is_news and mark_of(event_id_at(news.place)) in void),
        retracts=str(detail["retracts"]) if news and news.retracts else "",
        findings=[_FINDINGS[finding] for finding in news.findings] if news else [],
        effect=effect,
    )


def _news(event: StoredEvent) -> News | None:
    try:
        return news_of(event)
    except UnfoldableError:
        return None
