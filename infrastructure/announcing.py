"""The bus on which the tracker announces the changes of shipments, and the archive of all changes."""

from aws_cdk import aws_events as events
from constructs import Construct

from shipment_events.contract import names
from shipment_events.stages import StageSettings


class ChangeAnnouncing(Construct):
    """Bus without rules: each subscriber has its own stack with a rule. The archive keeps each change."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        """Build bus and archive of the stage."""
        super().__init__(scope, construct_id)
        self.bus = events.EventBus(self, "Bus", event_bus_name=names.status_bus_name(settings.environment))
        self.archive = events.CfnArchive(
            self,
            "Archive",
            archive_name=names.status_archive_name(settings.environment),
            description="Every change of a shipment, for replays",
            source_arn=self.bus.event_bus_arn,
            retention_days=settings.archive_retention_days,
        )
