"""The construct for subscribers, and the example that uses it."""

import re
from dataclasses import replace
from typing import Any, Final

import pytest
from aws_cdk import SecretValue, Stack, assertions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from shipment_events import cdk
from shipment_events.cdk import StatusSubscriber
from shipment_events.stage_limits import InvalidSettingError
from shipment_events.stages import UnknownStageError, settings_for
from tests.infrastructure.subscriber import CARRIER, SubscriberTemplate
from tests.repository.documents import ROOT
from workbench.loss_modes.rules import breaches

RULE: Final = "AWS::Events::Rule"
PAGE: Final = ROOT / "docs" / "subscribe.md"
KINDS: Final = "shipment.status_changed, shipment.estimate_changed, shipment.stalled, shipment.overdue"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> SubscriberTemplate:
    return SubscriberTemplate(tmp_path_factory.mktemp("subscriber"))


@pytest.fixture
def topic() -> sns.ITopic:
    return sns.Topic(Stack(), "Topic")


def test_no_change_can_get_lost_on_the_way_to_the_consumer(template: SubscriberTemplate) -> None:
    """But for the queues, which go with the stack: the archive of the bus has the changes."""
    assert {breach.rule.name for breach in breaches(template.body)} == {"Retained"}


def test_delivery_is_tried_for_a_day(template: SubscriberTemplate) -> None:
    (target,) = template.properties(RULE, Name="deliveries-dev")["Targets"]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}


def test_each_alarm_notifies_the_topic_of_the_team(template: SubscriberTemplate) -> None:
    (topic,) = (name for name, _ in template.of_type("AWS::SNS::Topic"))
    alarms = {alarm["AlarmName"]: alarm for _, alarm in template.of_type("AWS::CloudWatch::Alarm")}
    names = ("dead-letters", "dead-letters-old", "oldest-message", "undelivered")
    assert alarms.keys() == {f"{who}-dev-{name}" for who in ("deliveries", "filtered") for name in names}
    assert all(alarm["AlarmActions"] == [{"Ref": topic}] for alarm in alarms.values())


def test_every_filter_is_in_the_pattern(template: SubscriberTemplate) -> None:
    assert template.properties(RULE, Name="filtered-dev")["EventPattern"] == {
        "source": ["shipment.tracker"],
        "detail-type": ["shipment.status_changed", "shipment.stalled"],
        "detail": {
            "status": ["picked_up", "in_transit"],
            "carrier": [CARRIER],
            "shipment_id": [{"prefix": "LIFE-1"}, {"prefix": "LIFE/"}],
        },
    }


def test_what_the_page_shows_can_be_synthesized(topic: sns.ITopic) -> None:
    scope: Any = topic.stack
    connection = events.Connection(
        scope,
        "Connection",
        authorization=events.Authorization.api_key("key", SecretValue.unsafe_plain_text("not a secret")),
    )
    dead_letters = sqs.Queue(scope, "DeadLetters")
    known = {
        "self": scope,
        "StatusSubscriber": StatusSubscriber,
        "alarms": topic,
        "events": events,
        "targets": targets,
        "destination": events.ApiDestination(
            scope, "Destination", connection=connection, endpoint="https://example.org/changes"
        ),
        "dead_letters": dead_letters,
    }
    blocks = re.findall("```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        exec(block, known)  # noqa: S102 - the repository's own document
    template = assertions.Template.from_stack(scope)
    template.has_resource_properties(RULE, {"Name": "deliveries-prod"})
    arn = {"Fn::GetAtt": [scope.get_logical_id(dead_letters.node.default_child), "Arn"]}
    target = assertions.Match.object_like({"DeadLetterConfig": {"Arn": arn}})
    template.has_resource_properties(RULE, {"EventBusName": "shipmentstatus-prod", "Targets": [target]})


def test_a_rule_without_filters_takes_all_changes_also_future_ones(topic: sns.ITopic) -> None:
    scope: Any = topic.stack
    one = StatusSubscriber(scope, "All", stage="prod", name="all", alarm_topic=topic)
    assert (one.rule_name, one.rule.event_bus_name) == ("all-prod", "shipmentstatus-prod")
    assert one.rule.event_pattern == {"source": ["shipment.tracker"]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "my deliveries"}, "name is 'my deliveries', expected 1 to 50 letters, digits and dashes"),
        # Its queue would have the name of another subscriber's dead-letter queue.
        (
            {"name": "all-dlq"},
            "name is 'all-dlq', expected 1 to 50 letters, digits and dashes that do not end",
        ),
        ({"name": ""}, "name is ''"),
        ({"name": "x" * 51}, "name is 'x"),
        ({"kinds": ["status_changed"]}, f"kinds has 'status_changed', expected one of {KINDS}"),
        ({"statuses": ["deliverd"]}, "statuses has 'deliverd', expected one of pre_transit,"),
        ({"carriers": "DHL"}, "carriers is a text, expected a list of texts"),
        ({"carriers": [""]}, "carriers has '', expected a text that is not empty"),
        ({"shipment_id_prefixes": [""]}, "shipment_id_prefixes has ''"),
    ],
)
def test_what_can_never_match_is_refused(topic: sns.ITopic, given: dict[str, Any], said: str) -> None:
    scope: Any = topic.stack
    settings = {"stage": "dev", "name": "one", "alarm_topic": topic, **given}
    with pytest.raises(ValueError, match=said):
        StatusSubscriber(scope, "Refused", **settings)


def test_a_stage_without_a_status_bus_is_refused(topic: sns.ITopic, monkeypatch: pytest.MonkeyPatch) -> None:
    untracked = replace(settings_for("dev"), tracking=False)
    monkeypatch.setattr(cdk, "settings_for", lambda _: untracked)
    scope: Any = topic.stack
    with pytest.raises(InvalidSettingError, match="stage is 'dev', expected one that tracks shipments"):
        StatusSubscriber(scope, "Refused", stage="dev", name="one", alarm_topic=topic)


def test_an_unknown_stage_is_refused(topic: sns.ITopic) -> None:
    scope: Any = topic.stack
    with pytest.raises(UnknownStageError):
        StatusSubscriber(scope, "Refused", stage="qa", name="one", alarm_topic=topic)
