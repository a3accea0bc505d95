"""Convert an event into an item of the table, and an item into an event.

Only this module knows all attributes of an item. It calls no service.
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
from shipment_events.contract.names import PARTITION_KEY, SORT_KEY, STATUS_ATTRIBUTE, TTL_ATTRIBUTE
from shipment_events.contract.outcome import InvalidEventError, Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

PROCESSED: Final = "PROCESSED"
CONFLICT: Final = "CONFLICT"

# An item takes less than twice its JSON (lists in lists come near it), and the attributes that we add; only
# what might be too large is measured.
_SURELY_FITS_BYTES: Final = 192 * 1024

# Beside what the service itself uses, an item has two maps: the event as its producer sent it, and what the
# pipeline noted. So no field of a producer can collide with one of ours, and the text of the INSERT is short,
# the same for every event, and depends on nothing foreign.
_DETAIL: Final = "detail"
PROCESSING: Final = "processing"
CONTENT_HASH: Final = "content_hash"
_SHARD_MARK: Final = "#"
ATTRIBUTES: Final = (PARTITION_KEY, SORT_KEY, STATUS_ATTRIBUTE, TTL_ATTRIBUTE, _DETAIL, PROCESSING)


@dataclass(frozen=True, slots=True)
class Write:
    """One event on its way into the table, encoded once; its parsed values, many times as large, can go.

    Attributes:
        shipment_id: partition key.
        own_sort_key: the event's place by its identity.
        content_hash: of the event.
        correlation_id: id that the bus gave to the delivery.
        detail: the event as an attribute of the item, JSON in ASCII.
        sort_key: where it goes; differs from its own for a conflict.
    """

    shipment_id: str
    own_sort_key: str
    content_hash: str
    correlation_id: str
    detail: str
    sort_key: str

    @classmethod
    def of(cls, event: ShipmentEvent, correlation_id: str) -> "Write":
        """The write of an event at its own place.

        Raises:
            TypeError: a number of the event is no ``Decimal``, so it may have been rounded.
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
        """Whether another event holds this one's own place."""
        return self.sort_key != self.own_sort_key

    def beside(self) -> "Write":
        """The same event at the place it takes when other content holds this one.

        The place depends on the content alone, so a repeated conflict finds itself there.
        """
        return replace(self, sort_key=f"{self.sort_key}#{self.content_hash}")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it lies in the table.

    Attributes:
        sort_key: its place within the shipment.
        status: ``PROCESSED``, or ``CONFLICT`` where other content holds the same identity.
        stored_at: when the processor wrote it, UTC, ISO 8601 with microseconds.
        correlation_id: id that the bus gave to the delivery.
        event_id: the producer's, or the one derived from the content.
        detail: the event as the producer sent it; numbers as ``Decimal``.
    """

    sort_key: str
    status: str
    event_id: str
    stored_at: str
    correlation_id: str
    detail: dict[str, Any]


def ensure_fits(event: ShipmentEvent) -> None:
    """Refuse an event that is too large for an item, before a request is made.

    Raises:
        InvalidEventError: the item would be larger than 400 KB.
    """
    if event.content_bytes <= _SURELY_FITS_BYTES:
        return
    # Not the present: the size of a number depends on its zeros, and so would the verdict on the clock.
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
    """The event of a queue message, ready to be written: what the processor makes of a body.

    Raises:
        InvalidEventError: the table can never hold it.
    """
    envelope, detail = open_envelope(body)
    event = parse_event(detail, detail_type=envelope.detail_type)
    ensure_fits(event)
    return envelope, Write.of(event, envelope.id)


@dataclass(frozen=True, slots=True)
class ItemTimes:
    """The times that all items of one request share.

    Attributes:
        stored_at: UTC, ISO 8601 with microseconds.
        expires_at: seconds since 1970.
    """

    stored_at: str
    expires_at: Decimal

    @classmethod
    def of(cls, now: datetime, retention: timedelta) -> "ItemTimes":
        """Times of items that are stored now (aware) and kept so long."""
        return cls(utc_text(now), Decimal(int((now + retention).timestamp())))


def parameters_json(write: Write, times: ItemTimes, shards: int | None = None) -> str:
    """The item of an event as JSON in ASCII: an array with the value of each of ``ATTRIBUTES``.

    Args:
        shards: partitions over which the index spreads each status; None for one.
    """
    own = _own_attributes(write, times, shards)
    values = [
        write.detail if attribute == _DETAIL else attribute_json(own[attribute]) for attribute in ATTRIBUTES
    ]
    return f"[{','.join(values)}]"


def index_values(status: str, shards: int | None) -> list[str]:
    """Every value that the key of the index has for a status."""
    # Unsharded, too: what lies there was stored before the index was sharded.
    return [status, *(f"{status}{_SHARD_MARK}{shard}" for shard in range(shards or 0))]


def _own_attributes(write: Write, times: ItemTimes, shards: int | None = None) -> dict[str, Any]:
    """All attributes but the event itself."""
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


def utc_text(moment: datetime) -> str:
    """A moment as text with a fixed width, as in sort keys."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _shard_suffix(write: Write, shards: int | None) -> str:
    """Depends on the key alone, so that an item has the same whichever delivery writes it."""
    if shards is None:
        return ""
    key = "\0".join(write.key).encode()
    return f"{_SHARD_MARK}{zlib.crc32(key) % shards}"


def content_hash_of(item: Mapping[str, "AttributeValueTypeDef"]) -> str:
    """The content hash of an item. Empty for an item that the pipeline did not write."""
    noted: Mapping[str, AttributeValueTypeDef] = item.get(PROCESSING, {}).get("M", {})
    return noted.get(CONTENT_HASH, {}).get("S", "")


def without_event(decoded: dict[str, Any]) -> dict[str, Any]:
    """Hook for a JSON decoder: the event of an item goes as soon as it is decoded.

    Who asks what stands in the way needs the rest alone, and values take a hundred times their text.
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
    """The value in DynamoDB's JSON, as text at once: a dict for each value takes twenty times the memory.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
    """
    if isinstance(value, str):
        return f'{{"S":{_quoted(value)}}}'
    if isinstance(value, Decimal):
        # The service keeps no other spelling, and might refuse one such as 0E+500.
        return f'{{"N":"{canonical_number(value)}"}}'
    if isinstance(value, bool):
        return '{"BOOL":true}' if value else '{"BOOL":false}'
    if value is None:
        return '{"NULL":true}'
    if isinstance(value, list):
        return f'{{"L":[{",".join([attribute_json(element) for element in value])}]}}'
    if isinstance(value, dict):
        parts = [
            # Most fields are texts; a call for each would be half of the time.
            f'{_quoted(name)}:{{"S":{_quoted(element)}}}'
            if type(element) is str
            else f"{_quoted(name)}:{attribute_json(element)}"
            for name, element in value.items()
        ]
        return f'{{"M":{{{",".join(parts)}}}}}'
    raise TypeError(f"not a JSON value with exact numbers: {type(value).__name__}")


def value_of_attribute(attribute: "AttributeValueTypeDef") -> Any:
    """The value of an attribute as Python has it; numbers as ``Decimal``."""
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
    """Size as the service counts it.

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
