"""Finds the table and queues that a deleted stack retained, for ``cdk import`` in ``make adopt``.

https://docs.aws.amazon.com/cdk/v2/guide/ref-cli-cmd-import.html
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infrastructure.first_deploy import cdk_region

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


class MissingQueueError(Exception):
    """A queue cannot be adopted without its dead-letter queue. The message says what to do."""


def retained(
    template: Mapping[str, Any], dynamodb: "DynamoDBClient", sqs: "SQSClient"
) -> dict[str, dict[str, str]]:
    """Identifier of each existing table and queue of the template, by logical id.

    Raises:
        MissingQueueError: a queue exists, but its dead-letter queue does not.
        botocore.exceptions.ClientError: the service cannot look one of them up.
    """
    found: dict[str, dict[str, str]] = {}
    for logical_id, resource in template["Resources"].items():
        try:
            if resource["Type"] == "AWS::DynamoDB::Table":
                name = resource["Properties"]["TableName"]
                dynamodb.describe_table(TableName=name)
                found[logical_id] = {"TableName": name}
            elif resource["Type"] == "AWS::SQS::Queue":
                name = resource["Properties"]["QueueName"]
                found[logical_id] = {"QueueUrl": sqs.get_queue_url(QueueName=name)["QueueUrl"]}
        except (dynamodb.exceptions.ResourceNotFoundException, sqs.exceptions.QueueDoesNotExist):
            # A failed first deploy may have left only some of them. The next deploy creates the others.
            continue
    _check_references(template, found)
    return found


def _check_references(template: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse a queue whose dead-letter queue is missing: an import cannot create what the queue refers to."""
    for logical_id in found:
        redrive = template["Resources"][logical_id]["Properties"].get("RedrivePolicy", {})
        target = redrive.get("deadLetterTargetArn", {}).get("Fn::GetAtt", [None])[0]
        if target is not None and target not in found:
            queue, dead_letters = (
                template["Resources"][each]["Properties"]["QueueName"] for each in (logical_id, target)
            )
            raise MissingQueueError(
                f"{queue} can only be adopted together with its dead-letter queue {dead_letters}, which does"
                " not exist. Create it, then run this again:"
                f" aws sqs create-queue --queue-name {dead_letters}"
            )


def main() -> None:
    """Read the template of the first argument, and write the mapping to the file of the second."""
    template, mapping = map(Path, sys.argv[1:])
    session = boto3.Session(region_name=cdk_region())
    try:
        found = retained(json.loads(template.read_text()), session.client("dynamodb"), session.client("sqs"))
    except (BotoCoreError, ClientError, MissingQueueError) as error:
        sys.exit(f"error: {error}")
    if not found:
        sys.exit("error: no table and no queue exists, so there is nothing to adopt. Run: make deploy")
    mapping.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
