"""A stage with every option on: it breaks no rule, and only what they mean changes."""

from dataclasses import replace
from typing import Final

import pytest

from shipment_events.stage_options import ProvisionedPollers
from shipment_events.stages import settings_for
from tests.infrastructure.template import PROCESSOR, Template

OPTIONS: Final = {
    "alarm_emails": ("oncall@example.org",),
    "batching_window_seconds": 2,
    "infrequent_access": False,
    "provisioned_pollers": ProvisionedPollers(minimum=4, maximum=40),
    "status_index_shards": 16,
    "warm_write_units": 15_000,
}


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Template of the stage ``dev`` with the options on."""
    from infrastructure.app import build_app

    folder = tmp_path_factory.mktemp("scaled")
    build_app(replace(settings_for("dev"), **OPTIONS), folder).synth()  # type: ignore[arg-type]
    return Template(folder, "dev")


def test_pollers_replace_the_limit_of_concurrency(template: Template, scaled: Template) -> None:
    """Lambda refuses an event source that has both."""
    source, before = (
        one.properties("AWS::Lambda::EventSourceMapping", of=PROCESSOR) for one in (scaled, template)
    )
    assert source["ProvisionedPollerConfig"] == {"MinimumPollers": 4, "MaximumPollers": 40}
    assert "ScalingConfig" not in source
    assert "ProvisionedPollerConfig" not in before


def test_event_source_collects_for_the_batching_window(template: Template, scaled: Template) -> None:
    source, before = (
        one.properties("AWS::Lambda::EventSourceMapping", of=PROCESSOR) for one in (scaled, template)
    )
    assert source["MaximumBatchingWindowInSeconds"] == 2
    assert before["MaximumBatchingWindowInSeconds"] == 0


def test_alarm_on_concurrency_follows_the_pollers(scaled: Template) -> None:
    alarm = scaled.properties("AWS::CloudWatch::Alarm", AlarmName="shipmentevents-dev-concurrency")
    assert alarm["Threshold"] == 400


def test_table_and_index_are_warm_and_of_the_class(template: Template, scaled: Template) -> None:
    table, before = (one.properties("AWS::DynamoDB::Table", **one.events_table) for one in (scaled, template))
    warm = {"WriteUnitsPerSecond": 15_000}
    (index,) = table["GlobalSecondaryIndexes"]
    assert table["WarmThroughput"] == index["WarmThroughput"] == warm
    assert before["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert "WarmThroughput" not in before
    # Named, or a table of the other class would stay as it is.
    assert table["TableClass"] == "STANDARD"


def test_writer_and_readers_learn_of_the_shards(template: Template, scaled: Template) -> None:
    def variables(one: Template) -> dict[str, str]:
        function = one.properties("AWS::Lambda::Function", FunctionName="shipment-event-processor-dev")
        return function["Environment"]["Variables"]  # type: ignore[no-any-return]

    assert variables(scaled)["STATUS_INDEX_SHARDS"] == "16"
    assert scaled.body["Outputs"]["StatusIndexShards"]["Value"] == "16"
    assert "STATUS_INDEX_SHARDS" not in variables(template)
    assert "StatusIndexShards" not in template.body["Outputs"]


def test_nothing_else_changes(template: Template, scaled: Template) -> None:
    types = {"AWS::Lambda::EventSourceMapping", "AWS::DynamoDB::Table", "AWS::CloudWatch::Alarm"}
    changed = {
        resource["Type"]
        for name, resource in scaled.resources.items()
        if name not in template.resources or resource["Properties"] != template.resources[name]["Properties"]
    }
    assert len(scaled.resources) == len(template.resources)
    # The function's variables change, and so the version that the alias names.
    assert changed == types | {"AWS::Lambda::Function", "AWS::Lambda::Version", "AWS::Lambda::Alias"}
