"""The rollout of a new version: a tenth of the batches first, and a rollback if its alarms go off."""

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
"""Lambda reports metrics once a minute, and a canary lasts only minutes."""

_CANARIES: Final = {
    10: codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_10_MINUTES,
    15: codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_15_MINUTES,
    30: codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_30_MINUTES,
}


class GuardedRollout(Construct):
    """CodeDeploy shifts the alias, and shifts it back as soon as an alarm on the new version goes off.

    Each version has its own alarms, which see only that version. An alarm on the old version or on the whole
    function would stop the deployment that repairs it. An alarm on the whole function would also hide errors
    of the new version, because the old one still handles nine tenths of the batches.
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
        """Guard the alias of ``processing`` for ``canary_minutes``. The alarms notify like all others."""
        super().__init__(scope, construct_id)
        self._processing = processing
        version = processing.function.current_version.version
        alarms = [monitoring.add_alarm(spec) for spec in guard_specs(settings, version)]
        # The update policy of the alias refers to the group, and the group refers to the alarms. So
        # CloudFormation creates the alarms first.
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
            # The actions of AWSCodeDeployRoleForLambdaLimited, on this function only, without hooks and files
            # in S3:
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
    """Return the alarms on ``version``. Each goes off after at most two bad minutes.

    There is no alarm on throttles, because they depend on the account and not on the version.
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
            # A value belongs to the minute in which its invocation began, so it comes late after a timeout.
            within_periods=3,
            meaning="The newest version of the processor crashes or times out. A rollout rolls back.",
            look_at="the exception in the processor's log of that version.",
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
            meaning="The newest version of the processor does not store many events. A rollout rolls back.",
            look_at="the reasons of the newest dead letters. Redrive them after the rollback.",
        ),
        AlarmSpec(
            name="new-version-slow",
            of_version=version,
            urgency=Urgency.WARNING,
            metric=metrics.version(processor, version, "Duration", "Maximum"),
            threshold=settings.processor_timeout_seconds * 1000 * settings.duration_threshold_percent / 100,
            within_periods=3,
            meaning="A batch of the newest version took nearly the whole timeout. A rollout rolls back.",
            look_at="the traces of that version.",
        ),
    ]
