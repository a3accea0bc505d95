"""Whether the changes that subscribers received are those that had to be announced.

Which changes must be announced depends on the order in which the tracker gets the records of a shipment's
events. Nobody can know this order afterwards. The stream keeps the order of an item, not of a shipment, and
``stored_at`` is the clock of one of several processors. A reading can also bring an event into the state
before its own record comes. So the check knows two things.

What every order announces:

- If the value from all events is not the value from the events before the run, a change was announced. The
  event that gives the current value is announced with its own record at the latest.
- If any change was announced, the last one by ``at`` has the current value, because consumers order by
  ``at``.

A change that another event superseded may be missing. A caller that has to prove more checks several times,
each time when the tracker has caught up (see ``before``).

What no order announces: a change whose id is not the hash of events of the shipment, and a value, place or
time that no event of the shipment gives. A change happened when its cause did. If the event that gave the
value before is as late, or the change before, it happened just after that (see docs/contract.md).
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from shipment_events.accounting.shipments import History, Scan, bounded, is_from_future

STATUS_CHANGED: Final = "shipment.status_changed"
ESTIMATE_CHANGED: Final = "shipment.estimate_changed"
_VALUES: Final = {STATUS_CHANGED: "status", ESTIMATE_CHANGED: "estimated_delivery"}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_FIELDS: Final = {
    "change_id", "shipment_id", "tracking_number", "carrier", "status", "previous_status", "first_time", "at",
    "event_id", "location", "estimated_delivery",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Announcement:
    """A change that a subscriber received.

    Attributes:
        kind: detail-type of its event.
        detail: detail of its event. Numbers are ``Decimal``.
    """

    kind: str
    detail: Mapping[str, Any]


@dataclass(slots=True)
class AnnouncementAccount:
    """The result of the check.

    Attributes:
        received: number of changes that were received, without repeats.
        repeats: number of repeats: the same change id again.
        missing: changes that had to be announced and did not arrive.
        impossible: changes that no order of the events gives, and why.
    """

    received: int = 0
    repeats: int = 0
    missing: list[str] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)

    def add(self, other: "AnnouncementAccount") -> None:
        """Add the result for other shipments."""
        self.received += other.received
        self.repeats += other.repeats
        self.missing += other.missing
        self.impossible += other.impossible


def check_announcements(
    histories: Iterable[History], before: Mapping[str, History], announcements: Iterable[Announcement]
) -> AnnouncementAccount:
    """Check the changes of shipments that the tracker has caught up with.

    Args:
        histories: all events of each shipment.
        before: the events that were stored and announced before the subscriber's queue existed, by shipment.
        announcements: the changes of the queue. Changes of other shipments, and those of the watcher, are
            ignored.
    """
    of_shipment: dict[str, list[Announcement]] = defaultdict(list)
    for one in announcements:
        if one.kind in _VALUES:
            of_shipment[one.detail.get("shipment_id", "")].append(one)
    account = AnnouncementAccount()
    for history in histories:
        mine = of_shipment[history.shipment_id]
        ids = {one.detail.get("change_id") for one in mine}
        account.received += len(ids)
        account.repeats += len(mine) - len(ids)
        earlier = before.get(history.shipment_id, History(history.shipment_id))
        for kind in _VALUES:
            account.missing += _missing(history, earlier, kind, [one for one in mine if one.kind == kind])
        account.impossible += _impossible(history, mine)
    return account


def _missing(
    history: History, earlier: History, kind: str, announced: Sequence[Announcement]
) -> Iterator[str]:
    name = _VALUES[kind]
    value, was = history.state().get(name), earlier.state().get(name)
    what = f"{history.shipment_id}: {kind} to {value}"
    if not announced:
        if value != was:
            yield f"{what}, from {was}: not announced"
        return
    last = max(str(one.detail.get("at")) for one in announced)
    values = [one.detail.get(name) for one in announced if str(one.detail.get("at")) == last]
    if value not in values:
        yield f"{what}: the last change by its time says {values[-1]}"


def _impossible(history: History, announced: Collection[Announcement]) -> Iterator[str]:
    if not announced:
        return
    facts = _Facts.of(history)
    for one in {(one.kind, str(one.detail)): one for one in announced}.values():
        if why := _objection(facts, one, announced):
            yield f"{history.shipment_id}: {one.kind} {one.detail.get('change_id')}: {why}"


@dataclass(frozen=True, slots=True)
class _Cause:
    """An event that can cause a change.

    Attributes:
        sort_key: the event's; empty if all events of the shipment are void.
        times: when the change happened: one of these.
    """

    sort_key: str
    times: Collection[str]
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the events of a shipment say.

    Attributes:
        causes: the events that can cause a change, by event id.
    """

    history: History
    causes: Mapping[str | None, Sequence[_Cause]]
    values: Mapping[str, Collection[Any]]

    @classmethod
    def of(cls, history: History) -> "_Facts":
        causes: dict[str | None, list[_Cause]] = defaultdict(list)
        for scan in history.scans:
            causes[scan.event_id].append(_Cause(scan.sort_key, {scan.sort_key[:27]}, scan.detail))
        for one in history.retractions:
            time = one.stored_at if is_from_future(one) else one.sort_key[:27]
            causes[one.event_id].append(_Cause(one.sort_key, {time}, one.detail))
        # If all events of a shipment are void, a change has neither a cause nor an event with its value.
        causes[None].append(_Cause("", set(history.stored_at)))
        return cls(
            history,
            causes,
            {
                "status": {None, *(scan.status for scan in history.scans)},
                "estimated_delivery": {None, *(scan.estimate for scan in history.scans)},
                **{
                    name: {None, *(bounded(scan.detail.get(name) or "") for scan in history.scans)} - {""}
                    for name in ("carrier", "tracking_number")
                },
            },
        )

    def givers(self, kind: str, value: object) -> list[Scan]:
        """The events with the value."""
        is_status = kind == STATUS_CHANGED
        scans = self.history.scans
        return [scan for scan in scans if (scan.status if is_status else scan.estimate) == value]

    def is_time(self, at: Any, cause: _Cause, others: Iterable[Any]) -> bool:
        """Whether a change can have this time.

        Args:
            others: the times of the other changes of its kind.
        """
        if at in cause.times:
            return True
        if not isinstance(at, str) or not _TIME.fullmatch(at):
            return False
        own = {"", cause.sort_key}
        events = (one for causes in self.causes.values() for one in causes if one.sort_key not in own)
        times = {*map(str, others), *(time for event in events for time in event.times)}
        before = max((time for time in times if _TIME.fullmatch(time) and time < at), default=None)
        if before is None or at < min(cause.times):
            return False
        # Each event causes at most one change of a kind, and one correction of it.
        most = timedelta(microseconds=2 * len(self.history.stored_at))
        return datetime.fromisoformat(at) - datetime.fromisoformat(before) <= most


def _objection(facts: _Facts, one: Announcement, announced: Iterable[Announcement]) -> str:
    """Why no order of the events gives this change; empty if one does."""
    detail = one.detail
    if detail.keys() != _FIELDS:
        return f"expected other fields than {sorted(detail.keys() ^ _FIELDS)}"
    for name, values in facts.values.items():
        if detail[name] not in values:
            return f"{name}: no event of the shipment gives {detail[name]!r}"
    givers = facts.givers(one.kind, detail[_VALUES[one.kind]])
    cause = _cause(facts, one, givers)
    if cause is None:
        return "change_id: not the hash of an event that caused it and of one that gives the value"
    others = (
        other.detail.get("at")
        for other in announced
        if other.kind == one.kind and other.detail.get("change_id") != detail["change_id"]
    )
    if not facts.is_time(detail["at"], cause, others):
        return f"at: {detail['at']} is not {min(cause.times)}, nor just after another event or change"
    if detail["location"] not in (None, bounded(cause.detail.get("location"))):
        return "location: not that of the event that caused the change"
    if one.kind == ESTIMATE_CHANGED:
        both = (detail["previous_status"], detail["first_time"])
        return "" if both == (None, None) else f"expected no status before and no first time, got {both}"
    return _objection_to_status(facts, detail, givers)


def _cause(facts: _Facts, one: Announcement, givers: Sequence[Scan]) -> _Cause | None:
    """The event that caused a change, by the change's id."""
    given = [scan.sort_key for scan in givers] if one.detail[_VALUES[one.kind]] else [""]
    for cause in facts.causes.get(one.detail["event_id"], ()):
        for key in given:
            if change_id(facts.history.shipment_id, one.kind, cause.sort_key, key) == one.detail["change_id"]:
                return cause
    return None


def _objection_to_status(facts: _Facts, detail: Mapping[str, Any], givers: Sequence[Scan]) -> str:
    status, previous, first_time = (detail[name] for name in ("status", "previous_status", "first_time"))
    if previous not in facts.values["status"] or previous == status:
        return f"previous_status: {previous!r} was not the status before {status!r}"
    if status is None:
        return "" if first_time is False else f"first_time: expected false without a status, got {first_time}"
    if not first_time and len(givers) == 1:
        return "first_time: expected true, because no other event gives this status"
    return ""


def change_id(shipment_id: str, kind: str, cause: str, given: str) -> str:
    """The id of a change.

    Args:
        cause: sort key of the event that caused it.
        given: sort key of the event that gives the new value; empty for none.
    """
    parts = json.dumps([shipment_id, kind, cause, given], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]
