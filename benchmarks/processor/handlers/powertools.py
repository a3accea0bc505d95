"""(c) Powertools for AWS Lambda: Batch, and Idempotency for each record.

https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/ shows the two together.
"""

import os
from typing import Any

import boto3
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

from benchmarks.processor.handlers.items import build_item, read_event

_table = boto3.resource("dynamodb").Table(os.environ["EVENTS_TABLE_NAME"])
_processor = BatchProcessor(event_type=EventType.SQS)
config = IdempotencyConfig(event_key_jmespath="[shipment_id, event_timestamp, event_id]")


@idempotent_function(  # type: ignore[untyped-decorator]
    data_keyword_argument="event",
    config=config,
    persistence_store=DynamoDBPersistenceLayer(table_name=f"{os.environ['EVENTS_TABLE_NAME']}-idempotency"),
)
def store(event: dict[str, Any]) -> None:
    """Write an event that was not seen before."""
    _table.put_item(Item=build_item(event))


def _handle_record(record: SQSRecord) -> None:
    store(event=read_event(record.raw_event))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Store each record."""
    config.register_lambda_context(context)
    return dict(
        process_partial_response(
            event=event, record_handler=_handle_record, processor=_processor, context=context
        )
    )
