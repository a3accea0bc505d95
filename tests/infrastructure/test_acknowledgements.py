"""What is accepted: in one table, of constructs that exist, and only where the settings say so."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from aws_cdk import App

from infrastructure.acknowledgements import ACKNOWLEDGEMENTS, accepted_in
from infrastructure.stack import ShipmentEventsStack
from shipment_events.stage_options import SlackChannel
from shipment_events.stages import STAGES, StageSettings

WITH_EVERYTHING = replace(
    STAGES["prod"],
    alarm_emails=("oncall@example.org",),
    slack=SlackChannel(workspace_id="T0EXAMPLE", channel_id="C0ALARMS1"),
)


@pytest.fixture(scope="module")
def stack() -> ShipmentEventsStack:
    """A stage with a canary and a Slack channel, so that it has every construct."""
    return ShipmentEventsStack(App(), settings=WITH_EVERYTHING)


def test_every_row_is_of_a_construct(stack: ShipmentEventsStack) -> None:
    found = [construct.node.path for construct, _ in accepted_in(stack, WITH_EVERYTHING)]
    assert found == [f"shipmentevents-prod/{path}" for path in ACKNOWLEDGEMENTS]


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        (replace(STAGES["dev"], retain_data=False), "LossModes::Retained"),
        (STAGES["dev"], "LossModes::AlarmReceiver"),
    ],
)
def test_a_loss_is_accepted_only_where_the_settings_say_so(
    stack: ShipmentEventsStack, settings: StageSettings, rule: str
) -> None:
    assert rule in _rules(stack, settings)
    assert rule not in _rules(stack, WITH_EVERYTHING)


def test_every_reason_is_a_sentence() -> None:
    reasons = {accepted.reason for rows in ACKNOWLEDGEMENTS.values() for accepted in rows}
    assert all(reason[0].isupper() and reason.endswith(".") and "  " not in reason for reason in reasons)


def _rules(stack: ShipmentEventsStack, settings: StageSettings) -> Iterator[str]:
    return (each.rule for _, accepted in accepted_in(stack, settings) for each in accepted)
