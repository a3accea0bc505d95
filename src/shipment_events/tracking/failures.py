"""Events that the tracker cannot fold go to a queue at once, with the data that a repair needs.

Lambda's on-failure destination gets sequence numbers and times, no records. The stream deletes these after 24
hours.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipment_events.contract.names import PARTITION_KEY, SORT_KEY
from shipment_events.queue.messages import send_bodies

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class Failure:
    """An event that is not in its shipment's state.

    Attributes:
        shipment_id: partition key of the event's item, or empty if the record has none.
        sort_key: sort key of the item, or empty.
        reason: what was expected; ASCII.
    """

    shipment_id: str
    sort_key: str
    reason: str

    @property
    def body(self) -> str:
        """The message: JSON in ASCII, because SQS refuses some characters that an id can contain.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        """
        message = {PARTITION_KEY: self.shipment_id, SORT_KEY: self.sort_key, "reason": self.reason}
        return json.dumps(message)


def report_failures(
    client: "SQSClient", queue_url: str, failures: Sequence[Failure], has_time: Callable[[], bool]
) -> dict[int, str]:
    """Send failures to the tracker's queue.

    Args:
        has_time: whether there is time for one more request. The first one is always sent.

    Returns:
        Why, for the index of each failure that may not be in the queue.
    """
    return send_bodies(client, queue_url, [failure.body for failure in failures], has_time)
