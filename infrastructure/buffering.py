"""The queue between bus and processor, and the dead-letter queue for what cannot be delivered or stored."""

from aws_cdk import Duration, Stack
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infrastructure.retention import removal_policy
from shipment_events.contract import names
from shipment_events.stages import StageSettings


class EventBuffer(Construct):
    """Two encrypted, TLS-only queues; their contents stay when the stack goes."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        """Build the queues of the stage."""
        super().__init__(scope, construct_id)
        self._settings = settings
        self._removal_policy = removal_policy(settings)
        self.dead_letter_queue = self._build_dead_letter_queue()
        self.queue = self._build_queue()

    def _build_dead_letter_queue(self) -> sqs.Queue:
        # The allow policy names the queue by its ARN as text: the queue refers to this one already, and two
        # references would be a circle that CloudFormation refuses.
        queue_arn = Stack.of(self).format_arn(
            service="sqs", resource=names.queue_name(self._settings.environment)
        )
        return sqs.Queue(
            self,
            "DeadLetterQueue",
            queue_name=names.dead_letter_queue_name(self._settings.environment),
            retention_period=Duration.days(self._settings.dead_letter_retention_days),
            visibility_timeout=Duration.seconds(self._settings.dead_letter_visibility_seconds),
            redrive_allow_policy=sqs.RedriveAllowPolicy(
                redrive_permission=sqs.RedrivePermission.BY_QUEUE,
                source_queues=[sqs.Queue.from_queue_arn(self, "AllowedSource", queue_arn)],
            ),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=self._removal_policy,
        )

    def _build_queue(self) -> sqs.Queue:
        return sqs.Queue(
            self,
            "Queue",
            queue_name=names.queue_name(self._settings.environment),
            retention_period=Duration.days(self._settings.queue_retention_days),
            visibility_timeout=Duration.seconds(self._settings.visibility_timeout_seconds),
            receive_message_wait_time=Duration.seconds(self._settings.queue_long_poll_seconds),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letter_queue, max_receive_count=self._settings.queue_max_receives
            ),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=self._removal_policy,
        )
