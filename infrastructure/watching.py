"""The function that announces stalled and overdue shipments, and its schedule."""

import json
from datetime import timedelta
from typing import Final

from aws_cdk import Stack, aws_events
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infrastructure.bundled_function import BundledFunction
from infrastructure.encryption import StageKey
from infrastructure.log_metrics import WATCHER_METRICS, LogMetrics
from shipment_events.contract import names
from shipment_events.stages import StageSettings
from shipment_events.tracking.watcher_settings import WatcherSettings

BUNDLED_ROOMS: Final = ("contract", "function", "publishing", "table", "tracking")

SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"
"""EventBridge Scheduler puts the time of the run here:
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""


class Watcher(BundledFunction):
    """The watcher: on each run it looks at all open shipments, and announces new delays.

    It has no queue for runs that fail. A run marks only what it announced, so the next run finds the rest.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        key: StageKey,
        shipments: dynamodb.Table,
        bus: aws_events.EventBus,
    ) -> None:
        """Build the watcher of the stage."""
        super().__init__(
            scope,
            construct_id,
            settings=settings,
            key=key,
            name=names.watcher_name(settings.environment),
            called="watcher",
            description="Announces stalled and overdue shipments",
            handler="tracking.watcher_handler.handler",
            rooms=BUNDLED_ROOMS,
            statements=_permissions(shipments, bus),
            environment=WatcherSettings(
                environment=settings.environment,
                shipments_table_name=shipments.table_name,
                status_bus_name=bus.event_bus_name,
                retention=timedelta(days=settings.event_retention_days),
                stalled_after_hours=settings.stalled_after_hours,
            ).variables(),
            memory_mb=settings.watcher_memory_mb,
            timeout_seconds=settings.watcher_timeout_seconds,
        )
        LogMetrics(self, "LogMetrics", of=self, metrics=WATCHER_METRICS)
        self.schedule = self._build_schedule(settings)

    def _build_schedule(self, settings: StageSettings) -> scheduler.CfnSchedule:
        # A schedule of EventBridge Scheduler uses a role. A scheduled rule would need a permission on the
        # function itself.
        return scheduler.CfnSchedule(
            self,
            "Schedule",
            name=self.name,
            description="Runs of the watcher",
            schedule_expression=f"rate({settings.watcher_minutes} minutes)",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=self.alias.function_arn,
                role_arn=self._build_caller().role_arn,
                input=json.dumps({"time": SCHEDULED_TIME}),
                # The next run does all that this one would do.
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=settings.watcher_minutes * 60
                ),
            ),
        )

    def _build_caller(self) -> iam.Role:
        account = Stack.of(self).account
        # A trust policy names the group, because the schedule needs the role first:
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        group = Stack.of(self).format_arn(service="scheduler", resource="schedule-group/default")
        return iam.Role(
            self,
            "Caller",
            description="Lets the schedule invoke the shipment event watcher",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": account, "aws:SourceArn": group}},
            ),
            inline_policies={
                "invoke": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            sid="InvokeWatcher",
                            actions=["lambda:InvokeFunction"],
                            resources=[self.alias.function_arn],
                        )
                    ]
                )
            },
        )


def _permissions(shipments: dynamodb.Table, bus: aws_events.EventBus) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            sid="FindOpenShipments",
            actions=["dynamodb:Query"],
            resources=[f"{shipments.table_arn}/index/{names.OPEN_INDEX}"],
        ),
        iam.PolicyStatement(
            sid="MarkDelays",
            actions=["dynamodb:BatchGetItem", "dynamodb:PartiQLUpdate"],
            resources=[shipments.table_arn],
        ),
        iam.PolicyStatement(
            sid="AnnounceDelays", actions=["events:PutEvents"], resources=[bus.event_bus_arn]
        ),
    ]
