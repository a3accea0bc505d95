"""Look at all open shipments, and announce those that are stalled or overdue.

As the tracker does, it announces before it writes its marks, and each write checks the version of the state.
A crash in between repeats changes with the same ids, and loses none.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from shipment_events.contract.moments import utc_text
from shipment_events.contract.names import PARTITION_KEY
from shipment_events.function.pauses import pauses
from shipment_events.table.item import value_of_attribute
from shipment_events.table.results import Rejected, Unavailable
from shipment_events.table.store import MAX_KEYS
from shipment_events.tracking.announcer import Announcer, entry_of
from shipment_events.tracking.changes import Change
from shipment_events.tracking.delays import is_overdue, is_stalled, silent_since
from shipment_events.tracking.item import UnreadableStateError
from shipment_events.tracking.reader import open_pages
from shipment_events.tracking.shipment import Shipment
from shipment_events.tracking.store import Found, Overtaken, ReadResult, ShipmentTable, Unreadable
from shipment_events.tracking.watch import announce_delays

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROUNDS: Final = 4
"""Attempts for a shipment. The next run of the watcher tries again."""
RESERVE: Final = 10.0
"""Seconds that must remain before the function's timeout to send another request."""


@dataclass(slots=True)
class Watch:
    """The results of a run.

    Attributes:
        looked_at: number of open shipments.
        announced: number of delays that were put on the bus, with repeats.
        lost_races: number of writes that failed because the tracker wrote first.
        unsettled: number of shipments whose delays are not announced and marked, by reason.
        unreadable: ids of shipments that can be delayed, but whose item the tracker did not write.
    """

    looked_at: int = 0
    announced: int = 0
    lost_races: int = 0
    unsettled: dict[str, int] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)

    def fail(self, why: str, shipments: int) -> None:
        """Count shipments that are not settled."""
        self.unsettled[why] = self.unsettled.get(why, 0) + shipments


@dataclass(frozen=True, slots=True)
class Watcher:
    """Announces delays, each once for the same latest event or estimate.

    Attributes:
        client: DynamoDB client, for the index of open shipments.
        stalled_after_hours: the stage's setting.
    """

    client: "DynamoDBClient"
    shipments: ShipmentTable
    announcer: Announcer
    stalled_after_hours: int
    sleep: Callable[[float], None] = time.sleep

    def watch(self, now: datetime, seconds_left: Callable[[], float]) -> Watch:
        """Look at all open shipments.

        Args:
            now: the time at which delays are judged, aware.
            seconds_left: gives the seconds until the function's timeout.

        Raises:
            botocore.exceptions.ClientError, BotoCoreError: the index cannot be read.
        """
        watch = Watch()

        def has_time() -> bool:
            return seconds_left() > RESERVE

        for part in _parts(self._delayed(now, watch), MAX_KEYS):
            if not has_time():
                watch.fail("OutOfTime", len(part))
                break
            self._settle(part, now, watch, has_time)
        return watch

    def _delayed(self, now: datetime, watch: Watch) -> Iterator[str]:
        """Ids of the shipments that are delayed by their entries in the index."""
        since, at = silent_since(now, self.stalled_after_hours), utc_text(now)
        for read, items in open_pages(self.client, self.shipments.name, silent_since=since, now=at):
            watch.looked_at += read
            for one in _readable(items, watch):
                if is_stalled(one.status, one.latest_at, since) or is_overdue(
                    one.status, one.estimated_delivery, at
                ):
                    yield one.shipment_id

    def _settle(
        self, shipment_ids: Collection[str], now: datetime, watch: Watch, has_time: Callable[[], bool]
    ) -> None:
        """Announce and mark the delays of up to 100 shipments."""
        told: set[str] = set()
        delays = pauses()
        pending = dict.fromkeys(shipment_ids, "NotTried")
        for _ in range(ROUNDS):
            if not has_time():
                break
            pending = self._round(pending, now, watch, told, has_time)
            if not pending:
                return
            self.sleep(next(delays))
        for why in pending.values():
            watch.fail(why, 1)

    def _round(
        self,
        shipment_ids: Collection[str],
        now: datetime,
        watch: Watch,
        told: set[str],
        has_time: Callable[[], bool],
    ) -> dict[str, str]:
        """Read, announce and write once. Returns why, for each shipment that is not settled."""
        unsettled, steps = self._judge(self.shipments.read(shipment_ids), now, watch)
        entries = [
            (shipment_id, change.change_id, entry_of(change))
            for shipment_id, (_, changes) in steps.items()
            for change in changes
            if change.change_id not in told
        ]
        failed = self.announcer.announce([entry for *_, entry in entries], has_time)
        watch.announced += len(entries) - len(failed)
        for index, (shipment_id, change_id, _) in enumerate(entries):
            if index in failed:
                unsettled[shipment_id] = f"not announced: {failed[index]}"
                steps.pop(shipment_id, None)
            else:
                told.add(change_id)
        return unsettled | self._write(
            {one: statement for one, (statement, _) in steps.items()}, watch, has_time
        )

    def _judge(
        self, found: Mapping[str, ReadResult], now: datetime, watch: Watch
    ) -> tuple[dict[str, str], dict[str, tuple[str, list[Change]]]]:
        """Why shipments could not be read; statement and changes of those with a delay to announce."""
        unsettled, steps = {}, {}
        for shipment_id, result in found.items():
            match result:
                case Unavailable(why):
                    unsettled[shipment_id] = why
                case Unreadable():
                    watch.unreadable.add(shipment_id)
                case Found(tracked) if tracked:
                    changes, marked = announce_delays(tracked, now, self.stalled_after_hours)
                    if changes:
                        steps[shipment_id] = (self.shipments.statement(marked, result), changes)
        return unsettled, steps

    def _write(
        self, statements: Mapping[str, str], watch: Watch, has_time: Callable[[], bool]
    ) -> dict[str, str]:
        """Write marks. Returns why, for each shipment that was not written."""
        unsettled = dict.fromkeys(statements, "OutOfTime")
        remaining = iter(statements)
        results = self.shipments.write(list(statements.values()))
        while has_time() and (part := next(results, None)):
            for result, shipment_id in zip(part, remaining, strict=False):
                del unsettled[shipment_id]
                match result:
                    case Overtaken():
                        watch.lost_races += 1
                        unsettled[shipment_id] = "Overtaken"
                    case Unavailable(why) | Rejected(why):
                        unsettled[shipment_id] = why
        return unsettled


def _readable(items: Iterable[Mapping[str, Any]], watch: Watch) -> Iterator[Shipment]:
    for item in items:
        try:
            yield Shipment.of({name: value_of_attribute(value) for name, value in item.items()})
        except UnreadableStateError:
            watch.unreadable.add(item[PARTITION_KEY]["S"])


def _parts(ids: Iterator[str], size: int) -> Iterator[list[str]]:
    while part := list(islice(ids, size)):
        yield part
