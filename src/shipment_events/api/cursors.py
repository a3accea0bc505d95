"""Cursors: opaque positions in the result of one query.

A cursor has only the position after which a page begins. The partition that is read always comes from the
request itself, so no cursor, not even a forged one, leads to entries that the request without it would not
give. The checksum finds cursors that are damaged, or belong to another query or stage. It is no secret.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Final

from shipment_events.api.parameters import MAX_CURSOR_CHARACTERS
from shipment_events.api.problems import invalid_cursor
from shipment_events.contract.exact_json import canonical_json

_CHECKSUM_BYTES: Final = 9


def cursor_of(position: str, stage: str, query: Mapping[str, str]) -> str:
    """The cursor of a position.

    Args:
        position: key of the last entry of the page before.
        query: what the position belongs to: the collection and its parameters without limit and cursor.
    """
    content = position.encode()
    return base64.urlsafe_b64encode(_checksum(content, stage, query) + content).decode().rstrip("=")


def position_of(cursor: str, stage: str, query: Mapping[str, str]) -> str:
    """The position of a cursor.

    Raises:
        ProblemError: it is not a cursor of this query.
    """
    if len(cursor) > MAX_CURSOR_CHARACTERS:
        raise invalid_cursor()
    try:
        whole = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = whole[_CHECKSUM_BYTES:]
        position = content.decode()
    except ValueError:
        raise invalid_cursor() from None
    # Encoded again, because the last character has bits that the decoder ignores.
    if not position or cursor != cursor_of(position, stage, query):
        raise invalid_cursor()
    return position


def _checksum(content: bytes, stage: str, query: Mapping[str, str]) -> bytes:
    belongs_to = canonical_json([stage, dict(query)]).encode()
    return hashlib.blake2b(belongs_to + b"\0" + content, digest_size=_CHECKSUM_BYTES).digest()
