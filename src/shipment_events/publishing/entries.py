"""Events as entries of a request to the bus: validated, with their identity, and packed to its limits."""

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
# The service allows 1 MB a request; the smaller reading of that is the safe one.
MAX_REQUEST_BYTES: Final = 1_000_000

_INTEGER_LIMIT: Final = Decimal(2**63)


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


def prepare(event: Mapping[str, Any], position: int = 1) -> Entry:
    """Validate an event and give it the identity that makes a resend harmless.

    Raises:
        InvalidEventError: the event breaks the contract.
    """
    if not isinstance(event, Mapping):
        raise InvalidEventError(
            Reason.INVALID_ENVELOPE, f"expected an object, got {type_name(event)}", path=("detail",)
        )
    return prepare_text(dumps(dict(event)), position)


def prepare_text(text: str, position: int = 1) -> Entry:
    """The same for an event that is JSON already.

    Raises:
        InvalidEventError: the text is no JSON, or the event breaks the contract.
    """
    event = parse_event(loads(text))
    ensure_fits(event)
    ensure_carried(event.detail)
    return Entry(position, event.event_type, dumps({**event.detail, "event_id": event.event_id}))


def ensure_carried(value: object, name: str = "event") -> None:
    """Refuse numbers that would not come out of the bus as they went in.

    The API reference of PutEvents allows integers of 64 bits. It is silent on decimals, which JSON readers
    commonly take for 64-bit floats (the local engine's bus does): one that a float rounds must be a text.
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html

    Raises:
        InvalidEventError: names the number.
    """
    # Most values are texts: nothing else is asked of them.
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
