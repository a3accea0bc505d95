"""A replay of changes reaches the rule of one subscriber, and is refused where it would reach nobody."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
import pytest
from botocore.stub import ANY, Stubber

from shipment_events.watching.archive import ReplayError
from shipment_events.watching.replays import ReplayState
from shipment_events.watching.status_archive import StatusArchive

BUS: Final = "shipmentstatus-dev"
ARN: Final = f"arn:aws:events:eu-central-1:1:event-bus/{BUS}"
ARCHIVE: Final = "arn:aws:events:eu-central-1:1:archive/a"
RULE: Final = "deliveries-dev"
UNTIL: Final = datetime.now(UTC) - timedelta(hours=1)
SINCE: Final = UNTIL - timedelta(hours=2)


@pytest.fixture
def events() -> Iterator[Stubber]:
    session: Any = boto3.Session("id", "secret", region_name="eu-central-1")
    with Stubber(session.client("events")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def archive(events: Stubber) -> StatusArchive:
    client: Any = events.client
    return StatusArchive(client, "a", BUS, sleep=lambda _: None)


def has_rule(events: Stubber, state: str = "ENABLED") -> None:
    events.add_response("describe_rule", {"State": state}, {"Name": RULE, "EventBusName": BUS})


def has_archive(events: Stubber) -> None:
    content = {"ArchiveArn": ARCHIVE, "EventSourceArn": ARN, "CreationTime": datetime(2025, 1, 1, tzinfo=UTC)}
    events.add_response("describe_archive", {**content, "EventCount": 9}, {"ArchiveName": "a"})


def is_started(events: Stubber, *states: str) -> None:
    request = {
        "ReplayName": ANY,
        "EventSourceArn": ARCHIVE,
        "EventStartTime": SINCE,
        "EventEndTime": UNTIL,
        "Destination": {
            "Arn": ARN,
            "FilterArns": [f"arn:aws:events:eu-central-1:1:rule/{BUS}/{RULE}"],
        },
    }
    events.add_response("start_replay", {}, request)
    for state in states:
        events.add_response("describe_replay", {"State": state, "StateReason": "why"}, {"ReplayName": ANY})


def test_only_the_subscribers_own_rule_gets_the_changes(events: Stubber) -> None:
    """The local engine ignores the filter, so the request itself is checked."""
    has_rule(events)
    has_archive(events)
    is_started(events, "STARTING", "RUNNING", "COMPLETED")
    plan = archive(events).plan(SINCE, UNTIL, RULE)
    assert (plan.rule_name, plan.most_events, plan.is_early) == (RULE, 9, False)
    assert plan.name.startswith(f"{BUS}-")
    assert len(plan.name) <= 64
    seen: list[ReplayState] = []
    over = archive(events).replay(plan, lambda replay: seen.append(replay.state))
    assert over.state is ReplayState.COMPLETED
    assert seen == [ReplayState.STARTING, ReplayState.RUNNING]


def test_a_rule_that_does_not_exist_is_an_error_that_names_the_others(events: Stubber) -> None:
    events.add_client_error("describe_rule", "ResourceNotFoundException")
    managed = {"Name": "Events-Archive-a", "ManagedBy": "prod.vhs.events.aws.internal"}
    events.add_response("list_rules", {"Rules": [{"Name": "invoices-dev"}, managed]}, {"EventBusName": BUS})
    with pytest.raises(ReplayError, match=f"bus {BUS} has no rule {RULE}") as refused:
        archive(events).plan(SINCE, UNTIL, RULE)
    assert "Its rules: invoices-dev." in refused.value.next_step


def test_a_disabled_rule_gets_nothing(events: Stubber) -> None:
    has_rule(events, "DISABLED")
    with pytest.raises(ReplayError, match="is disabled"):
        archive(events).plan(SINCE, UNTIL, RULE)


def test_a_replay_that_failed_says_why(events: Stubber) -> None:
    has_rule(events)
    has_archive(events)
    is_started(events, "FAILED")
    with pytest.raises(ReplayError, match="failed: why"):
        archive(events).replay(archive(events).plan(SINCE, UNTIL, RULE))


def test_a_replay_that_cannot_be_followed_is_said_to_continue(events: Stubber) -> None:
    has_rule(events)
    has_archive(events)
    is_started(events)
    events.add_client_error("describe_replay", "AccessDeniedException")
    with pytest.raises(ReplayError, match="was started and continues") as error:
        archive(events).replay(archive(events).plan(SINCE, UNTIL, RULE))
    assert "aws events cancel-replay --replay-name" in error.value.next_step
