"""The processors that are compared: ours, and two by the book on the same bus, queue, table and retention.

Ours and ``put_item`` have the settings of the stage; the textbook has what AWS and Powertools start with.

Times are those of one invocation with the 0.29 of a core that 512 MB have, where the table answers in 5 ms.
They were measured on a slow 2-core machine with a fake table, and are above those of docs/benchmarks.md:
take the ratios. They decide 1 % of our own bill. Log bytes are those that
``python -m benchmarks.processor.log_bytes`` measures.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A processor, as its bill sees it.

    Attributes:
        fixed_ms: of an invocation, whatever the batch.
        event_ms: of each event besides.
        extra_writes: writes of an event to a table of idempotency records, each of one unit.
        extra_item_bytes: size of such a record; 0 where there is none.
        batch_log_bytes: what the function logs of an invocation.
        event_log_bytes: of each event besides.
        duplicate_log_bytes: of each duplicate besides.
        trace_log_bytes: in each line of a traced invocation besides.
        platform_log_bytes: what Lambda itself logs of an invocation that went well; 0 at its log level WARN.
        reads_duplicates: whether the stored item of a duplicate is read, to tell it from a conflict.
        infrequent_access: table class of its stage; None for that of the stage at hand.
        batching_window_seconds: of its stage; None likewise.
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
        """Length of one invocation with so many events."""
        return self.fixed_ms + self.event_ms * events


# START, END and REPORT as in AWS's own example, without the line on X-Ray of traced invocations:
# https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
_PLATFORM_LOG_BYTES: Final = 260

OURS: Final = Design(
    name="ours",
    what="a batch is one request of conditional inserts",
    # 14 to 18 ms for ten events.
    fixed_ms=6,
    event_ms=1.2,
    # 280 bytes for a batch of one, 633 for ten, 1,049 where one of them is a repeat.
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
    # Assumed to log as ours does. Its condition returns what is in the place of a duplicate.
    batch_log_bytes=OURS.batch_log_bytes,
    event_log_bytes=OURS.event_log_bytes,
    duplicate_log_bytes=OURS.duplicate_log_bytes,
    trace_log_bytes=OURS.trace_log_bytes,
)

TEXTBOOK: Final = Design(
    name="textbook",
    what="Powertools Batch and Idempotency per record, then put_item; AWS's defaults",
    # Three requests an event, with Powertools' work on each, one after the other.
    fixed_ms=0,
    event_ms=30,
    # IN_PROGRESS before, COMPLETED after: https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/
    extra_writes=2,
    # As benchmarks/processor/handlers/powertools.py writes it, without a hash to tell conflicts by. It has to
    # live as long as the event, or a late repeat would be processed again.
    extra_item_bytes=180,
    # Metrics flushed once a batch, the shortest Logger line with the Lambda context an event: 731 bytes for a
    # batch of one, 5,420 for ten.
    batch_log_bytes=210,
    event_log_bytes=521,
    platform_log_bytes=_PLATFORM_LOG_BYTES,
    infrequent_access=False,
    batching_window_seconds=0,
)

DESIGNS: Final = (OURS, TEXTBOOK, PUT_ITEM)
