"""Slow requests are too slow for the client that gives up first, and no other client's count."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from microburst.core.context import RequestContext
from microburst.rules import from_dict

from shipment_events.resources import Resources
from workbench.drill.faults import DYNAMODB, EVENTS, SERVICES, SQS, Fault, background
from workbench.drill.run import DrillPlan, _clients

RESOURCES = Resources(
    event_bus_name="shipmentevents-dev", archive_name="archive", queue_url="http://host/0/queue",
    dead_letter_queue_url="http://host/0/dlq", table_name="shipmentevents-dev", deployed_at=datetime.now(UTC),
)  # fmt: skip
CLIENTS = _clients(DrillPlan(root=Path(), folder=Path(), seed=1, visibility_timeout=36), RESOURCES)
OF_PROCESSOR_OR_PUBLISHER = [
    (DYNAMODB, {"Statements": [{"Statement": 'INSERT INTO "shipmentevents-dev" VALUE ?'}]}),
    (DYNAMODB, {"RequestItems": {"shipmentevents-dev": {"Keys": []}}}),
    (SQS, {"QueueUrl": "http://host/0/queue", "Entries": []}),
    (SQS, {"QueueUrl": "http://host/0/dlq", "Entries": []}),
    (EVENTS, {"Entries": [{"EventBusName": "shipmentevents-dev"}]}),
]
OF_TRACKER = [
    (DYNAMODB, {"Statements": [{"Statement": 'UPDATE "shipments-dev" SET status=?'}]}),
    (DYNAMODB, {"RequestItems": {"shipments-dev": {"Keys": []}}}),
    (DYNAMODB, {"TableName": "shipmentevents-dev", "KeyConditionExpression": "pk = :pk"}),
    (SQS, {"QueueUrl": "http://host/0/failures", "Entries": []}),
    (EVENTS, {"Entries": [{"EventBusName": "shipmentstatus-dev"}]}),
]


def slow_rules(service: str) -> list[dict[str, Any]]:
    rules = background(service, 0.2, CLIENTS[service])
    return [one.rule for one in rules if one.kind in {Fault.SLOW_REQUEST, Fault.SLOW_ANSWER}]


@pytest.mark.parametrize(
    ("service", "request_", "is_hit"),
    [(*one, True) for one in OF_PROCESSOR_OR_PUBLISHER] + [(*one, False) for one in OF_TRACKER],
)
def test_only_the_client_that_gives_up_first_is_hit(
    service: str, request_: Mapping[str, Any], is_hit: bool
) -> None:
    sent = RequestContext(body=json.dumps(request_).encode())
    assert [from_dict(rule).matches(sent) for rule in slow_rules(service)] == [is_hit] * 2


@pytest.mark.parametrize("service", SERVICES)
def test_a_slow_request_is_slower_than_its_client_waits(service: str) -> None:
    (rule,) = (rule for rule in slow_rules(service) if "latency" in rule)
    assert CLIENTS[service].timeout * 1000 < rule["latency"]["min"] < rule["latency"]["max"]


def test_the_processors_client_waits_as_long_as_its_own_settings_say() -> None:
    assert CLIENTS[DYNAMODB].timeout == CLIENTS[SQS].timeout == 0.3
