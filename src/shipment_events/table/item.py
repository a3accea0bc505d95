"""The event as the table keeps it: how it becomes an item, and an item an event again.

No other module knows the attributes of an item. This one talks to no service.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from shipment_events.contract.event import ShipmentEvent, event_id_of
from shipment_events.contract.exact_json import canonical_number
from shipment_events.contract.names import PARTITION_KEY, SORT_KEY, STATUS_ATTRIBUTE, TTL_ATTRIBUTE
from shipment_events.contract.outcome import InvalidEventError, Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

PROCESSED: Final = "PROCESSED"
CONFLICT: Final = "CONFLICT"

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_ITEM_BYTES: Final = 400 * 1024
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
    """One event on its way into the table.

    Attributes:
        event: the event.
        sort_key: where it goes; differs from the event's own sort key for a conflict.
        correlation_id: id that the bus gave to the delivery.
    """

    event: ShipmentEvent
    sort_key: str
    correlation_id: str

    @property
    def key(self) -> tuple[str, str]:
        """Partition and sort key."""
        return self.event.shipment_id, self.sort_key

    @property
    def is_conflict(self) -> bool:
        """Whether another event holds this one's own place."""
        return self.sort_key != self.event.sort_key

    def beside(self) -> "Write":
        """The same event at the place it takes when other content holds this one.

        The place depends on the content alone, so a repeated conflict finds itself there.
        """
        return Write(self.event, f"{self.sort_key}#{self.event.content_hash}", self.correlation_id)


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
    """Refuse what the table could never hold before a request is spent on it.

    Raises:
        InvalidEventError: the item would be larger than 400 KB.
    """
    if event.content_bytes <= _SURELY_FITS_BYTES:
        return
    # Not the present: the size of a number depends on its zeros, and so would the verdict on the clock.
    times = ItemTimes.of(datetime(2033, 5, 18, 3, 33, 19, tzinfo=UTC), timedelta(0))
    item = _build_item(Write(event, event.sort_key, "0" * 36), times)
    size = sum(len(name.encode()) + _attribute_bytes(value) for name, value in item.items())
    if size > MAX_ITEM_BYTES:
        raise InvalidEventError(
            Reason.TOO_LARGE, f"event: expected an item of at most {MAX_ITEM_BYTES} bytes, got {size}"
        )


@dataclass(frozen=True, slots=True)
class ItemTimes:
    """What the items of one request have in common.

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


def attribute_values(
    write: Write, times: ItemTimes, shards: int | None = None
) -> list["AttributeValueTypeDef"]:
    """The item of an event, a value for each of ``ATTRIBUTES``.

    Args:
        shards: partitions over which the index spreads each status; None for one.
    """
    item = _build_item(write, times, shards)
    return [_to_attribute(item[attribute]) for attribute in ATTRIBUTES]


def index_values(status: str, shards: int | None) -> list[str]:
    """Every value that the key of the index has for a status."""
    # Unsharded, too: what lies there was stored before the index was sharded.
    return [status, *(f"{status}{_SHARD_MARK}{shard}" for shard in range(shards or 0))]


def _build_item(write: Write, times: ItemTimes, shards: int | None = None) -> dict[str, Any]:
    event = write.event
    return {
        PARTITION_KEY: event.shipment_id,
        SORT_KEY: write.sort_key,
        STATUS_ATTRIBUTE: (CONFLICT if write.is_conflict else PROCESSED) + _shard_suffix(write, shards),
        TTL_ATTRIBUTE: times.expires_at,
        _DETAIL: event.detail,
        PROCESSING: {
            CONTENT_HASH: event.content_hash,
            "correlation_id": write.correlation_id,
            "stored_at": times.stored_at,
        },
    }


def utc_text(moment: datetime) -> str:
    """At fixed width, as the moments in sort keys are."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _shard_suffix(write: Write, shards: int | None) -> str:
    """Depends on the key alone, so that an item has the same whichever delivery writes it."""
    if shards is None:
        return ""
    key = "\0".join(write.key).encode()
    return f"{_SHARD_MARK}{zlib.crc32(key) % shards}"


def content_hash_of(item: Mapping[str, "AttributeValueTypeDef"]) -> str:
    """Hash of an item's content; empty for one that is not of our writing: other content, whatever it is."""
    noted: Mapping[str, AttributeValueTypeDef] = item.get(PROCESSING, {}).get("M", {})
    return noted.get(CONTENT_HASH, {}).get("S", "")


def stored_event(item: Mapping[str, "AttributeValueTypeDef"]) -> StoredEvent:
    """The event of an item of the table or the index."""
    values = {name: _from_attribute(attribute) for name, attribute in item.items()}
    return StoredEvent(
        sort_key=values[SORT_KEY],
        status=values[STATUS_ATTRIBUTE].partition(_SHARD_MARK)[0],
        event_id=event_id_of(values[_DETAIL], values[PROCESSING][CONTENT_HASH]),
        stored_at=values[PROCESSING]["stored_at"],
        correlation_id=values[PROCESSING]["correlation_id"],
        detail=values[_DETAIL],
    )


def _to_attribute(value: object) -> "AttributeValueTypeDef":
    """What boto3's TypeSerializer does, without the import of boto3, which the processor does not need."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, Decimal):
        # The service keeps no other spelling, and might refuse one such as 0E+500.
        return {"N": canonical_number(value)}
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, list):
        return {"L": [_to_attribute(element) for element in value]}
    if isinstance(value, dict):
        return {
            # Most fields are texts; a call for each would be half of the time.
            "M": {
                name: {"S": element} if type(element) is str else _to_attribute(element)
                for name, element in value.items()
            }
        }
    raise TypeError(f"not a JSON value with exact numbers: {type(value).__name__}")


def _from_attribute(attribute: "AttributeValueTypeDef") -> Any:
    ((kind, value),) = attribute.items()
    if kind == "N":
        return Decimal(str(value))
    if kind == "NULL":
        return None
    if kind == "L":
        return [_from_attribute(element) for element in attribute["L"]]
    if kind == "M":
        return {name: _from_attribute(element) for name, element in attribute["M"].items()}
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
