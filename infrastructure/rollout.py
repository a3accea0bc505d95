"""How a new version of the processor takes over: a tenth of the batches first, and back if it does badly."""

from typing import Final

from aws_cdk import Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from constructs import Construct

from infrastructure.alarm_spec import AlarmSpec, Urgency
from infrastructure.metrics import PipelineMetrics
from infrastructure.monitoring import Monitoring
from infrastructure.processing import EventProcessing
from shipment_events.contract import names
from shipment_events.stages import StageSettings

GUARD_PERIOD_SECONDS: Final = 60
"""Lambda reports once a minute, and a canary has few of them."""

_CANARIES: Final = {
    10: codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_10_MINUTES,
    15: codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_15_MINUTES,
    30: codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_30_MINUTES,
}


class GuardedRollout(Construct):
    """CodeDeploy shifts the alias, and shifts it back as soon as an alarm on the new version goes off.

    The alarms see the new version only, and each version gets its own. Those of the whole function, or of
    the version before, would forbid the very deployment that mends what they are about, and the former would
    be diluted by the nine tenths that still run the old version.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        canary_minutes: int,
        processing: EventProcessing,
        monitoring: Monitoring,
    ) -> None:
        """Guard the alias of ``processing`` for ``canary_minutes``; the alarms notify like all others."""
        super().__init__(scope, construct_id)
        self._processing = processing
        version = processing.function.current_version.version
        alarms = [monitoring.add_alarm(spec) for spec in guard_specs(settings, version)]
        # The alias's update policy refers to the group and the group to the alarms, so they come before it.
        codedeploy.LambdaDeploymentGroup(
            self,
            "Group",
            alias=processing.alias,
            deployment_config=_CANARIES[canary_minutes],
            alarms=alarms,
            auto_rollback=codedeploy.AutoRollbackConfig(
                deployment_in_alarm=True, failed_deployment=True, stopped_deployment=True
            ),
            # CDK would add the AWS managed policy, which reaches every function of the account.
            role=self._build_role().without_policy_updates(),
        )

    def _build_role(self) -> iam.Role:
        function_arn = self._processing.function.function_arn
        return iam.Role(
            self,
            "Role",
            description="Exactly what CodeDeploy calls to shift the processor's alias",
            # https://docs.aws.amazon.com/codedeploy/latest/userguide/security_confused_deputy.html
            assumed_by=iam.ServicePrincipal(
                "codedeploy.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            ),
            # What AWSCodeDeployRoleForLambdaLimited allows, on this function, without hooks and files in S3:
            # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCodeDeployRoleForLambdaLimited.html
            inline_policies={
                "rollout": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            sid="ShiftAlias",
                            actions=[
                                "lambda:GetAlias",
                                "lambda:UpdateAlias",
                                "lambda:GetProvisionedConcurrencyConfig",
                            ],
                            resources=[function_arn, f"{function_arn}:*"],
                        ),
                        iam.PolicyStatement(
                            sid="ReadAlarms", actions=["cloudwatch:DescribeAlarms"], resources=["*"]
                        ),
                    ]
                )
            },
        )


def guard_specs(settings: StageSettings, version: str) -> list[AlarmSpec]:
    """Return the alarms that say that ``version`` is bad: each of them needs at most two minutes of it.

    Throttles are none of them: they are the account's, whichever version runs.
    """
    metrics = PipelineMetrics(settings.environment, period_seconds=GUARD_PERIOD_SECONDS)
    processor = names.processor_name(settings.environment)
    return [
        AlarmSpec(
            name="new-version-errors",
            of_version=version,
            urgency=Urgency.WARNING,
            metric=metrics.version(processor, version, "Errors", "Sum"),
            threshold=settings.canary_errors_threshold,
            # A value belongs to the minute in which its invocation began, and comes late if that timed out.
            within_periods=3,
            meaning="The newest version of the processor crashes or times out. A rollout takes it back.",
            look_at="the processor's log of that version for the exception.",
        ),
        AlarmSpec(
            name="new-version-failed",
            of_version=version,
            urgency=Urgency.WARNING,
            metric=metrics.version_failed(version),
            threshold=settings.canary_failed_threshold_percent,
            above=True,
            periods=2,
            within_periods=5,
            meaning="The newest version of the processor cannot store many events. A rollout takes it back.",
            look_at="the reasons of the newest dead letters, which can be redriven at once.",
        ),
        AlarmSpec(
            name="new-version-slow",
            of_version=version,
            urgency=Urgency.WARNING,
            metric=metrics.version(processor, version, "Duration", "Maximum"),
            threshold=settings.processor_timeout_seconds * 1000 * settings.duration_threshold_percent / 100,
            within_periods=3,
            meaning="A batch of the newest version takes nearly the whole timeout. A rollout takes it back.",
            look_at="the traces of that version.",
        ),
    ]
