"""The key of the stage, for what the services' own keys cannot serve."""

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from shipment_events.contract import names
from shipment_events.stages import StageSettings


class StageKey(Construct):
    """One key, rotated every year, for alarm topics and logs: a second one would cost as much again."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        """Build the key of the stage."""
        super().__init__(scope, construct_id)
        self._settings = settings
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
        self._allow_alarms()
        self._allow_logs()

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

    def _allow_logs(self) -> None:
        # Actions and condition are those of the documentation; the ARN is text, since the group refers to the
        # key already:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        log_group_arn = Stack.of(self).format_arn(
            service="logs",
            resource=f"log-group:{names.log_group_name(self._settings.environment)}",
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AllowLogs",
                principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.amazonaws.com")],
                actions=[
                    "kms:Encrypt*",
                    "kms:Decrypt*",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:Describe*",
                ],
                resources=["*"],
                conditions={"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": log_group_arn}},
            )
        )
