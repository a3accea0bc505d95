"""Entry point of the tracker. Each call tracks one batch; the clients are made once per container."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from shipment_events.function.clients import FunctionClients
from shipment_events.function.direct_client import DirectDynamoDBClient
from shipment_events.table.store import EventTable
from shipment_events.tracking.announcer import Announcer
from shipment_events.tracking.settings import TrackerSettings
from shipment_events.tracking.store import ShipmentTable
from shipment_events.tracking.telemetry import report_batch
from shipment_events.tracking.tracker import Tracker

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from shipment_events.function.context import LambdaContext

# Seconds; see ``Patience.reserve``.
CONNECT_TIMEOUT: Final = 1
READ_TIMEOUT: Final = 3


def handler(event: Mapping[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Track a batch of the stream, and return the first record that failed.

    Lambda retries the batch from this record, including later records that did not fail:
    https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
    """
    tracking = _TRACKER.track(
        event["Records"], seconds_left=lambda: context.get_remaining_time_in_millis() / 1000
    )
    report_batch(tracking, _SETTINGS.environment, context.aws_request_id, context.function_version)
    unsettled = {sequence_number for sequence_number, _ in tracking.unsettled}
    in_order = (record["dynamodb"]["SequenceNumber"] for record in event["Records"] if unsettled)
    first = next((number for number in in_order if number in unsettled), None)
    return {"batchItemFailures": [] if first is None else [{"itemIdentifier": first}]}


def _build_tracker(settings: TrackerSettings) -> Tracker:
    clients = FunctionClients(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT)
    # Half of a batch's CPU time would be botocore's conversion of items.
    direct = DirectDynamoDBClient(clients.make("dynamodb"), clients.session)
    client = cast("DynamoDBClient", direct)
    return Tracker(
        shipments=ShipmentTable(
            client,
            settings.shipments_table_name,
            settings.retention,
            run_statements=direct.run_statements,
        ),
        events=EventTable(client, settings.events_table_name),
        announcer=Announcer(clients.make("events"), settings.status_bus_name),
        sqs=clients.make("sqs", attempts=2),
        failures_queue_url=settings.failures_queue_url,
    )


_SETTINGS = TrackerSettings.from_environment(os.environ)
_TRACKER = _build_tracker(_SETTINGS)
