"""Three processors: ours, and two common designs with the same bus, queue, table and retention.

Ours and ``put_item`` have the settings of the stage. The textbook has the defaults of AWS and Powertools.

Times are of one invocation with 0.29 of a core, as with 512 MB, and a table that answers in 5 ms. They were
measured on a slow 2-core machine with a fake table and are longer than in docs/benchmarks.md, so only their
ratios are meaningful. They are a small part of our bill. ``python -m benchmarks.processor.log_bytes``
measures the log bytes.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The properties of a processor that its bill depends on.

    Attributes:
        fixed_ms: time of an invocation without its events.
        event_ms: additional time for each event.
        extra_writes: writes for each event to a table of idempotency records, one unit each.
        extra_item_bytes: size of an idempotency record, or 0.
        batch_log_bytes: what the function logs for each invocation.
        event_log_bytes: additional bytes for each event.
        duplicate_log_bytes: additional bytes for each duplicate.
        trace_log_bytes: additional bytes for each line of a traced invocation.
        platform_log_bytes: what Lambda logs for each successful invocation; 0 at log level WARN.
        reads_duplicates: whether the processor reads the stored item to tell a duplicate from a conflict.
        infrequent_access: table class. None uses the setting of the stage.
        batching_window_seconds: None uses the setting of the stage.
    """

    name: str
    what: str
    fixed_ms: float
    event_ms: float
    extra_writes: int = 0
    extra_item_bytes: int = 0
    batch_log_bytes: int
    event_log_bytes: int
    duplicate_log_bytes: int = 0
    trace_log_bytes: int = 0
    platform_log_bytes: int = 0
    reads_duplicates: bool = False
    infrequent_access: bool | None = None
    batching_window_seconds: int | None = None

    def duration_ms(self, events: float) -> float:
        """Duration of one invocation with this number of events."""
        return self.fixed_ms + self.event_ms * events


# START, END and REPORT of AWS's example, without the X-Ray line of traced invocations:
# https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
_PLATFORM_LOG_BYTES: Final = 260

OURS: Final = Design(
    name="ours",
    what="one request of conditional inserts per batch",
    # 14 to 18 ms for ten events.
    fixed_ms=6,
    event_ms=1.2,
    # 280 bytes for a batch of one, 633 for ten, 1,049 if one of the ten is a duplicate.
    batch_log_bytes=241,
    event_log_bytes=39,
    duplicate_log_bytes=416,
    trace_log_bytes=49,
    reads_duplicates=True,
)

PUT_ITEM: Final = Design(
    name="put_item",
    what="one conditional put_item per record, boto3 resource",
    # 112 ms for ten events.
    fixed_ms=0,
    event_ms=11.2,
    # It is assumed to log like ours. A failed condition returns the stored item, so no read is needed.
    batch_log_bytes=OURS.batch_log_bytes,
    event_log_bytes=OURS.event_log_bytes,
    duplicate_log_bytes=OURS.duplicate_log_bytes,
    trace_log_bytes=OURS.trace_log_bytes,
)

TEXTBOOK: Final = Design(
    name="textbook",
    what="Powertools Batch and Idempotency per record, then put_item; AWS's defaults",
    # Three requests for each event, one after the other, with the overhead of Powertools.
    fixed_ms=0,
    event_ms=30,
    # IN_PROGRESS before the event, COMPLETED after it: https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/
    extra_writes=2,
    # The record of benchmarks/processor/handlers/powertools.py, without a hash that finds conflicts.
    # It is kept as long as the event. Otherwise a late duplicate would be processed again.
    extra_item_bytes=180,
    # Metrics are flushed once a batch. Each event logs the shortest Logger line with the Lambda context.
    # 731 bytes for a batch of one, 5,420 for ten.
    batch_log_bytes=210,
    event_log_bytes=521,
    platform_log_bytes=_PLATFORM_LOG_BYTES,
    infrequent_access=False,
    batching_window_seconds=0,
)

DESIGNS: Final = (OURS, TEXTBOOK, PUT_ITEM)
