"""Convert an event into an item of the table, and an item into an event.

Only this module knows all attributes of an item. It does not call a service.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json.encoder import encode_basestring_ascii as _quoted
from typing import TYPE_CHECKING, Any, Final

from shipment_events.contract.envelope import Envelope, open_envelope
from shipment_events.contract.event import ShipmentEvent, event_id_of, parse_event
from shipment_events.contract.exact_json import canonical_number
from shipment_events.contract.limits import MAX_ITEM_BYTES
from shipment_events.contract.moments import utc_text
from shipment_events.contract.names import PARTITION_KEY, SORT_KEY, STATUS_ATTRIBUTE, TTL_ATTRIBUTE
from shipment_events.contract.outcome import InvalidEventError, Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

PROCESSED: Final = "PROCESSED"
CONFLICT: Final = "CONFLICT"

# An item is smaller than twice the JSON of its event plus the attributes that we add. Nested lists come near
# this limit. Only larger events are measured.
_SURELY_FITS_BYTES: Final = 192 * 1024

# An item has keys, the TTL attribute and two maps: the event as its producer sent it, and the data of the
# pipeline. So a producer's field cannot collide with one of ours. The INSERT statement is short, is the same
# for every event, and contains no text of a producer.
_DETAIL: Final = "detail"
PROCESSING: Final = "processing"
CONTENT_HASH: Final = "content_hash"
_SHARD_MARK: Final = "#"
ATTRIBUTES: Final = (PARTITION_KEY, SORT_KEY, STATUS_ATTRIBUTE, TTL_ATTRIBUTE, _DETAIL, PROCESSING)


@dataclass(frozen=True, slots=True)
class Write:
    """An event that is ready to be inserted. It is encoded once, because the parsed values need more memory.

    Attributes:
        shipment_id: partition key.
        own_sort_key: sort key from the event's identity.
        content_hash: hash of the event's content.
        correlation_id: id of the envelope.
        detail: the event as an attribute of the item: JSON in ASCII.
        sort_key: sort key of the item. For a conflict, it differs from ``own_sort_key``.
    """

    shipment_id: str
    own_sort_key: str
    content_hash: str
    correlation_id: str
    detail: str
    sort_key: str

    @classmethod
    def of(cls, event: ShipmentEvent, correlation_id: str) -> "Write":
        """The write of an event at its own sort key.

        Raises:
            TypeError: a number of the event is not a ``Decimal``, so it may be rounded.
        """
        return cls._of(event, correlation_id, attribute_json(event.detail))

    @classmethod
    def _of(cls, event: ShipmentEvent, correlation_id: str, detail: str) -> "Write":
        place = event.sort_key
        return cls(event.shipment_id, place, event.content_hash, correlation_id, detail, place)

    @property
    def key(self) -> tuple[str, str]:
        """Partition and sort key."""
        return self.shipment_id, self.sort_key

    @property
    def is_conflict(self) -> bool:
        """Whether another event has this event's own sort key."""
        return self.sort_key != self.own_sort_key

    def beside(self) -> "Write":
        """The same event at the sort key that it gets if an event with other content has this sort key.

        The new sort key depends only on the content. So a repeated conflict finds its own item.
        """
        return replace(self, sort_key=f"{self.sort_key}#{self.content_hash}")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the table contains it.

    Attributes:
        sort_key: its position within the shipment.
        status: ``PROCESSED``, or ``CONFLICT`` if an event with other content has the same identity.
        stored_at: when the processor wrote it: UTC, ISO 8601 with microseconds.
        correlation_id: id of the envelope.
        event_id: the producer's id, or an id derived from the content.
        detail: the event as the producer sent it. Numbers are ``Decimal``.
    """

    sort_key: str
    status: str
    event_id: str
    stored_at: str
    correlation_id: str
    detail: dict[str, Any]


def ensure_fits(event: ShipmentEvent) -> None:
    """Check that an event fits into an item, before a request is sent.

    Raises:
        InvalidEventError: the item is larger than 400 KB.
    """
    if event.content_bytes <= _SURELY_FITS_BYTES:
        return
    # A fixed time: the size of a number depends on its digits, and the result must not depend on the clock.
    times = ItemTimes.of(datetime(2033, 5, 18, 3, 33, 19, tzinfo=UTC), timedelta(0))
    item = {_DETAIL: event.detail, **_own_attributes(Write._of(event, "0" * 36, ""), times)}
    size = sum(len(name.encode()) + _attribute_bytes(value) for name, value in item.items())
    if size > MAX_ITEM_BYTES:
        raise InvalidEventError(
            Reason.TOO_LARGE,
            f"expected an item of at most {MAX_ITEM_BYTES} bytes, got {size}",
            path=("event",),
        )


def prepare_write(body: str) -> tuple[Envelope, Write]:
    """Read and check the body of a queue message as the processor does.

    Raises:
        InvalidEventError: the event can never be stored.
    """
    envelope, detail = open_envelope(body)
    event = parse_event(detail, detail_type=envelope.detail_type)
    ensure_fits(event)
    return envelope, Write.of(event, envelope.id)


@dataclass(frozen=True, slots=True)
class ItemTimes:
    """The times of all items in one request.

    Attributes:
        stored_at: UTC, ISO 8601 with microseconds.
        expires_at: seconds since 1970.
    """

    stored_at: str
    expires_at: Decimal

    @classmethod
    def of(cls, now: datetime, retention: timedelta) -> "ItemTimes":
        """Times of items that are stored at ``now`` (aware) and kept for ``retention``."""
        return cls(utc_text(now), Decimal(int((now + retention).timestamp())))


def parameters_json(write: Write, times: ItemTimes, shards: int | None = None) -> str:
    """The item of an event as JSON in ASCII: an array of the values of ``ATTRIBUTES``, in this order.

    Args:
        shards: number of index partitions for each status; None if the index is not sharded.
    """
    own = _own_attributes(write, times, shards)
    values = [
        write.detail if attribute == _DETAIL else attribute_json(own[attribute]) for attribute in ATTRIBUTES
    ]
    return f"[{','.join(values)}]"


def index_values(status: str, shards: int | None) -> list[str]:
    """All partition key values of the index for a status."""
    # The value without a shard is of items that were stored before the index was sharded.
    return [status, *(f"{status}{_SHARD_MARK}{shard}" for shard in range(shards or 0))]


def _own_attributes(write: Write, times: ItemTimes, shards: int | None = None) -> dict[str, Any]:
    """All attributes except the event itself."""
    return {
        PARTITION_KEY: write.shipment_id,
        SORT_KEY: write.sort_key,
        STATUS_ATTRIBUTE: (CONFLICT if write.is_conflict else PROCESSED) + _shard_suffix(write, shards),
        TTL_ATTRIBUTE: times.expires_at,
        PROCESSING: {
            CONTENT_HASH: write.content_hash,
            "correlation_id": write.correlation_id,
            "stored_at": times.stored_at,
        },
    }


def _shard_suffix(write: Write, shards: int | None) -> str:
    """The suffix depends only on the key. So every delivery of an event writes the same suffix."""
    if shards is None:
        return ""
    key = "\0".join(write.key).encode()
    return f"{_SHARD_MARK}{zlib.crc32(key) % shards}"


def content_hash_of(item: Mapping[str, "AttributeValueTypeDef"]) -> str:
    """The content hash of an item. Empty for an item that the pipeline did not write."""
    noted: Mapping[str, AttributeValueTypeDef] = item.get(PROCESSING, {}).get("M", {})
    return noted.get(CONTENT_HASH, {}).get("S", "")


def without_event(decoded: dict[str, Any]) -> dict[str, Any]:
    """Hook for a JSON decoder that drops the event of an item as soon as it is decoded.

    A reader of occupied keys does not need the event. Decoded values take a hundred times the memory of text.
    """
    decoded.pop(_DETAIL, None)
    return decoded


def stored_event(item: Mapping[str, "AttributeValueTypeDef"]) -> StoredEvent:
    """The event of an item of the table or the index."""
    values = {name: value_of_attribute(attribute) for name, attribute in item.items()}
    return StoredEvent(
        sort_key=values[SORT_KEY],
        status=values[STATUS_ATTRIBUTE].partition(_SHARD_MARK)[0],
        event_id=event_id_of(values[_DETAIL], values[PROCESSING][CONTENT_HASH]),
        stored_at=values[PROCESSING]["stored_at"],
        correlation_id=values[PROCESSING]["correlation_id"],
        detail=values[_DETAIL],
    )


def attribute_json(value: object) -> str:
    """The value as DynamoDB JSON text. A dict for each value would take twenty times the memory.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
    """
    if isinstance(value, str):
        return f'{{"S":{_quoted(value)}}}'
    if isinstance(value, Decimal):
        # The service stores only this form, and might refuse another one such as 0E+500.
        return f'{{"N":"{canonical_number(value)}"}}'
    if isinstance(value, bool):
        return '{"BOOL":true}' if value else '{"BOOL":false}'
    if value is None:
        return '{"NULL":true}'
    if isinstance(value, list):
        return f'{{"L":[{",".join([attribute_json(element) for element in value])}]}}'
    if isinstance(value, dict):
        parts = [
            # Most values are strings. A call for each one would take half of the time.
            f'{_quoted(name)}:{{"S":{_quoted(element)}}}'
            if type(element) is str
            else f"{_quoted(name)}:{attribute_json(element)}"
            for name, element in value.items()
        ]
        return f'{{"M":{{{",".join(parts)}}}}}'
    raise TypeError(f"not a JSON value with exact numbers: {type(value).__name__}")


def value_of_attribute(attribute: "AttributeValueTypeDef") -> Any:
    """The Python value of an attribute. Numbers are ``Decimal``."""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return Decimal(str(value))
    if kind == "NULL":
        return None
    if kind == "L":
        return [value_of_attribute(element) for element in attribute["L"]]
    if kind == "M":
        return {name: value_of_attribute(element) for name, element in attribute["M"].items()}
    return value


def _attribute_bytes(value: object) -> int:
    """Size in bytes, as DynamoDB counts it.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Decimal):
        digits = "".join(map(str, value.as_tuple().digits)).strip("0")
        return min((len(digits) + 1) // 2 + 1, 21)
    if isinstance(value, list):
        return 3 + sum(1 + _attribute_bytes(element) for element in value)
    if isinstance(value, dict):
        return 3 + sum(1 + len(name.encode()) + _attribute_bytes(element) for name, element in value.items())
    return 1
