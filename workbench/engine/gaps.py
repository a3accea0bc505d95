"""The differences of the local engine from AWS.

Every entry of ``GAPS`` is a row of the table in ``docs/local-engine.md``.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from workbench.documents import markdown_table


class Remedy(StrEnum):
    """How the local engine handles a difference from AWS."""

    MADE_UP = "made up"
    CHANGED = "changed"
    LEFT_OUT = "left out"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Gap:
    """One difference from AWS: ``subject`` is what AWS has, ``here`` what the local engine does."""

    subject: str
    remedy: Remedy
    here: str


ARCHIVE: Final = Gap(
    "Event archive in the stack",
    Remedy.MADE_UP,
    "Created with CreateArchive after the deploy.",
)
METRIC_MATH_ALARM: Final = Gap(
    "Alarms on a formula",
    Remedy.LEFT_OUT,
    "The engine refuses them.",
)
TIME_TO_LIVE: Final = Gap(
    "Time to live of the table",
    Remedy.MADE_UP,
    "Set with UpdateTimeToLive after the deploy.",
)
POINT_IN_TIME_RECOVERY: Final = Gap(
    "Point-in-time recovery of the table",
    Remedy.MADE_UP,
    "Set with UpdateContinuousBackups after the deploy.",
)
BATCH_PERMISSIONS: Final = Gap(
    "Permissions of batch calls",
    Remedy.CHANGED,
    "With AUTH=true the engine checks the batch operation, AWS the action on an item. Roles get both.",
)
TLS_ONLY: Final = Gap(
    "Policies that allow TLS only",
    Remedy.CHANGED,
    "Removed: the engine speaks plain HTTP on the loopback interface.",
)
ROLLOUT: Final = Gap(
    "Rollout of a new version of the processor",
    Remedy.CHANGED,
    "No CodeDeploy, versions or aliases: a deploy runs new code at once.",
)
SCHEDULED_TIME: Final = Gap(
    "Time of a schedule in the input of its target",
    Remedy.CHANGED,
    "The engine does not fill it in. Without an input it sends an event that has the time.",
)
API_ADDRESS: Final = Gap(
    "Host of the HTTP API",
    Remedy.CHANGED,
    "ApiURL is below the address of the engine, because not every resolver knows names below localhost.",
)
BOOTSTRAP: Final = Gap(
    "Check for the CDK bootstrap stack",
    Remedy.CHANGED,
    "Removed: assets go into a bucket of the engine.",
)

GAPS: Final = (
    ARCHIVE,
    METRIC_MATH_ALARM,
    TIME_TO_LIVE,
    POINT_IN_TIME_RECOVERY,
    BATCH_PERMISSIONS,
    TLS_ONLY,
    ROLLOUT,
    SCHEDULED_TIME,
    API_ADDRESS,
    BOOTSTRAP,
    Gap(
        "Tokens (JWT) of the HTTP API",
        Remedy.DIFFERENT,
        "Refused, whatever they are. Signatures are checked with AUTH=true; without it, their presence is.",
    ),
    Gap(
        "Retries and dead-letter queue of a rule's target",
        Remedy.DIFFERENT,
        "Ignored: an event that the bus cannot deliver is gone.",
    ),
    Gap(
        "Redrive with StartMessageMoveTask",
        Remedy.LEFT_OUT,
        "Commands move messages one by one.",
    ),
    Gap(
        "Replay that feeds chosen rules only",
        Remedy.DIFFERENT,
        "FilterArns is ignored: a replay reaches every rule.",
    ),
    Gap(
        "Concurrent invocations for a queue",
        Remedy.DIFFERENT,
        "At most three: more wait for the engine's one thread.",
    ),
    Gap(
        "Metrics of the services and of the processor",
        Remedy.LEFT_OUT,
        "Metric filters are not applied either.",
    ),
    Gap(
        "Alarms",
        Remedy.DIFFERENT,
        "Evaluated only on PutMetricData, without dimensions.",
    ),
    Gap("Traces", Remedy.LEFT_OUT, "There is no X-Ray."),
    Gap(
        "Limits of PutEvents",
        Remedy.DIFFERENT,
        "Requests above 1 MB and invalid JSON are accepted.",
    ),
    Gap(
        "Numbers on the bus",
        Remedy.DIFFERENT,
        "Decimals go through 64-bit floats, and one of two equal keys is kept. The publisher refuses both.",
    ),
    Gap(
        "Old item of a failed insert",
        Remedy.DIFFERENT,
        "BatchExecuteStatement does not return it.",
    ),
    Gap(
        "Restore of a table to a point in time",
        Remedy.DIFFERENT,
        "RestoreTableToPointInTime copies the table as it is now.",
    ),
    Gap(
        "Names that a destroyed stack left taken",
        Remedy.DIFFERENT,
        "A deploy without `make adopt` creates an empty table, where AWS refuses.",
    ),
    Gap(
        "Counts of a queue",
        Remedy.DIFFERENT,
        "Exact. On AWS a count can be a minute old, and commands wait for it.",
    ),
    Gap(
        "Batching window of the event source",
        Remedy.DIFFERENT,
        "Ignored.",
    ),
    Gap(
        "Options of a stage for higher loads",
        Remedy.DIFFERENT,
        "Ignored, except the sharded index.",
    ),
    Gap(
        "Log level of Lambda's own lines",
        Remedy.DIFFERENT,
        "Ignored: each invocation logs START, END and REPORT.",
    ),
    Gap(
        "Stream records of statements by PartiQL",
        Remedy.MADE_UP,
        "Added at the engine's start: it writes none itself.",
    ),
    Gap(
        "Stream records after a restart",
        Remedy.MADE_UP,
        "Saved with the tables. The engine itself forgets them.",
    ),
    Gap(
        "Functions of streams beside those of queues",
        Remedy.MADE_UP,
        "Each stream has its own thread. On the engine's one thread, a slow stream would delay the queues.",
    ),
    Gap(
        "Failures in a batch of a stream",
        Remedy.MADE_UP,
        "Added: partial failures, retries, bisecting, maximum age and the queue or topic for failures.",
    ),
    Gap(
        "Stream of a table",
        Remedy.DIFFERENT,
        "One shard. SizeBytes is 0, and an expired item leaves no record. Ignored: parallelization factor, "
        "batching and tumbling windows, buckets and Kafka for failures. Retries are one second apart.",
    ),
    Gap(
        "Log of a function",
        Remedy.DIFFERENT,
        "On a busy machine a line may be logged with the next invocation, or never.",
    ),
    Gap(
        "Memory of a function",
        Remedy.DIFFERENT,
        "Not limited. The function has the whole CPU.",
    ),
    Gap(
        "Runtime and architecture of a function",
        Remedy.DIFFERENT,
        "This machine's Python and processor, without a container.",
    ),
)


def as_markdown() -> str:
    """The table of all gaps, for the documentation."""
    return markdown_table(["On AWS", "Here", "How"], [[gap.subject, gap.remedy, gap.here] for gap in GAPS])
