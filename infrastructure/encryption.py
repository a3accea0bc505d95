"""The key of the stage, for what the services' own keys cannot serve."""

from typing import Final

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from shipment_events.contract import names
from shipment_events.stages import StageSettings

_LOG_GROUP: Final = "kms:EncryptionContext:aws:logs:arn"


class StageKey(Construct):
    """One key, rotated every year, for alarm topics and logs: a second one would cost as much again."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        """Build the key of the stage."""
        super().__init__(scope, construct_id)
        # CloudWatch cannot publish to a topic under the AWS managed key, whose policy nobody can change:
        # https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns
        self.key = kms.Key(
            self,
            "Key",
            description=f"Alarm topics and logs of {names.stack_name(settings.environment)}",
            enable_key_rotation=True,
            # No event is encrypted with it, so there is none to lose with the key.
            removal_policy=RemovalPolicy.DESTROY,
        )
        self._log_groups: list[str] = []
        self._allow_alarms()
        self._logs = self._allow_logs()
        self._limit_grants()

    def _allow_alarms(self) -> None:
        # No condition on the caller: which alarms may publish is the topic policy's business, and a condition
        # that CloudWatch does not meet would silence every alarm without a sign.
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AllowAlarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
            )
        )

    def _allow_logs(self) -> iam.PolicyStatement:
        # Actions and condition are those of the documentation:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        statement = iam.PolicyStatement(
            sid="AllowLogs",
            # Logs has a principal for each region, under the domain of the partition.
            principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.{Aws.URL_SUFFIX}")],
            actions=[
                "kms:Encrypt*",
                "kms:Decrypt*",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:Describe*",
            ],
            resources=["*"],
            # For no log group, until ``allow_logs`` names one.
            conditions={"ArnEquals": {_LOG_GROUP: self._log_groups}},
        )
        self.key.add_to_resource_policy(statement)
        return statement

    def allow_logs(self, log_group_name: str) -> None:
        """Let CloudWatch Logs use the key for this log group, too."""
        # The ARN is text, because the group refers to the key already.
        self._log_groups.append(
            Stack.of(self).format_arn(service="logs", resource=f"log-group:{log_group_name}")
        )
        arns = self._log_groups if len(self._log_groups) > 1 else self._log_groups[0]
        self._logs.add_condition("ArnEquals", {_LOG_GROUP: arns})

    def _limit_grants(self) -> None:
        # A grant is a way to the key that no policy shows, so only AWS services may create one. The statement
        # is that of AWS Control Tower's rule for key policies, CT.KMS.PV.1.
        # https://docs.aws.amazon.com/controltower/latest/controlreference/kms-rules.html
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="GrantsForServicesOnly",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["kms:CreateGrant"],
                resources=["*"],
                conditions={
                    "BoolIfExists": {
                        "kms:GrantIsForAWSResource": "false",
                        "aws:PrincipalIsAWSService": "false",
                    }
                },
            )
        )
