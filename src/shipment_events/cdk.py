"""A CDK construct that subscribes a team to the changes of shipments. It needs the extra ``cdk``.

subscriber = StatusSubscriber(
    self, "Deliveries", stage="prod", name="deliveries", statuses=["delivered"], alarm_topic=topic
)
function.add_event_source(SqsEventSource(subscriber.queue, report_batch_item_failures=True))
"""

import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from shipment_events.contract import names
from shipment_events.stage_limits import (
    EVENTBRIDGE_MAX_RETRY_ATTEMPTS,
    EVENTBRIDGE_MAX_RETRY_HOURS,
    SQS_MAX_LONG_POLL_SECONDS,
    SQS_MAX_RETENTION_DAYS,
    InvalidSettingError,
)
from shipment_events.stages import settings_for
from shipment_events.tracking.changes import Kind
from shipment_events.tracking.vocabulary import STATUSES

QUEUE_RETENTION: Final = Duration.days(4)
MAX_RECEIVES: Final = 5
"""AWS advises at least 5: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
VISIBILITY_TIMEOUT: Final = Duration.minutes(6)
"""Six times the timeout of a function that runs for a minute, as AWS advises (same page)."""
OLDEST_MESSAGE: Final = Duration.hours(1)
DEAD_LETTER_DAYS: Final = 5
"""Days without an empty dead-letter queue after which an alarm goes off. A dead letter is kept for at least
ten days, because SQS counts the days in the queue, too."""
_MINUTE: Final = Duration.minutes(1)
# A rule's name has at most 64 characters, and the stage follows: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,50}")


class StatusSubscriber(Construct):
    """A rule on the status bus, a queue for what it matches, a dead-letter queue, and alarms on both.

    The stack has to be in the account and region of the bus. A message is an EventBridge envelope: its
    ``detail-type`` is the kind of change, its ``detail`` has the fields of the JSON Schema of this kind.

    The names are ``NAME-STAGE`` for rule and queue, and ``NAME-dlq-STAGE``. The queues go with the stack. The
    archive of the bus has all changes, and ``shipments replay --subscriber NAME-STAGE`` sends them again.

    Attributes:
        queue: consumers read it. It tries a message five times.
        dead_letter_queue: changes that EventBridge could not deliver, or the consumer could not process.
        rule_name: name of the rule, for a replay.
        alarms: by name: ``dead-letters``, ``dead-letters-old``, ``oldest-message`` and ``undelivered``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        name: str,
        alarm_topic: sns.ITopic,
        kinds: Sequence[str] = (),
        statuses: Sequence[str] = (),
        carriers: Sequence[str] = (),
        shipment_id_prefixes: Sequence[str] = (),
        visibility_timeout: Duration = VISIBILITY_TIMEOUT,
    ) -> None:
        """Subscribe to the changes that fit all given filters.

        Args:
            stage: stage of the pipeline.
            name: letters, digits and dashes, at most 50, not ending in ``-dlq``; unique among the subscribers
                of the stage.
            alarm_topic: all alarms notify it.
            kinds: kinds of changes (``shipment.status_changed``, …). Empty for all, also future ones.
            statuses: statuses after the change. Empty for all.
            carriers: carriers, exactly as in the events. Empty for all.
            shipment_id_prefixes: beginnings of shipment ids. Empty for all.
            visibility_timeout: at least six times the timeout of a function that reads the queue.

        Raises:
            UnknownStageError: there is no stage with this name.
            InvalidSettingError: a name or a filter is not allowed, or the stage does not track shipments.
        """
        super().__init__(scope, construct_id)
        self._bus_name = _bus_name(stage)
        _check_name(name)
        self.rule_name, self._dead_letter_queue_name = f"{name}-{stage}", f"{name}-dlq-{stage}"
        pattern = _pattern(kinds, statuses, carriers, shipment_id_prefixes)
        self.dead_letter_queue = self._build_queue(
            "DeadLetterQueue",
            queue_name=self._dead_letter_queue_name,
            retention_period=Duration.days(SQS_MAX_RETENTION_DAYS),
        )
        self.queue = self._build_subscriber_queue(visibility_timeout)
        self.rule = self._build_rule(pattern)
        self.alarms = self._build_alarms(alarm_topic)

    def _build_subscriber_queue(self, visibility_timeout: Duration) -> sqs.Queue:
        return self._build_queue(
            "Queue",
            queue_name=self.rule_name,
            retention_period=QUEUE_RETENTION,
            visibility_timeout=visibility_timeout,
            receive_message_wait_time=Duration.seconds(SQS_MAX_LONG_POLL_SECONDS),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letter_queue, max_receive_count=MAX_RECEIVES
            ),
        )

    def _build_queue(self, construct_id: str, **properties: Any) -> sqs.Queue:
        return sqs.Queue(
            self, construct_id, encryption=sqs.QueueEncryption.SQS_MANAGED, enforce_ssl=True, **properties
        )

    def _build_rule(self, pattern: dict[str, Any]) -> events.CfnRule:
        rule = events.CfnRule(
            self,
            "Rule",
            name=self.rule_name,
            description="Delivers changes of shipments to the queue of a subscriber",
            event_bus_name=self._bus_name,
            event_pattern=pattern,
            targets=[
                events.CfnRule.TargetProperty(
                    id="queue",
                    arn=self.queue.queue_arn,
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_retry_attempts=EVENTBRIDGE_MAX_RETRY_ATTEMPTS,
                        maximum_event_age_in_seconds=int(
                            Duration.hours(EVENTBRIDGE_MAX_RETRY_HOURS).to_seconds()
                        ),
                    ),
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                        arn=self.dead_letter_queue.queue_arn
                    ),
                )
            ],
        )
        # The ARN is text, so that both policies are created before the rule. EventBridge does not retry an
        # event that it has no permission to send.
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        rule_arn = Stack.of(self).format_arn(
            service="events", resource="rule", resource_name=f"{self._bus_name}/{self.rule_name}"
        )
        for queue in (self.queue, self.dead_letter_queue):
            queue.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="AllowRule",
                    principals=[iam.ServicePrincipal("events.amazonaws.com")],
                    actions=["sqs:SendMessage"],
                    resources=[queue.queue_arn],
                    conditions={"ArnEquals": {"aws:SourceArn": rule_arn}},
                )
            )
            rule.node.add_dependency(queue.node.find_child("Policy"))
        return rule

    def _watched(self) -> dict[str, tuple[cloudwatch.IMetric, float, int, str]]:
        """Metric, threshold, periods and meaning of each alarm."""
        # A rule of a custom bus reports with both dimensions:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
        undelivered = cloudwatch.Metric(
            namespace="AWS/Events",
            metric_name="InvocationsFailedToBeSentToDlq",
            dimensions_map={"EventBusName": self._bus_name, "RuleName": self.rule_name},
            statistic="Sum",
            period=_MINUTE,
        )
        waiting, in_work = (
            _of_queue(self._dead_letter_queue_name, f"ApproximateNumberOfMessages{state}")
            for state in ("Visible", "NotVisible")
        )
        # A dead letter that somebody reads is in flight.
        there = cloudwatch.MathExpression(
            expression="waiting + in_work",
            using_metrics={"waiting": waiting, "in_work": in_work},
            period=Duration.hours(1),
        )
        oldest = _of_queue(self.rule_name, "ApproximateAgeOfOldestMessage")
        return {
            "dead-letters": (
                waiting,
                1,
                1,
                "Changes of shipments could not be delivered or processed. The dead-letter queue has them.",
            ),
            "dead-letters-old": (
                there,
                1,
                DEAD_LETTER_DAYS * 24,
                f"The dead-letter queue was not empty for {DEAD_LETTER_DAYS} days. SQS will delete messages.",
            ),
            "oldest-message": (
                oldest,
                OLDEST_MESSAGE.to_seconds(),
                1,
                "A change of a shipment has waited for an hour and is not processed.",
            ),
            "undelivered": (
                undelivered,
                1,
                1,
                "EventBridge could put changes of shipments into neither queue. Replay this time.",
            ),
        }

    def _build_alarms(self, topic: sns.ITopic) -> dict[str, cloudwatch.Alarm]:
        alarms = {}
        for name, (metric, threshold, periods, meaning) in self._watched().items():
            alarms[name] = cloudwatch.Alarm(
                self,
                "".join(word.capitalize() for word in name.split("-")),
                alarm_name=f"{self.rule_name}-{name}",
                alarm_description=meaning,
                metric=metric,
                threshold=threshold,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                evaluation_periods=periods,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            alarms[name].add_alarm_action(actions.SnsAction(topic))
        return alarms


def _of_queue(queue_name: str, metric: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/SQS",
        metric_name=metric,
        dimensions_map={"QueueName": queue_name},
        statistic="Maximum",
        period=_MINUTE,
    )


def _bus_name(stage: str) -> str:
    settings = settings_for(stage)
    if not settings.tracking:
        raise InvalidSettingError(f"stage is {stage!r}, expected one that tracks shipments")
    return names.status_bus_name(settings.environment)


def _check_name(name: str) -> None:
    # The queue of the name x-dlq would be the dead-letter queue of x.
    if not _NAME.fullmatch(name) or name.endswith("-dlq"):
        raise InvalidSettingError(
            f"name is {name!r}, expected 1 to 50 letters, digits and dashes that do not end in -dlq"
        )


def _pattern(
    kinds: Sequence[str],
    statuses: Sequence[str],
    carriers: Sequence[str],
    shipment_id_prefixes: Sequence[str],
) -> dict[str, Any]:
    """The event pattern of a rule: a change has to fit all filters that are not empty."""
    _check("kinds", kinds, [*Kind])
    _check("statuses", statuses, STATUSES)
    _check("carriers", carriers)
    _check("shipment_id_prefixes", shipment_id_prefixes)
    detail: dict[str, Any] = {
        "status": list(statuses),
        "carrier": list(carriers),
        "shipment_id": [{"prefix": prefix} for prefix in shipment_id_prefixes],
    }
    pattern: dict[str, Any] = {
        "source": [names.CHANGE_SOURCE],
        "detail-type": list(kinds),
        "detail": {field: values for field, values in detail.items() if values},
    }
    return {field: values for field, values in pattern.items() if values}


def _check(field: str, values: Sequence[str], allowed: Collection[str] = ()) -> None:
    if isinstance(values, str):
        raise InvalidSettingError(f"{field} is a text, expected a list of texts")
    for value in values:
        if not value or (allowed and value not in allowed):
            expected = f"one of {', '.join(allowed)}" if allowed else "a text that is not empty"
            raise InvalidSettingError(f"{field} has {value!r}, expected {expected}")
