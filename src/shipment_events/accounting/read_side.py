"""Account for the read side: the state of each shipment, and the changes that a subscriber received."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shipment_events.accounting.announcements import (
    Announcement,
    AnnouncementAccount,
    check_announcements,
)
from shipment_events.accounting.shipments import History
from shipment_events.accounting.states import POLL_SECONDS, StateWait, timelines
from shipment_events.contract.exact_json import loads
from shipment_events.contract.names import CHANGE_SOURCE, PARTITION_KEY
from shipment_events.queue.queue import Queue
from shipment_events.table.item import StoredEvent
from shipment_events.table.store import EventTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PATIENCE_SECONDS: Final = 60.0
_HOLD_SECONDS: Final = 60
_NAMED: Final = 100


@dataclass(slots=True)
class ReadSideAccount:
    """The result of the check.

    Attributes:
        shipments: number of shipments that were checked.
        different: shipments whose state is not that of their events, with the attributes that differ.
        caught_up_seconds: from storing the last new event until all states were right, at most: nobody looked
            at them before the queue was empty. None if they never were, or no event was new.
        changes: None if there was no subscriber.
    """

    shipments: int = 0
    different: list[str] = field(default_factory=list)
    caught_up_seconds: float | None = None
    changes: AnnouncementAccount | None = None

    @property
    def succeeded(self) -> bool:
        """Whether each state is right, and each change arrived that had to, and no other."""
        return not self.findings

    @property
    def findings(self) -> dict[str, list[str]]:
        """What is wrong, by kind of finding."""
        changes = self.changes or AnnouncementAccount()
        found = {"different": self.different, "missing": changes.missing, "impossible": changes.impossible}
        return {kind: texts for kind, texts in found.items() if texts}

    def as_json(self) -> dict[str, Any]:
        """The account as JSON: of the states, and of the changes."""
        caught_up, changes = self.caught_up_seconds, self.changes
        return {
            "states": {
                "shipments": self.shipments,
                "different": len(self.different),
                "caught_up_seconds": None if caught_up is None else round(caught_up, 1),
                "different_states": self.different[:_NAMED],
            },
            "changes": changes
            and {
                "received": changes.received,
                "repeats": changes.repeats,
                "missing": len(changes.missing),
                "impossible": len(changes.impossible),
                "missing_changes": changes.missing[:_NAMED],
                "impossible_changes": changes.impossible[:_NAMED],
            },
        }


class ReadSide:
    """The states of a stage, and a queue that subscribes to its changes.

    Args:
        name: name of the table of shipments.
        subscriber: the queue. The account deletes the changes that it receives. None accounts for states
            only.
        patience: the account gives up if no further shipment becomes right within this many seconds.
    """

    def __init__(
        self,
        events: EventTable,
        client: "DynamoDBClient",
        name: str,
        subscriber: Queue | None = None,
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._events = events
        self._client = client
        self._name = name
        self._subscriber = subscriber
        self._patience = patience
        self._received: dict[str, list[Announcement]] = defaultdict(list)

    def account(
        self,
        shipment_ids: Collection[str],
        is_new: Callable[[StoredEvent], bool],
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> ReadSideAccount:
        """Wait until the tracker has caught up, and check the shipments.

        It reads the events that are stored now. Values of events that expired are not known, so a shipment
        that still has such a value counts as different.

        Args:
            shipment_ids: the shipments. Those whose events were sent last should be the first.
            is_new: whether an event was stored after the subscriber's queue was empty.
            on_progress: called with the number of shipments that are not right yet.

        Raises:
            botocore.exceptions.ClientError: a table or the queue cannot be read.
        """
        account = ReadSideAccount(len(shipment_ids))
        states = StateWait(self._events, self._client, self._name, is_new, self._patience)
        wrong = states.wait(shipment_ids, on_progress)
        account.caught_up_seconds = None if wrong else states.seconds
        account.different = [f"{shipment_id}: {names}" for shipment_id, names in wrong.items()]
        if self._subscriber:
            account.changes = self._wait_for_changes(self._subscriber, shipment_ids, is_new, on_progress)
        return account

    def _wait_for_changes(
        self,
        subscriber: Queue,
        ids: Collection[str],
        is_new: Callable[[StoredEvent], bool],
        on_progress: Callable[[int], None],
    ) -> AnnouncementAccount:
        """Receive changes until each shipment has those that it must have, and judge them."""
        account = AnnouncementAccount()
        pending, fell_at = list(ids), time.monotonic()
        while True:
            for change in receive_changes(subscriber):
                self._received[change.detail.get(PARTITION_KEY, "")].append(change)
            gives_up = time.monotonic() - fell_at > self._patience
            incomplete: list[str] = []
            for one, events in timelines(self._events, pending):
                found = self._check(one, events, is_new)
                if found.missing and not gives_up:
                    incomplete.append(one)
                else:
                    account.add(found)
            on_progress(len(incomplete))
            if not incomplete:
                return account
            if len(incomplete) < len(pending):
                fell_at = time.monotonic()
            pending = incomplete
            time.sleep(POLL_SECONDS)

    def _check(
        self, shipment_id: str, events: Sequence[StoredEvent], is_new: Callable[[StoredEvent], bool]
    ) -> AnnouncementAccount:
        before = History.of(shipment_id, [event for event in events if not is_new(event)])
        return check_announcements(
            [History.of(shipment_id, events)], {shipment_id: before}, self._received.get(shipment_id, ())
        )


def receive_changes(subscriber: Queue) -> Iterator[Announcement]:
    """Receive and delete the changes in a queue until it gives no more. Other messages stay.

    Raises:
        botocore.exceptions.ClientError: the queue cannot be read.
    """
    while messages := subscriber.receive(hold_seconds=_HOLD_SECONDS):
        changes = {
            message["ReceiptHandle"]: change for message in messages if (change := _change(message["Body"]))
        }
        yield from changes.values()
        # What is not deleted comes again, and counts as a repeat.
        subscriber.delete(list(changes))


def _change(body: str) -> Announcement | None:
    try:
        envelope = loads(body)
    except ValueError:
        return None
    if not isinstance(envelope, dict) or envelope.get("source") != CHANGE_SOURCE:
        return None
    return Announcement(envelope["detail-type"], envelope["detail"])
