"""Put the changes of shipments on the status bus, in as few requests as the limits allow."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from shipment_events.contract.exact_json import dumps
from shipment_events.contract.names import CHANGE_SOURCE
from shipment_events.publishing.entries import Entry, packed
from shipment_events.publishing.put_events import REFUSED_WHOLE, put_entries
from shipment_events.tracking.changes import Change

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


# Errors because of the entry itself, with which it can never be on the bus. The other errors that are not
# retryable by their documentation are missing permissions: they are the stage's, and end when it is repaired.
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
REFUSED: Final = frozenset({"InvalidArgument", "MalformedDetail", "RedactionFailure", *REFUSED_WHOLE})


def entry_of(change: Change) -> Entry:
    """A change as an entry for the bus."""
    return Entry(1, change.kind.value, dumps(change.detail), CHANGE_SOURCE)


class Announcer:
    """Announces changes on the bus of one stage.

    Args:
        client: EventBridge client. It should not retry.
        bus_name: name of the bus.
    """

    def __init__(self, client: "EventBridgeClient", bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name

    def announce(self, changes: Sequence[Entry], has_time: Callable[[], bool]) -> dict[int, str]:
        """Put each change on the bus once (see :func:`entry_of`).

        Args:
            has_time: whether there is time for another request.

        Returns:
            Why, for the index of each change that may not be on the bus. An entry can fail although the HTTP
            status is 200: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
        """
        failed, first = {}, 0
        for part in packed(changes):
            results = (
                put_entries(self._client, self._bus_name, part)
                if has_time()
                else [("", "OutOfTime")] * len(part)
            )
            for index, (envelope_id, why) in enumerate(results, start=first):
                if not envelope_id:
                    failed[index] = why
            first += len(part)
        return failed
