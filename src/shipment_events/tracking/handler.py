"""Entry point of the tracker: clients are made once a container, each call tracks one batch of records."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.session
from botocore.config import Config

from shipment_events.table.store import EventTable
from shipment_events.tracking.announcer import Announcer
from shipment_events.tracking.settings import TrackerSettings
from shipment_events.tracking.store import ShipmentTable
from shipment_events.tracking.telemetry import report_batch
from shipment_events.tracking.tracker import Tracker

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

    from shipment_events.processor.handler import LambdaContext

# In seconds; see the tracker's reserve.
CONNECT_TIMEOUT: Final = 1
READ_TIMEOUT: Final = 3


def handler(event: Mapping[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Track a batch of the stream and name the first record that must come back.

    Lambda sends again that one and all after it, whatever became of those.

    https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html describes the answer.
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
    # botocore alone: the runtime has it, and it makes a client in three quarters of boto3's time.
    session = botocore.session.get_session()
    # Retries are the tracker's: botocore knows nothing of failed statements and entries in a 200.
    once, twice = _client_config(attempts=1), _client_config(attempts=2)
    dynamodb = cast("DynamoDBClient", session.create_client("dynamodb", config=once))
    events = cast("EventBridgeClient", session.create_client("events", config=once))
    sqs = cast("SQSClient", session.create_client("sqs", config=twice))
    return Tracker(
        shipments=ShipmentTable(dynamodb, settings.shipments_table_name, settings.retention),
        events=EventTable(dynamodb, settings.events_table_name, settings.retention),
        announcer=Announcer(events, settings.status_bus_name),
        sqs=sqs,
        failures_queue_url=settings.failures_queue_url,
    )


def _client_config(*, attempts: int) -> Config:
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"total_max_attempts": attempts},
        tcp_keepalive=True,
        # Parameters are made from a fixed shape by typed code; the check takes much of a batch's CPU time.
        parameter_validation=False,
    )


_SETTINGS = TrackerSettings.from_environment(os.environ)
_TRACKER = _build_tracker(_SETTINGS)
