"""Put entries on a bus. No other module calls PutEvents."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.publishing.entries import Entry

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

# With these, the service refuses a whole request because of one entry or because of its size.
REFUSED_WHOLE: Final = frozenset({"ValidationException", "RequestEntityTooLargeException", "413"})


def put_entries(
    client: "EventBridgeClient", bus_name: str, entries: Sequence[Entry]
) -> list[tuple[str, str]]:
    """Put entries on a bus in one request. If the service refuses it as a whole, it is split.

    Args:
        entries: those of one request (see :func:`~shipment_events.publishing.entries.packed`).

    Returns:
        The envelope id and the error code of each entry, in the same order. An entry is on the bus if it has
        an envelope id; the error code says nothing then.
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
        if code in REFUSED_WHOLE and len(entries) > 1:
            # The error does not name the entry, so the request is split until the entry is alone.
            middle = len(entries) // 2
            return put_entries(client, bus_name, entries[:middle]) + put_entries(
                client, bus_name, entries[middle:]
            )
        return [("", code)] * len(entries)
    results = answer.get("Entries", [])
    if len(results) != len(entries):
        return [("", "IncompleteResponse")] * len(entries)
    return [(result.get("EventId", ""), result.get("ErrorCode", "Unknown")) for result in results]
