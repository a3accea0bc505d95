"""What the local engine cannot do, and what becomes of it: the one list of it.

Every entry of ``GAPS`` is a row of the table in ``docs/local-engine.md``.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from workbench.documents import markdown_table


class Remedy(StrEnum):
    """What becomes of something that the engine cannot do."""

    MADE_UP = "made up"
    CHANGED = "changed"
    LEFT_OUT = "left out"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Gap:
    """One difference from AWS: ``subject`` is what AWS has, ``here`` what holds on the local engine."""

    subject: str
    remedy: Remedy
    here: str


ARCHIVE: Final = Gap(
    "Event archive in the stack",
    Remedy.MADE_UP,
    "CloudFormation does not know the type; it is created with CreateArchive after the deploy.",
)
METRIC_MATH_ALARM: Final = Gap(
    "Alarms on a formula of several metrics",
    Remedy.LEFT_OUT,
    "The engine refuses them; such an alarm does not exist here.",
)
TIME_TO_LIVE: Final = Gap(
    "Time to live of the table",
    Remedy.MADE_UP,
    "The deploy ignores it; it is set with UpdateTimeToLive.",
)
POINT_IN_TIME_RECOVERY: Final = Gap(
    "Point-in-time recovery of the table",
    Remedy.MADE_UP,
    "The deploy ignores it; it is set with UpdateContinuousBackups.",
)
BATCH_PERMISSIONS: Final = Gap(
    "Permissions of batch calls",
    Remedy.CHANGED,
    "With AUTH=true the engine asks for the operation's own name, where AWS asks for the action on one item: "
    "roles with dynamodb:PartiQLInsert get dynamodb:BatchExecuteStatement on every table, those with "
    "sqs:SendMessage, sqs:DeleteMessage or sqs:ChangeMessageVisibility its …Batch.",
)
TLS_ONLY: Final = Gap(
    "Policies that allow TLS only",
    Remedy.CHANGED,
    "The engine speaks plain HTTP on the loopback interface; the statements that deny it are taken out.",
)
ROLLOUT: Final = Gap(
    "Rollout of a new version of the processor",
    Remedy.CHANGED,
    "There is no CodeDeploy. Event sources invoke the function itself, not an alias of its versions, so that "
    "a deploy runs the new code at once; versions and aliases are left out.",
)
BOOTSTRAP: Final = Gap(
    "Check for the CDK bootstrap stack",
    Remedy.CHANGED,
    "Taken out: assets go straight into a bucket of the engine.",
)

GAPS: Final = (
    ARCHIVE,
    METRIC_MATH_ALARM,
    TIME_TO_LIVE,
    POINT_IN_TIME_RECOVERY,
    BATCH_PERMISSIONS,
    TLS_ONLY,
    ROLLOUT,
    BOOTSTRAP,
    Gap(
        "Retries and dead-letter queue of a rule's target",
        Remedy.DIFFERENT,
        "Stored, not honoured: an event that the bus cannot deliver is gone.",
    ),
    Gap(
        "Redrive with StartMessageMoveTask",
        Remedy.LEFT_OUT,
        "Does not exist; messages have to be moved one by one.",
    ),
    Gap(
        "Replay that feeds chosen rules only",
        Remedy.DIFFERENT,
        "FilterArns is ignored: a replay reaches every rule of the bus.",
    ),
    Gap(
        "Metrics of the services and of the processor",
        Remedy.LEFT_OUT,
        "No queue, bus, table or function metrics; the metric filters of a log are kept, not applied.",
    ),
    Gap(
        "Alarms",
        Remedy.DIFFERENT,
        "Evaluated only on PutMetricData and without regard to dimensions.",
    ),
    Gap("Traces", Remedy.LEFT_OUT, "There is no X-Ray."),
    Gap(
        "Limits of PutEvents",
        Remedy.DIFFERENT,
        "Requests above 1 MB and a detail that is no JSON are accepted, AWS refuses them.",
    ),
    Gap(
        "Numbers on the bus",
        Remedy.DIFFERENT,
        "A detail is decoded and encoded anew: decimals go through 64-bit floats, and of a key that comes "
        "twice one is kept. The publisher refuses both.",
    ),
    Gap(
        "Old item of a failed insert",
        Remedy.DIFFERENT,
        "BatchExecuteStatement does not return the item that was there before.",
    ),
    Gap(
        "Restore of a table to a point in time",
        Remedy.DIFFERENT,
        "RestoreTableToPointInTime copies the table as it is now, whatever the moment that is named.",
    ),
    Gap(
        "Names that a destroyed stack left taken",
        Remedy.DIFFERENT,
        "A deploy without `make adopt` makes the table anew, empty, where AWS refuses.",
    ),
    Gap(
        "Counts of a queue",
        Remedy.DIFFERENT,
        "Exact, and so is every receive; on AWS a count can be a minute old. An output of the stack says so,"
        " and the commands wait shorter.",
    ),
    Gap("Batching window of the event source", Remedy.DIFFERENT, "Ignored: batches are read at once."),
    Gap(
        "Options of a stage for higher loads",
        Remedy.DIFFERENT,
        "Table class, warm write units and provisioned pollers are ignored; a sharded index works as on AWS.",
    ),
    Gap(
        "Log level of Lambda's own lines",
        Remedy.DIFFERENT,
        "Ignored: every invocation has START, END and REPORT.",
    ),
    Gap(
        "Stream records of statements by PartiQL",
        Remedy.MADE_UP,
        "The engine writes none; its start-up program adds them (workbench/engine/adaptations.py).",
    ),
    Gap(
        "Stream records after a restart",
        Remedy.MADE_UP,
        "The engine forgets them; its start-up program saves and loads them.",
    ),
    Gap(
        "Functions of streams beside those of queues",
        Remedy.MADE_UP,
        "The engine's queues wait for the function of a stream; its start-up program reads each stream on a "
        "thread of its own.",
    ),
    Gap(
        "Failures in a batch of a stream",
        Remedy.MADE_UP,
        "The engine skips failed records; its start-up program adds partial failures, retries, bisecting, "
        "maximum age and the queue or topic for failures.",
    ),
    Gap(
        "Stream of a table",
        Remedy.DIFFERENT,
        "One shard, read in one order; SizeBytes is 0; an item whose time to live ends leaves no record. "
        "Parallelization factor, batching and tumbling windows are ignored, retries wait for a second each, "
        "buckets and Kafka as destinations for failures get nothing, and a report counts one invocation. If "
        "the first record is reported and bisecting is on, the batch is halved; AWS does not document this.",
    ),
    Gap(
        "Log of a function",
        Remedy.DIFFERENT,
        "A line that the engine has not read 50 ms after the answer, on a busy machine, is logged with the "
        "next invocation of the same process, or never.",
    ),
    Gap("Memory of a function", Remedy.DIFFERENT, "Not enforced, and the processor has the whole CPU."),
    Gap(
        "Runtime and architecture of a function",
        Remedy.DIFFERENT,
        "Functions run on the interpreter and the processor of this machine, without a container.",
    ),
)


def as_markdown() -> str:
    """The table of all gaps, for the documentation."""
    return markdown_table(["On AWS", "Here", "How"], [[gap.subject, gap.remedy, gap.here] for gap in GAPS])
