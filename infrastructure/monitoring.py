"""The two topics of the stage, and the alarms that notify them."""

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infrastructure.alarm_spec import AlarmSpec, Urgency
from infrastructure.alarms import alarm_specs
from shipment_events.contract import names
from shipment_events.stages import StageSettings


class Monitoring(Construct):
    """Topics and alarms of the stage.

    A missing value of a metric counts as good: without events, nothing fails. The exceptions are the alarm on
    a watcher that does not run, and the alarm on missing events. Only a stage that always gets events has the
    latter.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings, key: kms.Key) -> None:
        """Build topics and alarms of the stage. They use only the public names of the pipeline."""
        super().__init__(scope, construct_id)
        self._settings = settings
        self.topics = {urgency: self._build_topic(urgency, key) for urgency in Urgency}
        self.alarms: list[cloudwatch.Alarm] = []
        for spec in alarm_specs(settings):
            self.add_alarm(spec)

    def _build_topic(self, urgency: Urgency, key: kms.Key) -> sns.Topic:
        topic = sns.Topic(
            self,
            f"{urgency.capitalize()}Topic",
            topic_name=f"{names.stack_name(self._settings.environment)}-{urgency}",
            master_key=key,
            enforce_ssl=True,
        )
        # A topic policy replaces the default policy, which lets the account's own alarms publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AllowAlarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Stack.of(self).account},
                    "ArnLike": {"aws:SourceArn": self._alarm_arn("*")},
                },
            )
        )
        for address in self._settings.alarm_emails:
            topic.add_subscription(subscriptions.EmailSubscription(address))
        return topic

    def add_alarm(self, spec: AlarmSpec) -> cloudwatch.Alarm:
        """Build an alarm that notifies the topic of its urgency."""
        alarm = cloudwatch.Alarm(
            self,
            "".join(word.capitalize() for word in spec.name.split("-")),
            alarm_name=self._alarm_name("-".join(filter(None, (spec.name, spec.of_version)))),
            alarm_description=(
                f"{spec.meaning} Look at: {spec.look_at} Runbook: {self._settings.runbook}#{spec.name}"
            ),
            metric=spec.metric,
            threshold=spec.threshold,
            comparison_operator=spec.comparison,
            evaluation_periods=spec.within_periods or spec.periods,
            datapoints_to_alarm=spec.periods,
            treat_missing_data=(
                cloudwatch.TreatMissingData.BREACHING
                if spec.silence_is_bad
                else cloudwatch.TreatMissingData.NOT_BREACHING
            ),
        )
        alarm.add_alarm_action(actions.SnsAction(self.topics[spec.urgency]))
        if spec.tells_end:
            alarm.add_ok_action(actions.SnsAction(self.topics[spec.urgency]))
        # An alarm notifies only once for each change, so the permission to publish has to exist before it.
        alarm.node.add_dependency(self.topics[spec.urgency].node.find_child("Policy"))
        self.alarms.append(alarm)
        return alarm

    def _alarm_name(self, name: str) -> str:
        return f"{names.stack_name(self._settings.environment)}-{name}"

    def _alarm_arn(self, name: str) -> str:
        return Stack.of(self).format_arn(service="cloudwatch", resource=f"alarm:{self._alarm_name(name)}")
