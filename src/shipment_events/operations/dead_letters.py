"""Dead letters: which event each one is, and why it is there, whichever way it came."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shipment_events.event import find_envelope_id
from shipment_events.queues import DETAIL_ATTRIBUTE, REASON_ATTRIBUTE, peek

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

UNMATCHED: Final = "unmatched"
DELIVERY_FAILED: Final = "delivery_failed"
RETRIES_EXHAUSTED: Final = "retries_exhausted"


@dataclass(frozen=True, slots=True)
class DeadLetterMessage:
    """One message of the dead-letter queue.

    Attributes:
        envelope_id: id that the bus gave to the event; empty where the body is no envelope.
        reason: a quarantine's code, or ``unmatched`` (no rule takes such an event), ``delivery_failed``
            (the bus could not hand it to the queue) or ``retries_exhausted`` (three receives failed).
        detail: for people.
        body: as it lies in the queue.
    """

    message_id: str
    envelope_id: str
    reason: str
    detail: str
    body: str


def read_dead_letters(client: "SQSClient", queue_url: str) -> list[DeadLetterMessage]:
    """Every message that is visible now, left where it is.

    Raises:
        botocore.exceptions.ClientError: the queue cannot be read.
    """
    return [_dead_letter(message) for message in peek(client, queue_url)]


def _dead_letter(message: "MessageTypeDef") -> DeadLetterMessage:
    body = message["Body"]
    reason, detail = _why(message)
    return DeadLetterMessage(message["MessageId"], find_envelope_id(body), reason, detail, body)


def _why(message: "MessageTypeDef") -> tuple[str, str]:
    attributes = {
        name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
    }
    if REASON_ATTRIBUTE in attributes:
        return attributes[REASON_ATTRIBUTE], attributes.get(DETAIL_ATTRIBUTE, "")
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html names these attributes.
    if "ERROR_CODE" in attributes:
        return DELIVERY_FAILED, f"{attributes['ERROR_CODE']}: {attributes.get('ERROR_MESSAGE', '')}"
    # SQS notes the queue that it moved a message from.
    if "DeadLetterQueueSourceArn" in message.get("Attributes", {}):
        return RETRIES_EXHAUSTED, "every receive failed; the processor's log has each error"
    return UNMATCHED, "source or detail-type match no rule"
