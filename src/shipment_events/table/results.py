"""The results of a write."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inserted:
    """The item was written now."""


@dataclass(frozen=True, slots=True)
class Occupied:
    """The key is taken. ``content_hash`` is the hash of the item with this key."""

    content_hash: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The item was not written, or the result is unknown. Another attempt may succeed."""

    why: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The table will never accept this item."""

    why: str


InsertResult = Inserted | Occupied | Unavailable | Rejected
