"""What the tracker cannot fold goes to a queue at first sight, with all that a repair needs.

Lambda's own destination for failures names sequence numbers, whose records are gone after 24 hours.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipment_events.contract.names import PARTITION_KEY, SORT_KEY
from shipment_events.queue.messages import send_bodies

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class Failure:
    """An event that its shipment's state does not hold.

    Attributes:
        shipment_id: of the event's item; empty where the record does not tell.
        sort_key: likewise.
        reason: what was expected; ASCII.
    """

    shipment_id: str
    sort_key: str
    reason: str

    @property
    def body(self) -> str:
        """The message: a JSON object in ASCII, as SQS refuses some of the characters that an id may have.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        """
        message = {PARTITION_KEY: self.shipment_id, SORT_KEY: self.sort_key, "reason": self.reason}
        return json.dumps(message)


def report_failures(client: "SQSClient", queue_url: str, failures: Sequence[Failure]) -> dict[int, str]:
    """Send failures to the tracker's queue.

    Returns:
        Why, for the index of each that may not be in the queue.
    """
    return send_bodies(client, queue_url, [failure.body for failure in failures])
