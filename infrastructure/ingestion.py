"""The bus that producers publish to, its two rules, and the archive of all its events."""

from collections.abc import Callable

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct, IConstruct

from shipment_events.contract import names
from shipment_events.stages import StageSettings


class EventIngestion(Construct):
    """Bus with two complementary rules: every event matches one of them, and goes to its queue."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        queue: sqs.Queue,
        dead_letter_queue: sqs.Queue,
    ) -> None:
        """Build bus, rules and archive of the stage; the rules deliver to the given queues."""
        super().__init__(scope, construct_id)
        self._settings = settings
        self.bus = events.EventBus(self, "Bus", event_bus_name=names.event_bus_name(settings.environment))
        self.archive = self._build_archive()
        self.rule = self._build_shipment_rule(queue, dead_letter_queue)
        self.unmatched_rule = self._build_unmatched_rule(dead_letter_queue)
        # A rule matches events as soon as it exists, and EventBridge does not retry an event that it has no
        # permission to send. So the permissions are created first. The archive is too, so that it has all
        # events for a replay.
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        self.rule.node.add_dependency(self.archive, _policy_of(queue), _policy_of(dead_letter_queue))
        self.unmatched_rule.node.add_dependency(self.archive, _policy_of(dead_letter_queue))

    def _build_shipment_rule(self, queue: sqs.Queue, dead_letter_queue: sqs.Queue) -> events.CfnRule:
        rule = events.CfnRule(
            self,
            "ShipmentRule",
            name=names.rule_name(self._settings.environment),
            description="Delivers shipment events to the queue",
            event_bus_name=self.bus.event_bus_name,
            event_pattern={
                "source": [names.SOURCE],
                "detail-type": [{"prefix": names.EVENT_TYPE_PREFIX}],
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="queue",
                    arn=queue.queue_arn,
                    retry_policy=_retry_policy(
                        self._settings.delivery_retry_attempts, self._settings.delivery_max_age_hours
                    ),
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                        arn=dead_letter_queue.queue_arn
                    ),
                )
            ],
        )
        self._allow_delivery(queue, names.rule_name, sid="AllowShipmentRule")
        self._allow_delivery(dead_letter_queue, names.rule_name, sid="AllowShipmentRule")
        return rule

    def _build_unmatched_rule(self, dead_letter_queue: sqs.Queue) -> events.CfnRule:
        # One rule with $or, because two rules would deliver an event twice if both its fields are wrong. The
        # target has no dead-letter queue: that would be the same queue that has just refused the event.
        # Instead EventBridge retries for the longest time possible. If it stops trying, an alarm on this
        # rule's FailedInvocations goes off, and only the archive has the event.
        rule = events.CfnRule(
            self,
            "UnmatchedRule",
            name=names.unmatched_rule_name(self._settings.environment),
            description="Delivers what the shipment rule does not match to the dead-letter queue",
            event_bus_name=self.bus.event_bus_name,
            event_pattern={
                "$or": [
                    {"source": [{"anything-but": [names.SOURCE]}]},
                    {"detail-type": [{"anything-but": {"prefix": names.EVENT_TYPE_PREFIX}}]},
                ]
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="dead-letter-queue",
                    arn=dead_letter_queue.queue_arn,
                    retry_policy=_retry_policy(
                        self._settings.unmatched_retry_attempts, self._settings.unmatched_max_age_hours
                    ),
                )
            ],
        )
        self._allow_delivery(dead_letter_queue, names.unmatched_rule_name, sid="AllowUnmatchedRule")
        return rule

    def _allow_delivery(self, queue: sqs.Queue, rule_name: Callable[[str], str], *, sid: str) -> None:
        # The rule's ARN is text, because with a reference the policy would be created after the rule.
        environment = self._settings.environment
        rule_arn = Stack.of(self).format_arn(
            service="events",
            resource="rule",
            resource_name=f"{names.event_bus_name(environment)}/{rule_name(environment)}",
        )
        # So CDK's own Rule does not fit: its target lets the policy refer to the rule, and grants GetQueueUrl
        # and GetQueueAttributes too, which EventBridge does not need.
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": rule_arn}},
            )
        )

    def _build_archive(self) -> events.CfnArchive:
        # CDK's own Archive would have another logical id, so CloudFormation would replace the archive, and
        # what it holds would be gone.
        return events.CfnArchive(
            self,
            "Archive",
            archive_name=names.archive_name(self._settings.environment),
            description="Every event of the bus, for replays",
            source_arn=self.bus.event_bus_arn,
            retention_days=self._settings.archive_retention_days,
        )


def _retry_policy(attempts: int, max_age_hours: int) -> events.CfnRule.RetryPolicyProperty:
    return events.CfnRule.RetryPolicyProperty(
        maximum_retry_attempts=attempts,
        maximum_event_age_in_seconds=int(Duration.hours(max_age_hours).to_seconds()),
    )


def _policy_of(queue: sqs.Queue) -> IConstruct:
    return queue.node.find_child("Policy")
