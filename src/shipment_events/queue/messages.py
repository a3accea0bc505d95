"""Requests to SQS: quarantine events, delay retries, send and delete in batches.

The processor imports this module, but not ``queue.py``.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.contract.outcome import Reason

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

REASON_ATTRIBUTE: Final = "reason"
DETAIL_ATTRIBUTE: Final = "detail"
_INCOMPLETE: Final = "IncompleteResponse"

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_BATCH_ENTRIES: Final = 10
MAX_BATCH_BYTES: Final = 1024 * 1024
# Names, types and values of the attributes count towards a message's size.
_ATTRIBUTE_OVERHEAD_BYTES: Final = len(REASON_ATTRIBUTE) + len(DETAIL_ATTRIBUTE) + 2 * len("String")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message for the dead-letter queue.

    Attributes:
        body: the EventBridge envelope, unchanged.
        reason: stable code.
        detail: the field and what was expected; ASCII.
    """

    body: str
    reason: Reason
    detail: str

    @property
    def size(self) -> int:
        """Bytes that count towards the limit of a message."""
        body = len(self.body.encode("utf-8", "surrogatepass"))
        return body + len(self.reason) + len(self.detail) + _ATTRIBUTE_OVERHEAD_BYTES


def send_dead_letters(
    client: "SQSClient", queue_url: str, letters: Sequence[DeadLetter], has_time: Callable[[], bool]
) -> dict[int, str]:
    """Quarantine events in as few requests as the limits allow.

    Args:
        has_time: whether there is time for one more request. The first one is always sent.

    Returns:
        Why, for the index of each message that may not be in the queue.
    """
    return _send(
        client,
        queue_url,
        [letter.size for letter in letters],
        lambda index: _entry(index, letters[index]),
        has_time,
    )


def send_bodies(
    client: "SQSClient", queue_url: str, bodies: Sequence[str], has_time: Callable[[], bool] = lambda: True
) -> dict[int, str]:
    """Send messages without attributes in as few requests as the limits allow.

    Args:
        has_time: whether there is time for one more request. The first one is always sent.

    Returns:
        Why, for the index of each message that may not be in the queue.
    """
    return _send(
        client,
        queue_url,
        [len(body.encode("utf-8", "surrogatepass")) for body in bodies],
        lambda index: {"Id": str(index), "MessageBody": bodies[index]},
        has_time,
    )


def delete(client: "SQSClient", queue_url: str, handles: Sequence[str]) -> dict[int, str]:
    """Delete at most 10 messages by their receipt handles.

    Returns:
        Why, for the index of each message that may still be there.
    """
    try:
        answer = client.delete_message_batch(
            QueueUrl=queue_url,
            Entries=[{"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(handles)],
        )
    except (ClientError, BotoCoreError) as error:
        return dict.fromkeys(range(len(handles)), error_code(error))
    return _unconfirmed(range(len(handles)), answer)


def put_off(client: "SQSClient", queue_url: str, receipts: Sequence[tuple[str, int]]) -> dict[int, str]:
    """Set when failed messages become visible again.

    Args:
        receipts: at most 10 pairs of receipt handle and seconds from now.

    Returns:
        The error by the index of each message that keeps its visibility timeout. It becomes visible when that
        ends.
    """
    try:
        answer = client.change_message_visibility_batch(
            QueueUrl=queue_url,
            Entries=[
                {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                for index, (handle, seconds) in enumerate(receipts)
            ],
        )
    except (ClientError, BotoCoreError) as error:
        return dict.fromkeys(range(len(receipts)), error_code(error))
    return _unconfirmed(range(len(receipts)), answer)


def _send(
    client: "SQSClient",
    queue_url: str,
    sizes: Sequence[int],
    entry: "Callable[[int], SendMessageBatchRequestEntryTypeDef]",
    has_time: Callable[[], bool] = lambda: True,
) -> dict[int, str]:
    failed: dict[int, str] = {}
    for request, indices in enumerate(_pack(sizes)):
        if request and not has_time():
            failed.update(dict.fromkeys(indices, "OutOfTime"))
            continue
        try:
            answer = client.send_message_batch(
                QueueUrl=queue_url, Entries=[entry(index) for index in indices]
            )
        except (ClientError, BotoCoreError) as error:
            failed.update(dict.fromkeys(indices, error_code(error)))
        else:
            failed.update(_unconfirmed(indices, answer))
            for successful in answer.get("Successful", []):
                index = int(successful["Id"])
                if successful["MD5OfMessageBody"] != _md5(entry(index)["MessageBody"]):
                    failed[index] = _INCOMPLETE
    return failed


def _md5(body: str) -> str:
    return hashlib.md5(body.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def _unconfirmed(indices: Iterable[int], answer: Mapping[str, Any]) -> dict[int, str]:
    """Why, for the index of each message that the answer does not confirm."""
    failed = dict.fromkeys(indices, _INCOMPLETE)
    failed.update((int(entry["Id"]), entry["Code"]) for entry in answer.get("Failed", []))
    for entry in answer.get("Successful", []):
        failed.pop(int(entry["Id"]), None)
    return failed


def _pack(sizes: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    total = 0
    for index, size in enumerate(sizes):
        if batch and (len(batch) == MAX_BATCH_ENTRIES or total + size > MAX_BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(index)
        total += size
    if batch:
        yield batch


def _entry(index: int, letter: DeadLetter) -> "SendMessageBatchRequestEntryTypeDef":
    return {
        "Id": str(index),
        "MessageBody": letter.body,
        "MessageAttributes": {
            REASON_ATTRIBUTE: {"DataType": "String", "StringValue": letter.reason.value},
            DETAIL_ATTRIBUTE: {"DataType": "String", "StringValue": letter.detail},
        },
    }
