"""The queue that subscribes to the changes, and whose changes it got."""

from typing import TYPE_CHECKING

from shipment_events.contract.exact_json import loads
from shipment_events.contract.names import PARTITION_KEY
from shipment_events.queue.queue import Queue
from shipment_events.queue.timing import QueueTiming

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef


class Listener(Queue):
    """A subscriber's queue.

    Attributes:
        shipment_ids: the shipments of all changes that were received, also of those that nobody asks for.
    """

    def __init__(self, client: "SQSClient", url: str, timing: QueueTiming) -> None:
        super().__init__(client, url, timing)
        self.shipment_ids: set[str] = set()

    def receive(self, *, hold_seconds: int) -> "list[MessageTypeDef]":
        """Receive as every queue does, and note the shipments."""
        messages = super().receive(hold_seconds=hold_seconds)
        for message in messages:
            self.shipment_ids.add(loads(message["Body"])["detail"].get(PARTITION_KEY, ""))
        return messages
