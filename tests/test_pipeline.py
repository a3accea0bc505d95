"""The pipeline: nothing is asked of AWS before a part is used, and the stack is found once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from shipment_events.errors import NotDeployedError
from shipment_events.pipeline import Pipeline
from shipment_events.stages import UnknownStageError
from tests.stand_ins.bus import service_error

OUTPUTS = {
    "SQSQueueURL": "queue",
    "DeadLetterQueueURL": "letters",
    "ProcessorLambdaARN": "arn",
    "EventsTableName": "events",
    "EventBusName": "bus",
    "ArchiveName": "archive",
    "StatusIndexShards": "4",
    "ShipmentsTableName": "shipments",
    "StatusBusName": "changes",
    "LocalEngineCountsAreExact": "true",
}
TRACKING = ["shipments", "rebuilder", "tracking_failures", "status_archive"]
PARTS = ["bus", "queue", "dead_letters", "table", "archive", "log", "metrics", *TRACKING]


class Session:
    """Makes clients that know one stack, and counts what is asked for."""

    def __init__(self, error: Exception | None = None, *, without: Sequence[str] = ()) -> None:
        self._without = without
        self.made: list[str] = []
        self.configs: list[Any] = []
        self.asked = 0
        self._error = error

    def client(self, service: str, *, config: Any) -> Any:
        self.made.append(service)
        self.configs.append(config)
        return SimpleNamespace(
            describe_stacks=self._describe,
            describe_event_bus=lambda **_: {},
            get_queue_url=lambda QueueName: {"QueueUrl": QueueName},  # noqa: N803 - boto3's
            meta=SimpleNamespace(endpoint_url="http://x"),
        )

    def _describe(self, **_: object) -> Any:
        self.asked += 1
        if self._error:
            raise self._error
        outputs = [
            {"OutputKey": name, "OutputValue": value}
            for name, value in OUTPUTS.items()
            if name not in self._without
        ]
        return {"Stacks": [{"Outputs": outputs, "CreationTime": datetime(2026, 5, 4, tzinfo=UTC)}]}


def pipeline_on(session: Session) -> Pipeline:
    given: Any = session
    return Pipeline.connect("prod", session=given)


def test_connecting_asks_nothing_of_aws() -> None:
    session = Session()
    pipeline = pipeline_on(session)
    assert (pipeline.stage.environment, session.made) == ("prod", [])


def test_stack_is_found_once_and_each_part_made_once() -> None:
    session = Session()
    pipeline = pipeline_on(session)
    for part in PARTS:
        assert getattr(pipeline, part) is getattr(pipeline, part)
    assert session.asked == 1
    assert pipeline.table.name == "events"
    assert (pipeline.queue.url, pipeline.queue.timing.empty_polls) == ("queue", 1)


def test_the_bus_tries_as_long_as_the_stage_says_and_once_on_the_local_engine() -> None:
    assert pipeline_on(Session()).queue.timing.delivery_seconds == 0
    aws = pipeline_on(Session(without=["LocalEngineCountsAreExact"]))
    hours = aws.stage.delivery_max_age_hours
    assert aws.queue.timing.delivery_seconds == hours * 3600


@pytest.mark.parametrize("part", ["bus", "log", "metrics"])
def test_part_that_needs_no_output_does_not_look_for_the_stack(part: str) -> None:
    session = Session()
    getattr(pipeline_on(session), part)
    assert session.asked == 0


def test_one_configuration_holds_for_every_client_but_the_publishers() -> None:
    """The publisher retries by itself."""
    session = Session()
    pipeline = pipeline_on(session)
    for part in PARTS[1:]:
        getattr(pipeline, part)
    assert len(set(map(id, session.configs))) == 1
    assert session.configs[0].retries["total_max_attempts"] == 3


def test_stage_without_a_stack_says_what_to_do() -> None:
    error = service_error("ValidationError", "DescribeStacks")
    error.args = ("Stack with id shipmentevents-prod does not exist",)
    with pytest.raises(NotDeployedError, match="no stack shipmentevents-prod at http://x") as refused:
        _ = pipeline_on(Session(error)).queue
    assert "make deploy ENV=prod" in refused.value.next_step


@pytest.mark.parametrize("part", TRACKING)
@pytest.mark.parametrize("output", ["ShipmentsTableName", "StatusBusName"])
def test_stage_without_tracking_says_what_to_do_and_has_its_other_parts(part: str, output: str) -> None:
    pipeline = pipeline_on(Session(without=[output]))
    with pytest.raises(NotDeployedError, match="stage prod does not track shipments") as refused:
        getattr(pipeline, part)
    assert "tracking must not be False" in refused.value.next_step
    assert "make deploy ENV=prod" in refused.value.next_step
    assert pipeline.table.name == "events"


def test_unknown_stage_is_refused_at_once() -> None:
    with pytest.raises(UnknownStageError, match="allowed: dev, staging, prod"):
        Pipeline.connect("production")
