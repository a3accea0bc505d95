"""A queue that subscribes to the status bus of the stack on the engine, as a consumer's queue does."""

import json
from typing import TYPE_CHECKING, Any, Final

from shipment_events.contract import names
from workbench.engine.clients import LOCAL_CONFIG, local_session

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

_NAME: Final = "shipmentstatus-subscriber"


def subscribe(endpoint: str, environment: str) -> str:
    """Make the queue and its rule, or empty the queue that there is.

    Returns:
        The URL of the queue; empty if the stage does not track shipments.
    """
    session: Any = local_session()
    sqs: SQSClient = session.client("sqs", endpoint_url=endpoint, config=LOCAL_CONFIG)
    events: EventBridgeClient = session.client("events", endpoint_url=endpoint, config=LOCAL_CONFIG)
    name, bus = f"{_NAME}-{environment}", names.status_bus_name(environment)
    if not events.list_event_buses(NamePrefix=bus)["EventBuses"]:
        return ""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.purge_queue(QueueUrl=url)
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": [names.CHANGE_SOURCE]})
    events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    return url
