"""Move events that ran out of receives from the dead-letter queue back to the queue."""

from typing import TYPE_CHECKING, Final

from shipment_events.operations.dead_letters import RETRIES_EXHAUSTED, read_dead_letters
from shipment_events.queues import MAX_BATCH_ENTRIES

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_HOLD_SECONDS: Final = 30


def redrive(client: "SQSClient", dead_letter_queue_url: str, queue_url: str) -> int:
    """Send each event whose retries were exhausted to the queue again, then delete the dead letter.

    The service's own StartMessageMoveTask would do it, but the local engine has none.

    Returns:
        How many.

    Raises:
        botocore.exceptions.ClientError: a queue cannot be read or written.
    """
    wanted = {
        letter.message_id
        for letter in read_dead_letters(client, dead_letter_queue_url)
        if letter.reason == RETRIES_EXHAUSTED
    }
    held: list[MessageTypeDef] = []
    moved = 0
    while moved < len(wanted):
        messages = client.receive_message(
            QueueUrl=dead_letter_queue_url,
            MaxNumberOfMessages=MAX_BATCH_ENTRIES,
            VisibilityTimeout=_HOLD_SECONDS,
        ).get("Messages", [])
        if not messages:
            break
        for message in messages:
            if message["MessageId"] not in wanted:
                held.append(message)
                continue
            client.send_message(QueueUrl=queue_url, MessageBody=message["Body"])
            client.delete_message(QueueUrl=dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
    for message in held:
        client.change_message_visibility(
            QueueUrl=dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )
    return moved
