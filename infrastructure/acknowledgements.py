"""The accepted findings of the judges, by the path of the construct, each with its reason.

A row accepts its rules on the construct and on all below it. ``make audit`` fails on a row that accepts
nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shipment_events.stages import StageSettings

if TYPE_CHECKING:
    # At run time it would start CDK, which the readers of the table do not need.
    from constructs import IConstruct


@dataclass(frozen=True)
class Accepted:
    """Findings that are accepted on one construct, and why."""

    rules: tuple[str, ...]
    reason: str
    """A reason that a reviewer can check."""
    when: Callable[[StageSettings], bool] = lambda _: True
    """Whether the row holds in a stage with these settings."""


@dataclass(frozen=True)
class Acknowledgement:
    """One accepted rule on one construct, in the form that the judges and CDK's validation need."""

    place: str
    """Path of the construct."""
    rule: str
    reason: str


Table = Mapping[str, Sequence[Accepted]]
"""Accepted findings by the path of the construct inside the stack."""

DATA_MAY_GO: Final = Accepted(
    ("LossModes::Retained",),
    "The settings of the stage allow its data to be deleted (retain_data).",
    when=lambda settings: not settings.retain_data,
)
QUEUE: Final = (
    DATA_MAY_GO,
    Accepted(
        ("CKV_AWS_27",),
        "The queue is encrypted at rest with a key of SQS (SSE-SQS), which the rule does not count. With our "
        "own key, a mistake in its policy would keep EventBridge and SQS from delivering events to both "
        "queues.",
    ),
)
TABLE: Final = (
    DATA_MAY_GO,
    Accepted(
        ("NIST.800.53.R5-DynamoDBInBackupPlan",),
        "Point-in-time recovery restores any second of the last 35 days. Deletion protection and the "
        "policy RETAIN keep the table itself. Copies in another account belong to the backup policy of "
        "an organisation. It selects tables by tag, and this one has 'project' and 'environment'.",
    ),
    Accepted(
        ("CKV_AWS_119",),
        "The table is encrypted with the account's AWS managed KMS key, whose use CloudTrail records. "
        "If our own key were disabled or deleted, all events would be gone. An account that has to own "
        "the key changes one line in infrastructure/storage.py and one in infrastructure/shipments.py.",
    ),
)
EXECUTION_ROLE: Final = (
    Accepted(
        ("AwsSolutions-IAM5[Resource::*]", "Serverless-LambdaStarPermissions"),
        "Only the X-Ray statement has the resource '*': PutTraceSegments and PutTelemetryRecords act on no "
        "resource that a policy could name (Service Authorization Reference, AWS X-Ray). They write traces "
        "and read nothing.",
    ),
    Accepted(
        ("NIST.800.53.R5-IAMNoInlinePolicy",),
        "The rule is against permissions that are scattered over principals. This role has one function "
        "and one policy. Inline, the policy cannot be attached elsewhere, and the role never exists "
        "without it. Tests hold its actions to the exact list.",
    ),
)
"""Accepted on the role of every function."""
FUNCTION: Final = (
    Accepted(
        ("AwsSolutions-L1", "Serverless-LambdaLatestVersion"),
        "Python 3.12 is part of the published contract, and AWS still maintains it "
        "(https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html). A newer version is a change "
        "of the contract, not of a default.",
    ),
    Accepted(
        ("NIST.800.53.R5-LambdaInsideVPC", "CKV_AWS_117"),
        "The function listens on no network and reaches nothing inside a VPC: it calls AWS services over "
        "TLS, bounded by its role. A VPC would protect nothing, and an outage of its endpoints would delay "
        "events.",
    ),
    Accepted(
        ("CKV_AWS_173",),
        "The variables are names, URLs and numbers that the template shows anyway; none is a secret. Lambda "
        "encrypts them at rest with its own key.",
    ),
    Accepted(
        ("W3005",),
        "CDK adds the dependency on the role, although the reference to the role implies it.",
    ),
)
"""Accepted on every function. Findings that depend on how a function is invoked are in its own rows."""
STREAM_FAILURES: Final = (
    *QUEUE,
    Accepted(
        ("AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy"),
        "It is the last queue of its function's failures. An alarm goes off at its first message.",
    ),
)
"""Accepted on the queue of failures of every function that follows the stream."""
STREAM_ROLE: Final = (
    *EXECUTION_ROLE,
    Accepted(
        ("AwsSolutions-IAM5[Resource::<StorageTableB43FDCE7.Arn>/stream/*]",),
        "ListStreams names a table, not a stream, so its resource covers all streams of the one table, "
        "as in AWS's example. It reads only their names.",
    ),
)
"""Accepted on the role of every function that follows the stream."""
STREAM_FUNCTION: Final = (
    *FUNCTION,
    Accepted(
        ("Serverless-LambdaDLQ", "NIST.800.53.R5-LambdaDLQ", "CKV_AWS_116"),
        "Lambda uses a function's dead-letter queue for asynchronous invocations only, and nothing "
        "invokes this function so. Its event source has a queue for failures.",
    ),
    Accepted(
        ("NIST.800.53.R5-LambdaConcurrency", "CKV_AWS_115"),
        "The stream bounds the concurrency to one batch of each shard. In an account with its initial "
        "quota, a reserve cannot be deployed.",
    ),
)
"""Accepted on every function that follows the stream."""
TOPIC: Final = (
    Accepted(
        ("LossModes::AlarmReceiver",),
        "The settings of the stage say why its alarms have no receiver (alarms_without_receivers).",
        when=lambda settings: not settings.has_receivers and settings.alarms_without_receivers is not None,
    ),
    Accepted(
        ("Serverless-SNSRedrivePolicy",),
        "SNS tries an e-mail 50 times in 6 hours "
        "(https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html). A queue for those "
        "that fail would need an alarm, which could only notify the same addresses. The alarm stays on, "
        "and the dashboard shows it.",
        when=lambda settings: bool(settings.alarm_emails),
    ),
)

ACKNOWLEDGEMENTS: Final[Table] = {
    "Buffer/DeadLetterQueue": (
        *QUEUE,
        Accepted(
            ("Serverless-SQSRedrivePolicy",),
            "It is the dead-letter queue. An alarm goes off at its first message.",
        ),
    ),
    "Buffer/Queue": QUEUE,
    "Ingestion/UnmatchedRule": (
        Accepted(
            ("Serverless-EventBusDLQ",),
            "Its target is the dead-letter queue itself. EventBridge retries for 24 hours, an alarm "
            "reports each event that it gives up on, and the archive has every event.",
        ),
    ),
    "Storage/Table": TABLE,
    "Processing/Role": EXECUTION_ROLE,
    "Processing/Function": (
        *FUNCTION,
        Accepted(
            ("Serverless-LambdaDLQ", "NIST.800.53.R5-LambdaDLQ", "CKV_AWS_116"),
            "Lambda uses a function's dead-letter queue for asynchronous invocations only, and nothing "
            "invokes this function so. Its one event source reads the queue, whose redrive policy moves "
            "what fails to the dead-letter queue.",
        ),
        Accepted(
            ("NIST.800.53.R5-LambdaConcurrency", "CKV_AWS_115"),
            "The event source bounds the concurrency. A reserve on the function would bound it by "
            "throttling, and a throttled receive counts towards the few that an event has. In an account "
            "with its initial quota, a reserve cannot be deployed.",
        ),
    ),
    "Processing/EventSource": (
        Accepted(
            ("Serverless-LambdaEventSourceMappingDestination",),
            "Destinations on failure exist for streams, not for queues. What fails goes back to the queue, "
            "whose redrive policy moves it to the dead-letter queue.",
        ),
    ),
    "Tracking/Storage/Table": TABLE,
    "Tracking/Failures": STREAM_FAILURES,
    "Tracking/Tracker/Role": STREAM_ROLE,
    "Tracking/Tracker/Function": STREAM_FUNCTION,
    "Tracking/Watcher/Role": EXECUTION_ROLE,
    "Tracking/Watcher/Caller": (
        Accepted(
            ("NIST.800.53.R5-IAMNoInlinePolicy",),
            "The rule is against permissions that are scattered over principals. One schedule uses this "
            "role, and its one policy allows one call of one alias.",
        ),
    ),
    "Tracking/Watcher/Function": (
        *FUNCTION,
        Accepted(
            ("Serverless-LambdaDLQ", "NIST.800.53.R5-LambdaDLQ", "CKV_AWS_116"),
            "A run that fails would leave nothing but its time. The next run finds every delay that was not "
            "announced, and alarms report failures and missing runs.",
        ),
        Accepted(
            ("NIST.800.53.R5-LambdaConcurrency", "CKV_AWS_115"),
            "The schedule starts one run at a time. In an account with its initial quota, a reserve cannot "
            "be deployed.",
        ),
    ),
    "Api/Function/Role": EXECUTION_ROLE,
    "Api/Function/Function": (
        *FUNCTION,
        Accepted(
            ("Serverless-LambdaDLQ", "NIST.800.53.R5-LambdaDLQ", "CKV_AWS_116"),
            "Lambda uses a function's dead-letter queue for asynchronous invocations only, and API Gateway "
            "waits for the answer. Who asked learns of a failure.",
        ),
        Accepted(
            ("NIST.800.53.R5-LambdaConcurrency", "CKV_AWS_115"),
            "The throttling of the API bounds it. In an account with its initial quota, a reserve cannot be "
            "deployed.",
        ),
    ),
    "Monitoring/PageTopic": TOPIC,
    "Monitoring/WarningTopic": TOPIC,
    "Rollout/Role": (
        Accepted(
            ("AwsSolutions-IAM5[Resource::*]",),
            "CodeDeploy asks for the states of its alarms. This action reads nothing else, and AWS's own "
            "policy for it has the same resource. A narrower one could stop every deployment.",
        ),
        Accepted(
            ("AwsSolutions-IAM5[Resource::<ProcessingFunction2A8FEFA1.Arn>:*]",),
            "The resource covers the versions and aliases of the one function. A version gets its number "
            "only when it is published.",
        ),
        Accepted(
            ("NIST.800.53.R5-IAMNoInlinePolicy",),
            "The rule is against permissions that are scattered over principals. CodeDeploy alone uses "
            "this role, and its one policy cannot be attached elsewhere. Tests hold its actions to the "
            "exact list.",
        ),
    ),
    "Chat/Role": (
        Accepted(
            ("AwsSolutions-IAM5[Resource::*]",),
            "GetMetricWidgetImage knows no resources (Service Authorization Reference, Amazon CloudWatch), "
            "and both actions only read alarms and metrics.",
        ),
        Accepted(
            ("NIST.800.53.R5-IAMNoInlinePolicy",),
            "The rule is against permissions that are scattered over principals. This role has one user "
            "and one policy.",
        ),
    ),
}


def accepted_in(
    stack: "IConstruct", settings: StageSettings, table: Table = ACKNOWLEDGEMENTS
) -> Iterator[tuple["IConstruct", list[Acknowledgement]]]:
    """Yield each construct of the stack with what ``table`` accepts on it.

    A stage without a canary or a Slack channel does not have every construct.
    """
    for path, rows in table.items():
        construct: IConstruct | None = stack
        for name in path.split("/"):
            construct = construct and construct.node.try_find_child(name)
        if construct is not None:
            yield (
                construct,
                [
                    Acknowledgement(construct.node.path, rule, accepted.reason)
                    for accepted in rows
                    if accepted.when(settings)
                    for rule in accepted.rules
                ],
            )
