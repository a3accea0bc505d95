"""Find a deployed stack's resources by its outputs."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shipment_events.contract import names

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


class StackNotFoundError(Exception):
    """The stack is not there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the operations need of a stack.

    Attributes:
        deployed_at: when it was last created or updated.
        status_index_shards: over which a status is spread in the index; None where it is not.
    """

    event_bus_name: str
    archive_name: str
    queue_url: str
    dead_letter_queue_url: str
    processor_arn: str
    table_name: str
    deployed_at: datetime
    status_index_shards: int | None = None


def find_resources(client: "CloudFormationClient", environment: str) -> Resources:
    """Read the outputs of a stage's stack.

    Raises:
        StackNotFoundError: there is no such stack where the client looks.
        botocore.exceptions.ClientError: it cannot be read.
    """
    name = names.stack_name(environment)
    try:
        stacks = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            raise StackNotFoundError(_missing(name, client.meta.endpoint_url, environment)) from error
        raise
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}
    shards = outputs.get(names.OUTPUT_STATUS_INDEX_SHARDS)
    try:
        return Resources(
            event_bus_name=outputs[names.OUTPUT_EVENT_BUS_NAME],
            archive_name=outputs[names.OUTPUT_ARCHIVE_NAME],
            queue_url=outputs[names.OUTPUT_QUEUE_URL],
            dead_letter_queue_url=outputs[names.OUTPUT_DEAD_LETTER_QUEUE_URL],
            processor_arn=outputs[names.OUTPUT_PROCESSOR_ARN],
            table_name=outputs[names.OUTPUT_TABLE_NAME],
            deployed_at=stacks[0].get("LastUpdatedTime") or stacks[0]["CreationTime"],
            status_index_shards=int(shards) if shards else None,
        )
    except KeyError as error:
        raise StackNotFoundError(
            f"stack {name} at {client.meta.endpoint_url} has no output {error}: it is not deployed whole"
        ) from error


def _missing(name: str, endpoint: str, environment: str) -> str:
    return (
        f"no stack {name} at {endpoint}. Deploy it with 'make up' (local engine) or"
        f" 'make deploy ENV={environment}' (AWS), or name another stage with --env."
    )
