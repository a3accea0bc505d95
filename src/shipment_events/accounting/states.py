"""Wait until the state of each shipment is the one that its events give."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from shipment_events.accounting.shipments import ATTRIBUTES, History, differences
from shipment_events.contract.names import PARTITION_KEY
from shipment_events.function.pauses import pauses
from shipment_events.table.item import StoredEvent, value_of_attribute
from shipment_events.table.store import MAX_KEYS, EventTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

POLL_SECONDS: Final = 0.5
_READERS: Final = 4
# Shipments whose events are in memory together.
_READ_AHEAD: Final = 64
# Shipments whose states are in memory together.
_LOOKED_AT: Final = 10_000
# Other producers may store events of the same shipments, so those of wrong states are read again.
_READ_AGAIN_SECONDS: Final = 10.0


class StateWait:
    """Compares the states of shipments with their events.

    Args:
        name: name of the table of shipments.
        is_new: whether an event belongs to the run.
        patience: the wait ends if no further shipment becomes right within this many seconds.

    Attributes:
        last_stored_at: when the last new event was stored; empty for none.
        seen_at: when states were read last, aware. After :meth:`wait`, when the last states were seen to be
            right. None before the first look.
    """

    def __init__(
        self,
        events: EventTable,
        client: "DynamoDBClient",
        name: str,
        is_new: Callable[[StoredEvent], bool],
        patience: float,
    ) -> None:
        self._events = events
        self._client = client
        self._name = name
        self._is_new = is_new
        self._patience = patience
        self._expected: dict[str, Mapping[str, Any]] = {}
        self.last_stored_at = ""
        self.seen_at: datetime | None = None

    def wait(self, ids: Iterable[str], on_progress: Callable[[int], None]) -> dict[str, str]:
        """Wait until each state is right.

        It looks at a few shipments until they are right. Then it reads the states of all others, and
        compares them with their events afterwards. So waiting disturbs the tracker little, and reading many
        events does not delay ``seen_at``.

        Args:
            ids: the shipments. Those whose states become right last should be the first.

        Returns:
            The shipments that stay wrong with the attributes that differ.
        """
        pending, number = list(ids), MAX_KEYS
        wrong: dict[str, str] = {}
        read_at = fell_at = time.monotonic()
        while pending and time.monotonic() - fell_at <= self._patience:
            if time.monotonic() - read_at > _READ_AGAIN_SECONDS:
                self._expected.clear()
                read_at = time.monotonic()
            looked = pending[:number]
            wrong = self._different(looked)
            if len(wrong) < len(looked):
                fell_at = time.monotonic()
            pending = [*wrong, *pending[number:]]
            number = MAX_KEYS if wrong else _LOOKED_AT
            on_progress(len(pending))
            if wrong:
                time.sleep(POLL_SECONDS)
        return self._different(pending)

    @property
    def seconds(self) -> float | None:
        """From storing the last new event until all states were right, at most. None if no event was new."""
        if not self.last_stored_at or self.seen_at is None:
            return None
        return max(0.0, (self.seen_at - datetime.fromisoformat(self.last_stored_at)).total_seconds())

    def _different(self, ids: Sequence[str]) -> dict[str, str]:
        """The shipments with another state than their events give, with the attributes that differ."""
        states: dict[str, Mapping[str, Any]] = {}
        for part in parts(ids, MAX_KEYS):
            states |= self._states(part)
        self.seen_at = datetime.now(UTC) if ids else self.seen_at
        self._expect([one for one in ids if one not in self._expected])
        wrong = {one: ", ".join(differences(self._expected[one], states.get(one, {}))) for one in ids}
        return {one: names for one, names in wrong.items() if names}

    def _expect(self, ids: Iterable[str]) -> None:
        for one, events in timelines(self._events, ids):
            self._expected[one] = History.of(one, events).state()
            new = (event.stored_at for event in events if self._is_new(event))
            self.last_stored_at = max(self.last_stored_at, *new, "")

    def _states(self, ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        """The attributes of the contract, of each of at most 100 shipments that has a state."""
        states: dict[str, Mapping[str, Any]] = {}
        wanted = {f"#{index}": name for index, name in enumerate((PARTITION_KEY, *ATTRIBUTES))}
        left: Any = {
            self._name: {
                "Keys": [{PARTITION_KEY: {"S": one}} for one in ids],
                "ConsistentRead": True,
                "ProjectionExpression": ", ".join(wanted),
                "ExpressionAttributeNames": wanted,
            }
        }
        for pause in pauses():
            answer = self._client.batch_get_item(RequestItems=left)
            for item in answer["Responses"].get(self._name, []):
                values = {name: value_of_attribute(value) for name, value in item.items()}
                states[values.pop(PARTITION_KEY)] = values
            left = answer.get("UnprocessedKeys")
            if not left:
                break
            time.sleep(pause)
        return states


def timelines(events: EventTable, ids: Iterable[str]) -> Iterator[tuple[str, list[StoredEvent]]]:
    """The events of each shipment. Those of a few shipments are in memory together."""
    with ThreadPoolExecutor(_READERS) as pool:
        for part in parts(ids, _READ_AHEAD):
            yield from zip(part, pool.map(lambda one: list(events.timeline(one)), part), strict=True)


def parts(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    """The ids in parts of this size."""
    remaining = iter(ids)
    while part := list(islice(remaining, size)):
        yield part
