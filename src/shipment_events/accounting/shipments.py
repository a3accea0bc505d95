"""What the state of a shipment has to be, from all its stored events.

It checks the tracker, so it shares no code with it: it sorts and searches the events, where the tracker keeps
the last value of each kind. The rules are those of docs/contract.md. It does not know events that have
expired, whose values a state keeps.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shipment_events.contract.exact_json import canonical_json
from shipment_events.table.item import StoredEvent

MAX_VALUE_BYTES: Final = 2048
MAX_EVENT_ID_BYTES: Final = 900

STATUSES: Final[Mapping[str, Sequence[str]]] = {
    "pre_transit": ("booked", "label_created", "manifested", "empty_released"),
    "picked_up": (),
    "in_transit": (
        "departed", "arrived", "loaded", "unloaded", "customs_presented", "customs_released",
        "arrived_at_delivery_office",
    ),
    "exception": (
        "customs_held", "damaged", "delayed", "delivery_attempted", "delivery_failed", "held", "lost",
        "refused",
    ),
    "out_for_delivery": (),
    "available_for_pickup": (),
    "cancelled": (),
    "returned": (),
    "delivered": ("empty_returned",),
}  # fmt: skip
"""Each status, by rank, with the event types that mean it besides its own name.

It is a copy of the documented table, so that a mistake in the tracker's table is found.
"""
ATTRIBUTES: Final = (
    "status", "status_at", "latest_at", "latest_event", "first_at", "carrier", "tracking_number",
    "estimated_delivery", "delivered_at", "open",
)  # fmt: skip
"""The attributes of a state that follow from the events. It has others, which tracker and watcher need."""
_RANKS: Final = list(STATUSES)
_OF_TYPE: Final = {
    f"shipment.{name}": status for status, others in STATUSES.items() for name in (status, *others)
}
_FINISHED: Final = {"delivered", "returned", "cancelled"}
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:[.,](\d+))?(Z|[+-]\d\d(?::?\d\d)?)", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Scan:
    """An event that can give its shipment a value.

    Attributes:
        moment: when it happened, in UTC.
        rank: rank of its status; -1 for none.
        estimate: when it expects the delivery, in UTC; None if it says nothing valid.
        is_void: whether an event of the shipment retracts it.
    """

    moment: datetime
    rank: int
    sort_key: str
    event_id: str
    status: str | None
    estimate: str | None
    is_void: bool
    detail: Mapping[str, Any]

    @property
    def order(self) -> tuple[datetime, int, str]:
        """Position among the events of the shipment."""
        return self.moment, self.rank, self.sort_key


@dataclass(frozen=True, slots=True)
class History:
    """The stored events of one shipment.

    Attributes:
        scans: its events, in their order, without retractions, events from the future and conflicts.
        retractions: its retractions.
        stored_at: when its events were stored.
    """

    shipment_id: str
    scans: Sequence[Scan] = ()
    retractions: Sequence[StoredEvent] = ()
    stored_at: Sequence[str] = ()

    @classmethod
    def of(cls, shipment_id: str, events: Iterable[StoredEvent]) -> "History":
        """The history from the events of the table."""
        counting = [event for event in events if event.status == "PROCESSED"]
        void = {_retracted(event) for event in counting}
        scans = (_scan(event, event.event_id in void) for event in counting if not _retracted(event))
        return cls(
            shipment_id,
            sorted((scan for scan in scans if scan), key=lambda scan: scan.order),
            [event for event in counting if _retracted(event)],
            [event.stored_at for event in counting],
        )

    @property
    def valid(self) -> list[Scan]:
        """The events that are not void, in their order."""
        return [scan for scan in self.scans if not scan.is_void]

    def state(self) -> dict[str, Any]:
        """The attributes of the contract that the shipment must have; empty if it has no valid event."""
        valid = self.valid
        state: dict[str, Any] = {}
        if not valid:
            return state
        latest = valid[-1]
        state["latest_at"], state["first_at"] = _text(latest.moment), _text(valid[0].moment)
        state["latest_event"] = {"event_id": latest.event_id} | {
            name: value
            for name in ("event_type", "location", "description", "reason_code")
            if (value := bounded(latest.detail.get(name))) is not None
        }
        for scan in reversed(valid):
            if scan.status and "status" not in state:
                state["status"], state["status_at"] = scan.status, _text(scan.moment)
                if scan.status == "delivered":
                    state["delivered_at"] = _text(scan.moment)
            if scan.estimate:
                state.setdefault("estimated_delivery", scan.estimate)
        for name in ("carrier", "tracking_number"):
            given = (scan.detail[name] for scan in reversed(valid) if scan.detail.get(name))
            if value := bounded(next(given, "")):
                state[name] = value
        if state.get("status") not in _FINISHED:
            state["open"] = "open"
        return state


def bounded(value: Any) -> Any:
    """A value as states and changes have it: None if it takes more than 2 KB."""
    text = value if isinstance(value, str) else canonical_json(value)
    return value if len(text.encode()) <= MAX_VALUE_BYTES else None


def is_from_future(event: StoredEvent) -> bool:
    """Whether an event is dated more than 24 hours after it was stored."""
    moment, stored_at = (_stored_moment(text) for text in (event.sort_key[:27], event.stored_at))
    return moment - stored_at > timedelta(hours=24)


def _stored_moment(text: str) -> datetime:
    moment = _moment(text)
    if moment is None:
        raise ValueError(f"expected a moment of a stored event, got {text!r}")
    return moment


def _scan(event: StoredEvent, is_void: bool) -> Scan | None:
    if is_from_future(event):
        return None
    status = _status(event.detail)
    estimate = _moment(event.detail.get("estimated_delivery"))
    return Scan(
        moment=_stored_moment(event.sort_key[:27]),
        rank=_RANKS.index(status) if status else -1,
        sort_key=event.sort_key,
        event_id=event.event_id,
        status=status,
        estimate=_text(estimate) if estimate else None,
        is_void=is_void,
        detail=event.detail,
    )


def _status(detail: Mapping[str, Any]) -> str | None:
    said = detail.get("status")
    if isinstance(said, str):
        word = re.sub(r"[ -]", "_", said.lower())
        if word in STATUSES:
            return word
    return _OF_TYPE.get(detail["event_type"])


def _retracted(event: StoredEvent) -> str | None:
    value = event.detail.get("retracts")
    fits = isinstance(value, str) and 0 < len(value.encode()) <= MAX_EVENT_ID_BYTES
    return value if fits else None


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str) or not (match := _TIME.fullmatch(text)):
        return None
    date, minutes, seconds, fraction, offset = match.groups()
    digits = f"{fraction or '':0<6}"[:6]
    try:
        local = datetime.fromisoformat(f"{date}T{minutes}{seconds or ':00'}.{digits}{offset.upper()}")
        return None if minutes.startswith("24") else local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text(moment: datetime) -> str:
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S.%f}Z"


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the attributes that differ."""
    return (name for name in sorted(wanted.keys() | found.keys()) if wanted.get(name) != found.get(name))
