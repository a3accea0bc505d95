"""The table of the current state of each shipment, and its indexes."""

from typing import Final

from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infrastructure.retention import removal_policy
from infrastructure.tables import text_attribute, tls_only_policy
from shipment_events.contract import names
from shipment_events.stages import StageSettings

SHOWN: Final = (
    "status", "status_at", "latest_at", "latest_event", "first_at", "carrier", "tracking_number",
    "estimated_delivery", "delivered_at",
)  # fmt: skip
"""Attributes that readers show. The indexes have them, so that a list needs no second request.

The indexes do not have the tracker's memory. It can be larger than all else, and each event writes an item
twice to each index. DynamoDB bills each write by the kilobyte. The projection of an index cannot change in
place.
"""


class ShipmentStorage(Construct):
    """Table of shipments: encrypted, recoverable to any second of 35 days, retained without the stack."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        """Build the table of the stage."""
        super().__init__(scope, construct_id)
        name = names.shipments_table_name(settings.environment)
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=name,
            partition_key=text_attribute(names.PARTITION_KEY),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            # Each event writes here several times, and a state is small. So writes cost more than storage,
            # and the other class would cost more.
            table_class=dynamodb.TableClass.STANDARD,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            time_to_live_attribute=names.TTL_ATTRIBUTE,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            resource_policy=tls_only_policy(self, name),
            deletion_protection=settings.deletion_protection,
            removal_policy=removal_policy(settings),
        )
        for index, partition_key in names.SHIPMENT_INDEX_KEYS.items():
            self._build_index(index, partition_key)

    def _build_index(self, name: str, partition_key: str) -> None:
        self.table.add_global_secondary_index(
            index_name=name,
            partition_key=text_attribute(partition_key),
            sort_key=text_attribute(names.LATEST_ATTRIBUTE),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            # An index has its keys anyway.
            non_key_attributes=[
                each for each in SHOWN if each not in (partition_key, names.LATEST_ATTRIBUTE)
            ],
        )
