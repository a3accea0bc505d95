"""The stream of the table of events as the event source of a function, and the queue of its failures."""

import json
from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infrastructure.bundled_function import BundledFunction
from infrastructure.retention import removal_policy
from shipment_events.stages import StageSettings


class StreamSource:
    """What one function needs to follow the stream: permissions, an event source, a queue of failures.

    It is no construct, but builds into those of its user. A path of its own would change the logical ids of
    a queue and an event source that are deployed, and CloudFormation would create new ones beside them.

    Two functions may follow a stream. With a third, DynamoDB may throttle all of them:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: StageSettings,
        events: dynamodb.Table,
        failures_name: str,
        failures_retention_days: int,
    ) -> None:
        """Build the queue ``failures_name`` in ``scope``, for a function that follows ``events``."""
        self.events = events
        self.failures = sqs.Queue(
            scope,
            "Failures",
            queue_name=failures_name,
            retention_period=Duration.days(failures_retention_days),
            visibility_timeout=Duration.seconds(settings.dead_letter_visibility_seconds),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=removal_policy(settings),
        )

    def permissions(self, own: Sequence[iam.PolicyStatement]) -> list[iam.PolicyStatement]:
        """Return all that the function's role allows: what the event source needs, and the ``own`` calls."""
        return [
            # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/iam-policy-example-lamda-process-dynamodb-streams.html
            iam.PolicyStatement(
                sid="ReadStream",
                actions=["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                resources=[str(self.events.table_stream_arn)],
            ),
            # It names a table, not a stream.
            iam.PolicyStatement(
                sid="FindStream",
                actions=["dynamodb:ListStreams"],
                resources=[f"{self.events.table_arn}/stream/*"],
            ),
            # In the middle, as in the roles that are deployed.
            *own,
            # Lambda uses it, too, for the records that it gives up on.
            iam.PolicyStatement(
                sid="ReportFailures", actions=["sqs:SendMessage"], resources=[self.failures.queue_arn]
            ),
        ]

    def connect(
        self, function: BundledFunction, *, batch_size: int, retry_attempts: int, max_age_hours: int
    ) -> lambda_.CfnEventSourceMapping:
        """Build the event source of ``function``, whose role has the permissions."""
        # The class of the processor's event source, for the same reason.
        mapping = lambda_.CfnEventSourceMapping
        return mapping(
            function,
            "EventSource",
            event_source_arn=self.events.table_stream_arn,
            function_name=function.alias.function_arn,
            # LATEST can miss the records of the minutes in which the event source is created:
            # https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html
            starting_position="TRIM_HORIZON",
            batch_size=batch_size,
            maximum_batching_window_in_seconds=0,
            function_response_types=["ReportBatchItemFailures"],
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=retry_attempts,
            maximum_record_age_in_seconds=int(Duration.hours(max_age_hours).to_seconds()),
            # Expired events come as REMOVE. Without the filter they would be half of all invocations.
            filter_criteria=mapping.FilterCriteriaProperty(
                filters=[mapping.FilterProperty(pattern=json.dumps({"eventName": ["INSERT"]}))]
            ),
            destination_config=mapping.DestinationConfigProperty(
                on_failure=mapping.OnFailureProperty(destination=self.failures.queue_arn)
            ),
        )
