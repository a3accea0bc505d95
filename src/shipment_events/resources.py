"""Find a deployed stack's resources by its outputs."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shipment_events.contract import names
from shipment_events.errors import NotDeployedError
from shipment_events.queue.timing import AWS_TIMING, EXACT_TIMING, QueueTiming

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


class StackNotFoundError(NotDeployedError):
    """The stack does not exist, or lacks an output."""


class TrackingNotDeployedError(NotDeployedError):
    """The stack has no states of shipments."""

    def __init__(self, stage: str) -> None:
        super().__init__(
            f"stage {stage} does not track shipments: its stack has no table of their states",
            stage,
            first="In stages.py, tracking must not be False for the stage. ",
        )


class ApiNotDeployedError(NotDeployedError):
    """The stack has no HTTP API."""

    def __init__(self, stage: str) -> None:
        super().__init__(
            f"stage {stage} has no HTTP API",
            stage,
            first="In stages.py, neither tracking nor api must be False for the stage. ",
        )


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of a stack.

    Attributes:
        deployed_at: when the stack was created or last updated.
        status_index_shards: number of index partitions of each status; None if the index is not sharded.
        timing: how long the counts of the queues can be out of date. The local engine's are exact.
        api_url: None if the stage has no HTTP API.
        shipments_table_name: None if the stage does not track shipments. So is ``status_bus_name``.
    """

    event_bus_name: str
    archive_name: str
    queue_url: str
    dead_letter_queue_url: str
    table_name: str
    deployed_at: datetime
    status_index_shards: int | None = None
    timing: QueueTiming = AWS_TIMING
    shipments_table_name: str | None = None
    status_bus_name: str | None = None
    api_url: str | None = None


def find_resources(client: "CloudFormationClient", environment: str) -> Resources:
    """Read the outputs of a stage's stack.

    Raises:
        StackNotFoundError: the client's account and region have no such stack, or it lacks an output.
        botocore.exceptions.ClientError: the stack cannot be read.
    """
    name = names.stack_name(environment)
    try:
        stacks = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            raise StackNotFoundError(f"no stack {name} at {client.meta.endpoint_url}", environment) from error
        raise
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}
    shards = outputs.get(names.OUTPUT_STATUS_INDEX_SHARDS)
    try:
        return Resources(
            event_bus_name=outputs[names.OUTPUT_EVENT_BUS_NAME],
            archive_name=outputs[names.OUTPUT_ARCHIVE_NAME],
            queue_url=outputs[names.OUTPUT_QUEUE_URL],
            dead_letter_queue_url=outputs[names.OUTPUT_DEAD_LETTER_QUEUE_URL],
            table_name=outputs[names.OUTPUT_TABLE_NAME],
            deployed_at=stacks[0].get("LastUpdatedTime") or stacks[0]["CreationTime"],
            status_index_shards=int(shards) if shards else None,
            timing=EXACT_TIMING if outputs.get(names.OUTPUT_EXACT_COUNTS) == "true" else AWS_TIMING,
            shipments_table_name=outputs.get(names.OUTPUT_SHIPMENTS_TABLE_NAME),
            status_bus_name=outputs.get(names.OUTPUT_STATUS_BUS_NAME),
            api_url=outputs.get(names.OUTPUT_API_URL),
        )
    except KeyError as error:
        raise StackNotFoundError(
            f"stack {name} at {client.meta.endpoint_url} has no output {error}: its deployment is incomplete",
            environment,
        ) from error
