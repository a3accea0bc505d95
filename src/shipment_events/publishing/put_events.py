"""PutEvents within its limits: what the service says of each event that is put on a bus.

No other module puts events on a bus.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.contract import names

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
MAX_REQUEST_ENTRIES: Final = 10
# The service allows 1 MB a request; the smaller reading of that is the safe one.
MAX_REQUEST_BYTES: Final = 1_000_000

# The service refuses a whole request with these for what one of its entries holds, or for their sum.
_REFUSED_WHOLE: Final = frozenset({"ValidationException", "RequestEntityTooLargeException", "413"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as it is put on the bus.

    Attributes:
        position: of the event in the producer's input, from 1.
        detail: the event as JSON, with its event id.
    """

    position: int
    detail_type: str
    detail: str
    source: str = names.SOURCE

    @property
    def size(self) -> int:
        """Bytes that count towards the service's limit.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
        """
        return sum(
            len(text.encode("utf-8", "replace")) for text in (self.source, self.detail_type, self.detail)
        )


def put_entries(
    client: "EventBridgeClient", bus_name: str, entries: Sequence[Entry]
) -> list[tuple[str, str]]:
    """Put entries on a bus in one request, or in several where the service refuses it as a whole.

    Args:
        entries: that fit into a request (see :func:`packed`).

    Returns:
        Envelope id and error code of each entry, in the same order; one of the two is empty.
    """
    try:
        answer = client.put_events(
            Entries=[
                {
                    "EventBusName": bus_name,
                    "Source": entry.source,
                    "DetailType": entry.detail_type,
                    "Detail": entry.detail,
                }
                for entry in entries
            ]
        )
    except (ClientError, BotoCoreError) as error:
        code = error_code(error)
        if code in _REFUSED_WHOLE and len(entries) > 1:
            # It does not say which entry it is for: they part until that one stands alone.
            middle = len(entries) // 2
            return put_entries(client, bus_name, entries[:middle]) + put_entries(
                client, bus_name, entries[middle:]
            )
        return [("", code)] * len(entries)
    results = answer.get("Entries", [])
    if len(results) != len(entries):
        return [("", "IncompleteResponse")] * len(entries)
    return [(result.get("EventId", ""), result.get("ErrorCode", "Unknown")) for result in results]


def packed(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Requests within the limits; where taking entries fails, those taken before come first."""
    batch: list[Entry] = []
    size = 0
    try:
        for entry in entries:
            added = entry.size
            if batch and (len(batch) == MAX_REQUEST_ENTRIES or size + added > MAX_REQUEST_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(entry)
            size += added
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
