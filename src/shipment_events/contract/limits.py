"""The limits that the AWS services set for an event."""

from typing import Final

# DynamoDB's limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_SHIPMENT_ID_BYTES: Final = 2048
"""The limit of a partition key."""
MAX_EVENT_ID_BYTES: Final = 900
"""The limit of a sort key is 1,024. The moment, a conflict's content hash and the separators need 93."""
MAX_ITEM_BYTES: Final = 400 * 1024
MAX_DEPTH: Final = 30
"""DynamoDB allows 32 levels. The item and the map that holds the event take two of them."""
MAX_DIGITS: Final = 38
"""Significant digits of a number. Its magnitude is from 1E-130 to 9.99…E+125."""
MIN_EXPONENT: Final = -130
MAX_EXPONENT: Final = 125

MAX_EVENT_TYPE_CHARACTERS: Final = 128
"""EventBridge's limit for a detail-type:
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html"""
