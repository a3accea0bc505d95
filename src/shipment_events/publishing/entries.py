"""Validate events and pack them into requests to the bus."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from shipment_events.contract import names
from shipment_events.contract.event import parse_event
from shipment_events.contract.exact_json import dumps, loads, type_name
from shipment_events.contract.outcome import InvalidEventError, Reason, shown
from shipment_events.table.item import ensure_fits

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
MAX_REQUEST_ENTRIES: Final = 10
# The service allows 1 MB per request. 1,000,000 bytes fit whether a megabyte is decimal or binary.
MAX_REQUEST_BYTES: Final = 1_000_000

_INTEGER_LIMIT: Final = Decimal(2**63)


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a request to the bus.

    Attributes:
        position: position in the producer's input, from 1.
        detail: the event as JSON, with its event id.
    """

    position: int
    detail_type: str
    detail: str
    source: str = names.SOURCE

    @property
    def size(self) -> int:
        """Bytes that count towards the limit of a request.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
        """
        return sum(
            len(text.encode("utf-8", "replace")) for text in (self.source, self.detail_type, self.detail)
        )


def prepare(event: Mapping[str, Any], position: int = 1) -> Entry:
    """Validate an event and give it its event id, so that sending it again is harmless.

    Raises:
        InvalidEventError: the event breaks the contract.
    """
    if not isinstance(event, Mapping):
        raise InvalidEventError(
            Reason.INVALID_ENVELOPE, f"expected an object, got {type_name(event)}", path=("detail",)
        )
    return prepare_text(dumps(dict(event)), position)


def prepare_text(text: str, position: int = 1) -> Entry:
    """Validate an event given as JSON; see :func:`prepare`.

    Raises:
        InvalidEventError: the text is not JSON, or the event breaks the contract.
    """
    event = parse_event(loads(text))
    ensure_fits(event)
    ensure_carried(event.detail)
    return Entry(position, event.event_type, dumps({**event.detail, "event_id": event.event_id}))


def ensure_carried(value: object, name: str = "event") -> None:
    """Refuse numbers that the bus may change.

    The API reference of PutEvents allows integers of 64 bits. It does not mention decimals. JSON readers,
    such as that of the local engine's bus, often read a decimal as a 64-bit float. A decimal that a float
    would round is refused; the producer can send it as a text.
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html

    Raises:
        InvalidEventError: names the number.
    """
    # Most values are texts, so this test comes first.
    if isinstance(value, str):
        return
    if isinstance(value, dict):
        for key, element in value.items():
            ensure_carried(element, key)
    elif isinstance(value, list):
        for element in value:
            ensure_carried(element, name)
    elif isinstance(value, Decimal):
        is_integer = value.as_tuple().exponent == 0
        if is_integer:
            is_carried = -_INTEGER_LIMIT <= value < _INTEGER_LIMIT
        else:
            is_carried = Decimal(repr(float(value))) == value
        if not is_carried:
            expected = "an integer of 64 bits" if is_integer else "a decimal that a 64-bit float holds"
            raise InvalidEventError(
                Reason.NUMBER_OUT_OF_RANGE,
                f"expected {expected}",
                path=(name,),
                found=f", got {shown(str(value))}; send it as a text",
            )


def packed(entries: Iterable[Entry | None]) -> Iterator[list[Entry]]:
    """Yield batches within the limits of a request.

    ``None`` means that there is no entry for now: the entries taken before are yielded, even if there are
    none, so that the caller can use the pause. If ``entries`` raises or the user interrupts it, the entries
    taken before are yielded first.
    """
    batch: list[Entry] = []
    size = 0
    try:
        for entry in entries:
            if entry is None:
                yield batch
                batch, size = [], 0
                continue
            added = entry.size
            if batch and (len(batch) == MAX_REQUEST_ENTRIES or size + added > MAX_REQUEST_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(entry)
            size += added
    except (Exception, KeyboardInterrupt):
        if batch:
            yield batch
        raise
    if batch:
        yield batch
