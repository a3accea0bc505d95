"""(c) as its documentation has it watched: besides, a log line an event and a count of what was stored.

https://docs.aws.amazon.com/powertools/python/latest/utilities/batch/ logs each record, whole even; here it is
the shortest line that names the event.
"""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from benchmarks.processor.handlers.items import read_event
from benchmarks.processor.handlers.powertools import config, store

_logger = Logger(service="shipment-event-processor")
_metrics = Metrics(namespace="ShipmentEvents", service="shipment-event-processor")
_processor = BatchProcessor(event_type=EventType.SQS)


def _handle_record(record: SQSRecord) -> None:
    store(event=read_event(record.raw_event))
    _metrics.add_metric(name="Stored", unit=MetricUnit.Count, value=1)
    _logger.info("event stored", correlation_id=record.json_body["id"])


@_logger.inject_lambda_context  # type: ignore[untyped-decorator]
@_metrics.log_metrics  # type: ignore[untyped-decorator]
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Store each record."""
    config.register_lambda_context(context)
    return dict(
        process_partial_response(
            event=event, record_handler=_handle_record, processor=_processor, context=context
        )
    )
