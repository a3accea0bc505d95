"""The queues of a stage on a client of SQS, real or a stand-in."""

from typing import Any

from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.queue.queue import Queue
from shipment_events.queue.timing import AWS_TIMING, QueueTiming


def dead_letters_on(
    client: Any, letters: str, target: str, timing: QueueTiming = AWS_TIMING, **settings: int
) -> DeadLetterQueue:
    """The dead letters at one URL, whose events a redrive sends to another."""
    return DeadLetterQueue(Queue(client, letters, timing), Queue(client, target, timing), **settings)
