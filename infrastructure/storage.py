"""The table of all events, and its index by status."""

from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infrastructure.retention import removal_policy
from infrastructure.tables import text_attribute, tls_only_policy
from shipment_events.contract import names
from shipment_events.stages import StageSettings


class EventStorage(Construct):
    """Table of events: encrypted, recoverable to any second of 35 days, retained without the stack."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        """Build the table of the stage."""
        super().__init__(scope, construct_id)
        self._settings = settings
        self.table = self._build_table()
        self._build_status_index()

    def _build_table(self) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            "Table",
            table_name=names.table_name(self._settings.environment),
            partition_key=text_attribute(names.PARTITION_KEY),
            sort_key=text_attribute(names.SORT_KEY),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            table_class=(
                dynamodb.TableClass.STANDARD_INFREQUENT_ACCESS
                if self._settings.infrequent_access
                else dynamodb.TableClass.STANDARD
            ),
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            warm_throughput=self._warm_throughput(),
            time_to_live_attribute=names.TTL_ATTRIBUTE,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            resource_policy=tls_only_policy(self, names.table_name(self._settings.environment)),
            deletion_protection=self._settings.deletion_protection,
            removal_policy=removal_policy(self._settings),
        )

    def _build_status_index(self) -> None:
        self.table.add_global_secondary_index(
            index_name=names.STATUS_INDEX,
            partition_key=text_attribute(names.STATUS_ATTRIBUTE),
            sort_key=text_attribute(names.SORT_KEY),
            projection_type=dynamodb.ProjectionType.ALL,
            warm_throughput=self._warm_throughput(),
        )

    def _warm_throughput(self) -> dynamodb.WarmThroughput | None:
        units = self._settings.warm_write_units
        return None if units is None else dynamodb.WarmThroughput(write_units_per_second=units)
