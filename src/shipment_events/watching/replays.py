"""Requests to EventBridge about archives and replays. No other module makes them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import ReplayDestinationTypeDef


class ReplayState(StrEnum):
    """States of a replay.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeReplay.html
    """

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether the replay is over."""
        return self in (ReplayState.COMPLETED, ReplayState.CANCELLED, ReplayState.FAILED)


@dataclass(frozen=True, slots=True)
class ArchiveContent:
    """The description of an archive.

    Attributes:
        bus_arn: ARN of the bus whose events it holds.
        retention_days: 0 if events are kept indefinitely.
        event_count: number of events; EventBridge updates it with a delay.
        size_bytes: total size of the events.
    """

    arn: str
    bus_arn: str
    retention_days: int
    event_count: int
    size_bytes: int
    created_at: datetime

    @property
    def bus_name(self) -> str:
        """Name of the bus."""
        return self.bus_arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Replay:
    """The state of a replay.

    Attributes:
        reason: why it is in this state, or empty.
        replayed_until: time of the last event that was replayed; None before the first.
    """

    state: ReplayState
    reason: str
    replayed_until: datetime | None


def describe_archive(client: "EventBridgeClient", name: str) -> ArchiveContent:
    """Describe an archive.

    Raises:
        botocore.exceptions.ClientError: the archive does not exist or cannot be read.
    """
    answer = client.describe_archive(ArchiveName=name)
    return ArchiveContent(
        arn=answer["ArchiveArn"],
        bus_arn=answer["EventSourceArn"],
        retention_days=answer.get("RetentionDays", 0),
        event_count=answer.get("EventCount", 0),
        size_bytes=answer.get("SizeBytes", 0),
        created_at=answer["CreationTime"],
    )


def start_replay(
    client: "EventBridgeClient",
    archive: ArchiveContent,
    name: str,
    since: datetime,
    until: datetime,
    *,
    rule_name: str | None,
) -> None:
    """Start a replay of a window to the archive's own bus.

    A response can be lost after the replay started. If a replay with this name exists, the start succeeded.

    Args:
        name: must be unique to this start.
        rule_name: the only rule that receives the events, or None for all rules.

    Raises:
        botocore.exceptions.ClientError: the replay cannot be started.
        botocore.exceptions.BotoCoreError: no response came, and the replay was not found.
    """
    destination: ReplayDestinationTypeDef = {"Arn": archive.bus_arn}
    if rule_name:
        destination["FilterArns"] = [f"{archive.bus_arn.replace(':event-bus/', ':rule/')}/{rule_name}"]
    try:
        client.start_replay(
            ReplayName=name,
            EventSourceArn=archive.arn,
            EventStartTime=since,
            EventEndTime=until,
            Destination=destination,
        )
    except (ClientError, BotoCoreError) as error:
        if error_code(error) != "ResourceAlreadyExistsException" and not _is_there(client, name):
            raise


def _is_there(client: "EventBridgeClient", name: str) -> bool:
    try:
        describe_replay(client, name)
    except (ClientError, BotoCoreError):
        return False
    return True


def describe_replay(client: "EventBridgeClient", name: str) -> Replay:
    """Describe a replay.

    Raises:
        botocore.exceptions.ClientError: the replay does not exist or cannot be read.
    """
    answer = client.describe_replay(ReplayName=name)
    return Replay(
        state=ReplayState(answer["State"]),
        reason=answer.get("StateReason", ""),
        replayed_until=answer.get("EventLastReplayedTime"),
    )


def is_rule_enabled(client: "EventBridgeClient", bus_name: str, name: str) -> bool | None:
    """Whether a rule of a bus is enabled; None if there is no such rule.

    Raises:
        botocore.exceptions.ClientError: the rule cannot be read.
    """
    try:
        answer = client.describe_rule(Name=name, EventBusName=bus_name)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return None
    return answer["State"] != "DISABLED"


def rule_names(client: "EventBridgeClient", bus_name: str) -> list[str]:
    """Names of the rules of a bus, without those that EventBridge made for its archives.

    Raises:
        botocore.exceptions.ClientError: the rules cannot be listed.
    """
    pages = client.get_paginator("list_rules").paginate(EventBusName=bus_name)
    return [rule["Name"] for page in pages for rule in page["Rules"] if "ManagedBy" not in rule]


def cancel_replay(client: "EventBridgeClient", name: str) -> None:
    """Cancel a replay. Events that were already replayed stay. Safe to repeat.

    Raises:
        botocore.exceptions.ClientError: the replay is over or does not exist.
    """
    try:
        client.cancel_replay(ReplayName=name)
    except ClientError as error:
        # Only a replay that is STARTING or RUNNING can be cancelled, so a repeated request gets this error.
        # https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CancelReplay.html
        if error_code(error) != "IllegalStatusException":
            raise
        if describe_replay(client, name).state not in (ReplayState.CANCELLING, ReplayState.CANCELLED):
            raise
