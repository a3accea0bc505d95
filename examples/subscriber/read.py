"""A consumer of that queue: shows each delivery once, and ignores what is older than what it has shown.

$ python examples/subscriber/read.py QUEUE_URL
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3


class Deliveries:
    """What was shown. A real consumer keeps this in a database, and writes it together with its own work."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._last: dict[tuple[str, str], str] = {}

    def line(self, envelope: dict[str, Any]) -> str:
        """The line to show. It is empty for a repeat, and for a change that a later one has overtaken."""
        kind, change = envelope["detail-type"], envelope["detail"]
        key = (change["shipment_id"], kind)
        # Moments are in UTC and have a fixed width, so the order of the texts is the order in time.
        if change["change_id"] in self._seen or change["at"] <= self._last.get(key, ""):
            return ""
        self._seen.add(change["change_id"])
        self._last[key] = change["at"]
        return f"{change['at']} {change['shipment_id']} {change['status']} ({change['carrier']})"


def lines(sqs: Any, queue_url: str, deliveries: Deliveries) -> Iterator[str]:
    """Read until the queue is empty. A message is deleted only after its line was used."""
    while True:
        answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        if "Messages" not in answer:
            return
        for message in answer["Messages"]:
            if line := deliveries.line(json.loads(message["Body"])):
                yield line
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


if __name__ == "__main__":
    for shown in lines(boto3.client("sqs"), sys.argv[1], Deliveries()):
        sys.stdout.write(f"{shown}\n")
