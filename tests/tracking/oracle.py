"""What the state of a shipment has to be, by brute force over the whole set of its stored events.

It shares no code with the package: it sorts, filters and looks from the end, where the fold keeps maxima.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shipment_events.table.item import StoredEvent

WORDS: Final = [
    "pre_transit", "picked_up", "in_transit", "exception", "out_for_delivery", "available_for_pickup",
    "cancelled", "returned", "delivered",
]  # fmt: skip
TYPES: Final = {
    "shipment.manifested": "pre_transit",
    "shipment.departed": "in_transit",
    "shipment.arrived": "in_transit",
    "shipment.delivery_failed": "exception",
    "shipment.customs_held": "exception",
} | {f"shipment.{word}": word for word in WORDS}
OFFSET: Final = re.compile(r"T.*(Z|z|[+-]\d\d:?(\d\d)?)$", re.ASCII)


@dataclass(frozen=True)
class Seen:
    """An event that counts, as the oracle sees it."""

    moment: datetime
    rank: int
    sort_key: str
    event_id: str
    status: str | None
    estimate: str | None
    detail: dict[str, Any]

    @property
    def order(self) -> tuple[datetime, int, str]:
        return self.moment, self.rank, self.sort_key


def status_word(detail: dict[str, Any]) -> str | None:
    said = detail.get("status")
    if isinstance(said, str):
        word = re.sub("[ -]", "_", said).casefold()
        if word in WORDS:
            return word
    return TYPES.get(detail["event_type"])


def time(text: object) -> datetime | None:
    if not isinstance(text, str) or not OFFSET.search(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def written(moment: datetime) -> str:
    return f"{moment:%Y}".zfill(4) + f"-{moment:%m-%dT%H:%M:%S.%f}Z"


def retracted_id(event: StoredEvent) -> str | None:
    value = event.detail.get("retracts")
    return value if isinstance(value, str) and 1 <= len(value.encode()) <= 900 else None


def timeline(events: Iterable[StoredEvent]) -> list[Seen]:
    """What counts as news and is not void, in order."""
    counting = [event for event in events if event.status == "PROCESSED"]
    void = {retracted_id(event) for event in counting}
    seen = {}
    for event in counting:
        moment = time(event.sort_key[:27])
        stored_at = time(event.stored_at)
        assert moment
        assert stored_at
        if retracted_id(event) or event.event_id in void or moment - stored_at > timedelta(days=1):
            continue
        status = status_word(event.detail)
        estimate = time(event.detail.get("estimated_delivery"))
        seen[event.sort_key] = Seen(
            moment=moment,
            rank=WORDS.index(status) if status else -1,
            sort_key=event.sort_key,
            event_id=event.event_id,
            status=status,
            estimate=written(estimate) if estimate else None,
            detail=event.detail,
        )
    return sorted(seen.values(), key=lambda one: one.order)


def fits(value: Any) -> bool:
    text = value if isinstance(value, str) else json.dumps(value, default=str, separators=(",", ":"))
    return len(text.encode()) <= 2048


def attributes(events: Sequence[StoredEvent]) -> dict[str, Any]:
    """The attributes of the contract that the shipment must have."""
    line = timeline(events)
    last = list(reversed(line))
    result: dict[str, Any] = {}
    if last:
        result["latest_at"] = written(last[0].moment)
        result["first_at"] = written(line[0].moment)
        result["latest_event"] = {"event_id": last[0].event_id} | {
            name: value
            for name in ("event_type", "location", "description", "reason_code")
            if (value := last[0].detail.get(name)) is not None and fits(value)
        }
    if giver := status_giver(line):
        result["status"] = giver.status
        result["status_at"] = written(giver.moment)
        if giver.status == "delivered":
            result["delivered_at"] = written(giver.moment)
    if giver := estimate_giver(line):
        result["estimated_delivery"] = giver.estimate
    for name in ("carrier", "tracking_number"):
        carried = [one.detail[name] for one in last if one.detail.get(name)]
        if carried and fits(carried[0]):
            result[name] = carried[0]
    if last and result.get("status") not in {"delivered", "returned", "cancelled"}:
        result["open"] = "open"
    return result


def status_giver(line: Sequence[Seen]) -> Seen | None:
    return next((one for one in reversed(line) if one.status), None)


def estimate_giver(line: Sequence[Seen]) -> Seen | None:
    return next((one for one in reversed(line) if one.estimate), None)


def is_first_time(line: Sequence[Seen], giver: Seen) -> bool:
    return not any(one.status == giver.status and one.order < giver.order for one in line)
