"""What becomes of a write."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inserted:
    """The item was written now."""


@dataclass(frozen=True, slots=True)
class Occupied:
    """The key is taken; ``content_hash`` is that of the item there."""

    content_hash: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nothing is known of the item, or it was not written; trying again may help."""

    why: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The table refuses this item and always will."""

    why: str


InsertResult = Inserted | Occupied | Unavailable | Rejected
