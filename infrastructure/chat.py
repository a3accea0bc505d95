"""Alarms in a Slack channel, by Amazon Q Developer in chat applications (AWS Chatbot until 2025)."""

from collections.abc import Sequence

from aws_cdk import aws_chatbot as chatbot
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from shipment_events.contract import names
from shipment_events.stage_options import SlackChannel


class ChatNotifications(Construct):
    """Shows the messages of ``topics`` in the channel.

    The service subscribes itself. It needs no permission on the stage's key, because SNS decrypts a message
    before it delivers it.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: str,
        channel: SlackChannel,
        topics: Sequence[sns.ITopic],
    ) -> None:
        """Subscribe the channel. Its workspace has to be connected to the account by hand before."""
        super().__init__(scope, construct_id)
        chatbot.SlackChannelConfiguration(
            self,
            "Slack",
            slack_channel_configuration_name=f"{names.stack_name(environment)}-alarms",
            slack_workspace_id=channel.workspace_id,
            slack_channel_id=channel.channel_id,
            notification_topics=list(topics),
            role=self._build_role(),
            # The guardrail limits what the channel can do, even if the role gets more permissions. The
            # default is AdministratorAccess:
            # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-chatbot-slackchannelconfiguration.html
            guardrail_policies=[iam.ManagedPolicy.from_aws_managed_policy_name("CloudWatchReadOnlyAccess")],
        )

    def _build_role(self) -> iam.Role:
        return iam.Role(
            self,
            "Role",
            description="What Amazon Q Developer reads to draw an alarm into the channel",
            assumed_by=iam.ServicePrincipal("chatbot.amazonaws.com"),
            inline_policies={
                "alarms": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            sid="DrawAlarms",
                            actions=["cloudwatch:DescribeAlarms", "cloudwatch:GetMetricWidgetImage"],
                            resources=["*"],
                        )
                    ]
                )
            },
        )
