"""Entry point of the function. Clients are created once per container; each call settles one batch."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from shipment_events.function.clients import FunctionClients
from shipment_events.function.direct_client import DirectDynamoDBClient
from shipment_events.processor.batch import BatchProcessor
from shipment_events.processor.records import Record, Retried
from shipment_events.processor.retries import RetryPolicy
from shipment_events.processor.settings import CONNECT_SHARE, READ_SHARE, ProcessorSettings
from shipment_events.processor.telemetry import report_batch
from shipment_events.table.item import without_event
from shipment_events.table.store import EventTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from shipment_events.function.context import LambdaContext


def handler(event: Mapping[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Settle a batch of the queue and return the records that must be retried.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html describes the response.
    """
    settled = _PROCESSOR.process(
        [Record.from_lambda(record) for record in event["Records"]],
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    report_batch(settled, _SETTINGS.environment, context.aws_request_id, context.function_version)
    return {
        "batchItemFailures": [
            {"itemIdentifier": result.record.message_id} for result in settled if isinstance(result, Retried)
        ]
    }


def _build_processor(settings: ProcessorSettings) -> BatchProcessor:
    clients = FunctionClients(
        connect_timeout=settings.visibility_timeout * CONNECT_SHARE,
        read_timeout=settings.visibility_timeout * READ_SHARE,
    )
    direct = DirectDynamoDBClient(clients.make("dynamodb"), clients.session, without_event)
    return BatchProcessor(
        table=EventTable(
            cast("DynamoDBClient", direct),
            settings.table_name,
            shards=settings.status_index_shards,
            run_statements=direct.run_statements,
        ),
        retention=settings.retention,
        sqs=clients.make("sqs", attempts=2),
        queue_url=settings.queue_url,
        dead_letter_queue_url=settings.dead_letter_queue_url,
        policy=RetryPolicy.within(settings.visibility_timeout),
    )


_SETTINGS = ProcessorSettings.from_environment(os.environ)
_PROCESSOR = _build_processor(_SETTINGS)
