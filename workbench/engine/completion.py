"""Creates resources and settings that the engine's CloudFormation does not support."""

import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from shipment_events.aws_errors import error_code
from workbench.engine.clients import LOCAL_CONFIG
from workbench.engine.template import Prepared, fill_in


def complete(
    session: boto3.Session,
    endpoint: str,
    prepared: Prepared,
    outputs: Mapping[str, str],
    physical_ids: Mapping[str, str],
) -> None:
    """Create and set through the services' own APIs what the deploy left out.

    ``outputs`` are those of the deployed stack, ``physical_ids`` its resources by logical id. Safe to repeat.
    """
    for archive in prepared.archives:
        _put_archive(session, endpoint, fill_in(archive, outputs))
    for logical_id, resource in prepared.template["Resources"].items():
        if resource["Type"] == "AWS::DynamoDB::Table":
            _set_table(session, endpoint, physical_ids[logical_id], resource["Properties"])


def _put_archive(session: boto3.Session, endpoint: str, properties: Mapping[str, Any]) -> None:
    events = session.client("events", endpoint_url=endpoint, config=LOCAL_CONFIG)
    name = properties["ArchiveName"]
    wanted: dict[str, Any] = {
        key: properties[key] for key in ("Description", "RetentionDays") if key in properties
    }
    if "EventPattern" in properties:
        wanted["EventPattern"] = json.dumps(properties["EventPattern"])
    try:
        events.create_archive(ArchiveName=name, EventSourceArn=properties["SourceArn"], **wanted)
    except ClientError as error:
        # An earlier deploy created it, or an earlier request whose answer was lost.
        if error_code(error) != "ResourceAlreadyExistsException":
            raise
        events.update_archive(ArchiveName=name, **wanted)


def _set_table(session: boto3.Session, endpoint: str, table: str, properties: Mapping[str, Any]) -> None:
    dynamodb = session.client("dynamodb", endpoint_url=endpoint, config=LOCAL_CONFIG)
    time_to_live = properties.get("TimeToLiveSpecification")
    if time_to_live is not None:
        current = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        # AWS refuses to enable it twice, and a later engine may refuse it as well.
        if (current.get("TimeToLiveStatus") == "ENABLED") != time_to_live["Enabled"]:
            dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=time_to_live)
    recovery = properties.get("PointInTimeRecoverySpecification")
    if recovery is not None:
        dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
