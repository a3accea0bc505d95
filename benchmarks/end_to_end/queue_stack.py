"""The deployed stack on the benchmark's engine, whose queue is filled and then emptied."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.end_to_end.engine import STAGE, BenchmarkEngine
from benchmarks.processor.batches import batches
from benchmarks.processor.comparison import BATCH
from shipment_events.contract import names
from shipment_events.queue.messages import send_bodies
from shipment_events.queue.queue import Queue

_POLL_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 120.0


class EventSource:
    """The event source of a function: a queue or a stream."""

    def __init__(self, engine: BenchmarkEngine, function: str) -> None:
        self._lambda = engine.client("lambda")
        [source] = self._lambda.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
        self._id: str = source["UUID"]

    def enable(self, *, enabled: bool) -> None:
        """Let the function take its records, or not."""
        self._lambda.update_event_source_mapping(UUID=self._id, Enabled=enabled)


class QueueStack:
    """The stack's queue and its processor."""

    def __init__(self, engine: BenchmarkEngine) -> None:
        self._sqs = engine.client("sqs")
        self._queue_url = self._sqs.get_queue_url(QueueName=names.queue_name(STAGE))["QueueUrl"]
        self._source = EventSource(engine, names.processor_name(STAGE))

    def drain(self, bodies: Sequence[str]) -> float:
        """Seconds in which the processor takes these events out of a full queue.

        Raises:
            RuntimeError: the queue cannot be filled, or is not emptied.
        """
        self._source.enable(enabled=False)
        if failed := send_bodies(self._sqs, self._queue_url, bodies):
            raise RuntimeError(f"{len(failed)} events could not be queued")
        begin = time.perf_counter()
        self._source.enable(enabled=True)
        queue = Queue(self._sqs, self._queue_url)
        while waiting := queue.depth().total:
            if time.perf_counter() - begin > _PATIENCE_SECONDS:
                raise RuntimeError(f"{waiting} events are still queued after {_PATIENCE_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - begin


def new_bodies(count: int) -> Iterator[str]:
    """Bodies of messages in the queue, each a new event of the feed."""
    for batch in batches(BATCH, count // BATCH):
        yield from (record["body"] for record in batch["Records"])
