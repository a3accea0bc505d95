"""What the services allow of an event: every room that refuses one for its size refuses it for these."""

from typing import Final

# DynamoDB's limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_SHIPMENT_ID_BYTES: Final = 2048
"""A partition key may have so many."""
MAX_EVENT_ID_BYTES: Final = 900
"""A sort key may have 1,024. The moment, a conflict's content hash and the separators need 93 of them."""
MAX_ITEM_BYTES: Final = 400 * 1024
MAX_DEPTH: Final = 30
"""DynamoDB nests 32 levels. Two are ours: the item itself, and the map that holds the event."""
MAX_DIGITS: Final = 38
"""Significant digits of a number; its magnitude goes from 1E-130 to 9.99…E+125."""
MIN_EXPONENT: Final = -130
MAX_EXPONENT: Final = 125

MAX_EVENT_TYPE_CHARACTERS: Final = 128
"""EventBridge's limit of a detail-type:
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html"""
