"""Compare the states of shipments with their events, and write the states that differ.

This works beside the tracker. A state is always read before the events of its shipment, and a write checks
the state's version. So a rebuild never replaces a state by one with fewer events. If the tracker or another
rebuild writes first, the shipment is read again.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.contract.moments import now, utc_text
from shipment_events.contract.names import TTL_ATTRIBUTE
from shipment_events.contract.outcome import shown
from shipment_events.function.pauses import pauses
from shipment_events.rebuilding.examined import Examined, Verdict
from shipment_events.rebuilding.histories import MAX_EVENTS, StoredHistory, history_of
from shipment_events.table.results import Rejected, Unavailable
from shipment_events.table.store import EventTable
from shipment_events.tracking.announcer import Announcer, entry_of
from shipment_events.tracking.changes import Change
from shipment_events.tracking.item import VERSION, tracked_item
from shipment_events.tracking.records import defect
from shipment_events.tracking.state import Reading, State
from shipment_events.tracking.step import Step, Tracked, announce_rest, correct, fold_records
from shipment_events.tracking.store import (
    Found,
    Overtaken,
    ReadResult,
    ShipmentTable,
    Unreadable,
    WriteResult,
    Written,
)

_MOST_READINGS: Final = 12
RECENT: Final = timedelta(minutes=1)
"""How long the tracker may take for an event, so that a difference can be one that it is about to remove."""
_SETTLING_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Look:
    """A state and the events of its shipment, as they were read once."""

    found: Found
    history: StoredHistory
    step: Step
    item: Mapping[str, Any]
    """What the item of the shipment should be."""

    @property
    def attributes(self) -> dict[str, tuple[Any, Any]]:
        """The attributes that differ.

        Each write has another version, so the version is no difference. A state may expire at any time after
        its events: the stage may have had another retention when it was written.
        """
        has, wanted = self.found.values, self.item
        same = {VERSION}
        if has.get(TTL_ATTRIBUTE, 0) >= self.history.expires_at:
            same.add(TTL_ATTRIBUTE)
        names = sorted((has.keys() | wanted.keys()) - same)
        return {
            name: (has.get(name), wanted.get(name)) for name in names if has.get(name) != wanted.get(name)
        }

    @property
    def is_same(self) -> bool:
        """Whether there is nothing to write and nothing to announce."""
        return not (self.attributes or self.step.changes)


@dataclass(slots=True)
class _Pending:
    """A shipment that is not settled, and how far it has come."""

    shipment_id: str
    last: Look | None = None
    written: Look | None = None
    lost: list[Change] = field(default_factory=list)
    announced: list[Change] = field(default_factory=list)
    lost_races: int = 0
    trouble: str = "NotTried"
    result: Examined | None = None

    def end(self, verdict: Verdict, look: Look | None = None, why: str = "") -> None:
        """Note the result, with what a reading found."""
        history = look.history if look else StoredHistory(self.shipment_id)
        self.result = Examined(
            shipment_id=self.shipment_id,
            verdict=verdict,
            attributes=look.attributes if look else {},
            changes=self.announced or (look.step.changes if look else ()),
            unfoldable=history.unfoldable,
            stored_at=history.stored_at,
            lost_races=self.lost_races,
            why=why,
        )


@dataclass(frozen=True, slots=True)
class Examiner:
    """Compares shipments, at most a hundred at a time. Several threads may use one.

    Attributes:
        dry_run: whether nothing is announced or written.
        announce: whether changes that no one has announced are announced.
        clock: gives the current time, aware.
    """

    shipments: ShipmentTable
    events: EventTable
    announcer: Announcer
    dry_run: bool = False
    announce: bool = False
    clock: Callable[[], datetime] = now
    sleep: Callable[[float], None] = time.sleep

    def examine(
        self, ids: Collection[str], read: Mapping[str, StoredHistory] | None = None
    ) -> list[Examined]:
        """Compare shipments, and write the states that differ unless this is a dry run.

        Args:
            ids: distinct.
            read: events that a scan has read. They were read before the states, so they only show which
                shipments need no further reading.
        """
        pending = [_Pending(shipment_id) for shipment_id in ids]
        if read is not None:
            self._compare_scanned(pending, read)
        delays = pauses()
        for _ in range(_MOST_READINGS):
            left = [one for one in pending if one.result is None]
            if not left:
                break
            self._settle_recent(left)
            self._look(left)
            if not self.dry_run:
                self._write(self._announce([one for one in left if one.result is None and one.last]))
            if any(one.result is None for one in left):
                self.sleep(next(delays))
        for one in pending:
            if one.result is None:
                one.end(Verdict.FAILED, one.last, one.trouble)
        return [one.result for one in pending if one.result]

    def _compare_scanned(self, pending: Sequence[_Pending], read: Mapping[str, StoredHistory]) -> None:
        states = self.shipments.read([one.shipment_id for one in pending])
        for one in pending:
            found, history = states[one.shipment_id], read[one.shipment_id]
            if isinstance(found, Found) and history.is_whole:
                look = self._compare(one, found, history)
                one.last = look
                if look and look.is_same:
                    one.end(Verdict.SAME, look)

    def _settle_recent(self, pending: Sequence[_Pending]) -> None:
        """Wait before a difference is read again that the tracker may be about to remove."""
        recent = utc_text(self.clock() - RECENT)
        if self.dry_run and any(one.last and one.last.history.stored_at > recent for one in pending):
            self.sleep(_SETTLING_SECONDS)

    def _look(self, pending: Sequence[_Pending]) -> None:
        """Read states and then events, and compare them."""
        states = self.shipments.read([one.shipment_id for one in pending])
        for one in pending:
            before, one.last = one.last, None
            look = self._look_at(one, states[one.shipment_id])
            one.last = look
            if look is None:
                continue
            if look.is_same:
                one.end(Verdict.REBUILT if one.written else Verdict.SAME, one.written or look)
            elif self.dry_run and before and _agree(before, look):
                one.end(Verdict.DIFFERENT, look)
            else:
                one.trouble = "it changed between the readings"

    def _look_at(self, one: _Pending, found: ReadResult) -> Look | None:
        if isinstance(found, Unavailable):
            one.trouble = found.why
            return None
        if isinstance(found, Unreadable):
            why = f"{found.why}. Delete the item from {self.shipments.name} and rebuild the shipment"
            one.end(Verdict.FAILED, why=why)
            return None
        try:
            history = history_of(one.shipment_id, self.events.items(one.shipment_id))
        except (ClientError, BotoCoreError) as error:
            one.trouble = error_code(error)
            return None
        if not history.is_whole:
            one.end(Verdict.FAILED, why=f"expected at most {MAX_EVENTS} events of the shipment")
            return None
        return self._compare(one, found, history)

    def _compare(self, one: _Pending, found: Found, history: StoredHistory) -> Look | None:
        try:
            return self._compared(one, found, history)
        except Exception as error:  # noqa: BLE001 - a defect in our code must not stop the other shipments
            one.end(Verdict.FAILED, why=defect(error)[0])
            return None

    def _compared(self, one: _Pending, found: Found, history: StoredHistory) -> Look | None:
        before = found.tracked
        if before is None and not history.news:
            nothing = Step([], Tracked(State(one.shipment_id)))
            one.end(Verdict.SAME if history.items else Verdict.ABSENT, Look(found, history, nothing, {}))
            return None
        step = fold_records(
            one.shipment_id, before, [], Reading.taken(history.news, self.clock(), self.shipments.retention)
        )
        if self.announce:
            if before is None:
                # No one has announced anything of a shipment without a state.
                step = Step([], replace(step.tracked, announced=Tracked(step.tracked.state).announced))
            step = correct(announce_rest(step.tracked, history.news), one.lost)
        return Look(found, history, step, tracked_item(step.tracked, self.shipments.retention))

    def _announce(self, pending: Sequence[_Pending]) -> list[_Pending]:
        """Announce the changes. Returns the shipments whose changes are on the bus."""
        changes = [(one, change) for one in pending if one.last for change in one.last.step.changes]
        failed = self.announcer.announce([entry_of(change) for _, change in changes], lambda: True)
        silent = set()
        for index, (one, change) in enumerate(changes):
            if index in failed:
                one.trouble = f"not announced: {failed[index]}"
                silent.add(one.shipment_id)
            else:
                one.announced.append(change)
        return [one for one in pending if one.shipment_id not in silent]

    def _write(self, pending: Sequence[_Pending]) -> None:
        looks = [(one, one.last) for one in pending if one.last]
        statements = [self.shipments.statement(look.step.tracked, look.found) for _, look in looks]
        results: Iterable[WriteResult] = (
            result for part in self.shipments.write(statements) for result in part
        )
        for (one, look), result in zip(looks, results, strict=True):
            match result:
                case Written():
                    one.end(Verdict.REBUILT, look)
                case Rejected(why):
                    one.end(
                        Verdict.FAILED,
                        look,
                        f"the table refused the state: {shown(why, quote=False, limit=250)}",
                    )
                case Overtaken():
                    one.lost_races += 1
                    one.lost += look.step.changes
                    one.trouble = "other writers were always first"
                case Unavailable(why):
                    # It may have been written. Then the next reading finds no difference.
                    one.written, one.trouble = look, why


def _agree(first: Look, second: Look) -> bool:
    """Whether two readings found the same difference."""
    return first.found.values == second.found.values and first.item == second.item
