"""Read the states of shipments: one by its id, or those with a property by the index that has it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from shipment_events.contract.limits import MAX_SHIPMENT_ID_BYTES
from shipment_events.contract.moments import now, utc_text
from shipment_events.contract.names import (
    LATEST_ATTRIBUTE,
    OPEN_ATTRIBUTE,
    OPEN_INDEX,
    PARTITION_KEY,
    SHIPMENT_STATUS_INDEX,
    TRACKING_NUMBER_INDEX,
)
from shipment_events.errors import ShipmentEventsError
from shipment_events.table.item import StoredEvent, value_of_attribute
from shipment_events.table.store import EventTable
from shipment_events.tracking.delays import is_overdue, is_stalled, silent_since
from shipment_events.tracking.news import ESTIMATE, MAX_COPY_BYTES
from shipment_events.tracking.shipment import Shipment
from shipment_events.tracking.vocabulary import STATUSES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PAGE: Final = 200


class InvalidSearchError(ShipmentEventsError, ValueError):
    """Shipments cannot be found by this. The message says what is allowed."""


class Shipments:
    """The current state of each shipment of a stage. It only reads.

    Args:
        client: DynamoDB client.
        name: name of the table of shipments.
        events: the table of events.
        stalled_after_hours: the stage's setting.
        clock: gives the current time, aware.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        events: EventTable,
        stalled_after_hours: int,
        *,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.name = name
        self._client = client
        self._events = events
        self._stalled_after_hours = stalled_after_hours
        self._clock = clock

    def get(self, shipment_id: str) -> Shipment | None:
        """The state of a shipment, from a consistent read; None if there is none.

        A state is written within a second of its event, as a rule.

        Raises:
            UnreadableStateError: the tracker did not write this item.
            botocore.exceptions.ClientError: the table cannot be read.
        """
        if not 0 < len(shipment_id.encode("utf-8", "surrogatepass")) <= MAX_SHIPMENT_ID_BYTES:
            return None
        answer = self._client.get_item(
            TableName=self.name, Key={PARTITION_KEY: {"S": shipment_id}}, ConsistentRead=True
        )
        return _shipment(answer["Item"]) if "Item" in answer else None

    def events(self, shipment_id: str, *, latest_first: bool = False) -> Iterator[StoredEvent]:
        """Events of one shipment, in the order in which they happened.

        Args:
            shipment_id: of the events.
            latest_first: read in the opposite order. Whoever stops early then has the latest events.

        Raises:
            as :meth:`~shipment_events.table.store.EventTable.timeline`.
        """
        return self._events.timeline(shipment_id, latest_first=latest_first)

    def find(
        self,
        *,
        status: str | None = None,
        stalled: bool = False,
        overdue: bool = False,
        tracking_number: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Shipment]:
        """Shipments with one property, which exactly one of the first four arguments names.

        They are read from an index, page by page while the result is consumed. An index is eventually
        consistent: a change of a moment ago may be missing.

        Args:
            status: a word of the contract. The shipment with the latest news comes first.
            stalled: whether the shipment has had no news for the stage's ``stalled_after_hours``, although
                the carrier has it. The shipment without news for the longest time comes first.
            overdue: whether the shipment is not finished and its estimated delivery is past, in the same
                order. All open shipments are read to find these.
            tracking_number: the carrier's number. Carriers use a number again, so there can be several. The
                shipment with the latest news comes first.
            limit: maximum number of shipments; None for all.

        Raises:
            InvalidSearchError: none or several properties are given, or one that no shipment can have.
            UnreadableStateError: the tracker did not write an item.
            botocore.exceptions.ClientError: the table cannot be read.
        """
        given = [status is not None, stalled, overdue, tracking_number is not None]
        if sum(given) != 1:
            raise InvalidSearchError(
                f"expected one of status, stalled, overdue and tracking_number, got {sum(given)} of them"
            )
        if status is not None:
            found = self._with_status(status)
        elif tracking_number is not None:
            found = self._with_number(tracking_number)
        else:
            found = self._stalled() if stalled else self._overdue()
        return islice(found, limit)

    def _with_status(self, status: str) -> Iterator[Shipment]:
        if status not in STATUSES:
            raise InvalidSearchError(f"status: expected one of {', '.join(STATUSES)}, got {status!r:.100}")
        return self._query(SHIPMENT_STATUS_INDEX, "status", status, latest_first=True)

    def _with_number(self, number: str) -> Iterator[Shipment]:
        if not 0 < len(number.encode("utf-8", "surrogatepass")) <= MAX_COPY_BYTES:
            raise InvalidSearchError(
                f"tracking_number: expected 1 to {MAX_COPY_BYTES} bytes; others are not indexed"
            )
        return self._query(TRACKING_NUMBER_INDEX, "tracking_number", number, latest_first=True)

    def _stalled(self) -> Iterator[Shipment]:
        since = silent_since(self._clock(), self._stalled_after_hours)
        for one in self._query(OPEN_INDEX, OPEN_ATTRIBUTE, OPEN_ATTRIBUTE, until=since):
            if is_stalled(one.status, one.latest_at, since):
                yield one

    def _overdue(self) -> Iterator[Shipment]:
        at = utc_text(self._clock())
        for one in self._query(OPEN_INDEX, OPEN_ATTRIBUTE, OPEN_ATTRIBUTE):
            if is_overdue(one.status, one.estimated_delivery, at):
                yield one

    def _query(
        self, index: str, attribute: str, value: str, *, until: str = "", latest_first: bool = False
    ) -> Iterator[Shipment]:
        found = _items(
            self._client, self.name, index, attribute, value, until=until, latest_first=latest_first
        )
        return map(_shipment, found)


def open_pages(
    client: "DynamoDBClient", name: str, *, silent_since: str, now: str
) -> Iterator[tuple[int, Sequence[Mapping[str, Any]]]]:
    """The open shipments that can be delayed, page by page: first those without news since a moment.

    Each open shipment is read once, and counts as read. The index is sorted by the latest news, so only the
    silent ones can be asked for by its key. Of the others, an estimated delivery before ``now`` is a filter:
    DynamoDB reads and bills each item, but sends only these.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.FilterExpression.html

    Yields:
        The number of shipments that were read, and the items of those that can be delayed.

    Raises:
        botocore.exceptions.ClientError, BotoCoreError: the index cannot be read.
    """
    names = {"#open": OPEN_ATTRIBUTE, "#latest": LATEST_ATTRIBUTE}
    values = {":open": {"S": OPEN_ATTRIBUTE}, ":since": {"S": silent_since}}
    late = {
        "FilterExpression": "#estimate < :now",
        "ExpressionAttributeNames": {**names, "#estimate": ESTIMATE},
        "ExpressionAttributeValues": {**values, ":now": {"S": now}},
    }
    silent = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    # A shipment that has news in between moves to the second query, so none is missed in this order.
    for condition, request in (("<=", silent), (">", late)):
        pages = client.get_paginator("query").paginate(
            TableName=name,
            IndexName=OPEN_INDEX,
            KeyConditionExpression=f"#open = :open AND #latest {condition} :since",
            **request,
        )
        for page in pages:
            yield page["ScannedCount"], page["Items"]


def _items(
    client: "DynamoDBClient",
    name: str,
    index: str,
    attribute: str,
    value: str,
    *,
    until: str = "",
    latest_first: bool = False,
) -> Iterator[Mapping[str, Any]]:
    names, values = {"#value": attribute}, {":value": {"S": value}}
    condition = "#value = :value"
    if until:
        names["#latest"], values[":until"] = LATEST_ATTRIBUTE, {"S": until}
        condition += " AND #latest <= :until"
    pages = client.get_paginator("query").paginate(
        TableName=name,
        IndexName=index,
        KeyConditionExpression=condition,
        ExpressionAttributeNames=names,
        ExpressionAttributeValues=values,
        ScanIndexForward=not latest_first,
        PaginationConfig={"PageSize": _PAGE},
    )
    for page in pages:
        yield from page["Items"]


def _shipment(item: Mapping[str, Any]) -> Shipment:
    return Shipment.of({name: value_of_attribute(attribute) for name, attribute in item.items()})
