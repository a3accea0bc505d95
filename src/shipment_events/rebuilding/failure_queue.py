"""Repair what the tracker's queue for failures names, and empty the queue by that.

The tracker itself reports events, with their keys. Lambda reports batches for which the function failed as a
whole, with the times of the first and the last record, but without the records:
https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shipment_events.contract.names import PARTITION_KEY, SORT_KEY
from shipment_events.dead_letters.settlement import until_interrupted
from shipment_events.dead_letters.walk import Walk
from shipment_events.queue.messages import MAX_BATCH_ENTRIES
from shipment_events.queue.queue import Depth, Queue
from shipment_events.rebuilding.examined import Examined, Verdict
from shipment_events.rebuilding.rebuilder import Listener, Rebuilder, Rebuilt
from shipment_events.tracking.failures import Failure

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef


@dataclass(frozen=True, slots=True)
class FailedBatch:
    """Records for which the tracker failed as a whole. The message does not say which they are."""

    reason: str


@dataclass(slots=True)
class Repair:
    """The result of a repair.

    Attributes:
        rebuilt: the counts of all shipments that were rebuilt.
        deleted: messages that were repaired and deleted. In a dry run: messages that would be.
        kept: messages that are still in the queue, each with the reason.
        unseen: how many more the queue counted at the end. Approximate.
    """

    rebuilt: Rebuilt = field(default_factory=Rebuilt)
    deleted: int = 0
    kept: list[tuple[Failure, str]] = field(default_factory=list)
    unseen: int = 0


def read_failure(body: str) -> Failure | FailedBatch | None:
    """Read a message of the queue; None for one of another form."""
    try:
        message: Any = json.loads(body)
        if "DDBStreamBatchInfo" in message:
            info = message["DDBStreamBatchInfo"]
            for which in ("First", "Last"):
                datetime.fromisoformat(info[f"approximateArrivalOf{which}Record"])
            return FailedBatch(str(message.get("requestContext", {}).get("condition", "")))
        return Failure(message[PARTITION_KEY], message[SORT_KEY], str(message["reason"]))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


class FailureQueue:
    """The tracker's queue for failures.

    Args:
        hold_seconds: how long a message stays hidden from others if this process is killed. While it runs,
            the time is extended.
    """

    def __init__(self, queue: Queue, rebuilder: Rebuilder, *, hold_seconds: int = 60) -> None:
        self._queue = queue
        self._rebuilder = rebuilder
        self._hold_seconds = hold_seconds

    def depth(self) -> Depth:
        """The approximate number of messages.

        Raises:
            botocore.exceptions.ClientError: the queue cannot be read.
        """
        return self._queue.depth()

    def repair(self, *, dry_run: bool = False, listener: Listener | None = None) -> Repair:
        """Rebuild and announce the shipments that the queue names. Delete each message after that.

        For batches, all shipments are compared. The times in the message do not limit them, because an event
        that 'shipments recover' copied back was stored long before. A message stays if its event still cannot
        be folded, or if a shipment could not be written.

        Raises:
            botocore.exceptions.ClientError: the queue or the table of events cannot be read.
        """
        repair = Repair()
        with until_interrupted(repair.rebuilt), Walk(self._queue, hold_seconds=self._hold_seconds) as walk:
            work = _Work(self._rebuilder, walk, repair, listener or Listener(), dry_run=dry_run)
            batches: list[_Report] = []
            for messages in walk.batches(await_count=True):
                batches += work.repair_named(messages)
                if repair.rebuilt.interrupted:
                    return repair
            repair.unseen = walk.unseen
            if batches:
                work.repair_batches(batches)
        return repair


@dataclass(frozen=True, slots=True)
class _Report:
    """A message, and what it says."""

    message_id: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class _Work:
    """The repair of the messages that one walk holds."""

    rebuilder: Rebuilder
    walk: Walk
    repair: Repair
    listener: Listener
    dry_run: bool

    def repair_named(self, messages: "Sequence[MessageTypeDef]") -> list[_Report]:
        """Repair the shipments that the messages name. Returns the messages that name batches."""
        batches, named = [], []
        for message in messages:
            found = read_failure(message["Body"])
            if isinstance(found, FailedBatch):
                batches.append(_Report(message["MessageId"], Failure("", "", found.reason)))
            elif found is None:
                self._keep(Failure("", "", ""), "it is no report of the tracker or of Lambda")
            elif not found.shipment_id:
                self._keep(found, "it names no shipment")
            else:
                named.append(_Report(message["MessageId"], found))
        if named:
            self._rebuild_named(named)
        return batches

    def repair_batches(self, reports: Sequence[_Report]) -> None:
        """Rebuild all shipments, because any can have an event of one of the batches."""
        rebuilt = self.rebuilder.rebuild_all(announce=True, dry_run=self.dry_run, listener=self.listener)
        self.repair.rebuilt.merge(rebuilt)
        if rebuilt.interrupted or rebuilt.verdicts[Verdict.FAILED]:
            for report in reports:
                self._keep(report.failure, "not all shipments were rebuilt")
        else:
            self._delete(reports)

    def _rebuild_named(self, reports: Sequence[_Report]) -> None:
        results: dict[str, Examined] = {}

        def on_shipment(examined: Examined) -> None:
            results[examined.shipment_id] = examined
            self.listener.on_shipment(examined)

        rebuilt = self.rebuilder.rebuild(
            [report.failure.shipment_id for report in reports],
            announce=True,
            dry_run=self.dry_run,
            listener=replace(self.listener, on_shipment=on_shipment),
        )
        self.repair.rebuilt.merge(rebuilt)
        repaired = []
        for report in reports:
            why = _why_kept(report.failure, results.get(report.failure.shipment_id))
            if rebuilt.interrupted:
                why = "interrupted"
            if why:
                self._keep(report.failure, why)
            else:
                repaired.append(report)
        self._delete(repaired)

    def _keep(self, failure: Failure, why: str) -> None:
        self.repair.kept.append((failure, why))

    def _delete(self, reports: Sequence[_Report]) -> None:
        for start in range(0, len(reports), MAX_BATCH_ENTRIES):
            part = reports[start : start + MAX_BATCH_ENTRIES]
            failed = {} if self.dry_run else self.walk.delete([report.message_id for report in part])
            self.repair.deleted += len(part) - len(failed)
            for report in part:
                if report.message_id in failed:
                    self._keep(report.failure, f"repaired, but not deleted: {failed[report.message_id]}")


def _why_kept(failure: Failure, examined: Examined | None) -> str:
    """Why a message must stay; empty if its shipment was repaired."""
    if examined is None:
        return ""
    if examined.verdict is Verdict.FAILED:
        return examined.why
    for one in examined.unfoldable:
        if one.sort_key == failure.sort_key:
            return f"the item still cannot be folded: {one.reason}"
    return ""
