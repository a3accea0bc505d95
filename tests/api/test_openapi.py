"""The OpenAPI document says what the routes are, and is valid."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shipment_events.api.openapi import openapi_document
from shipment_events.api.representations import shipment_json
from shipment_events.api.routes import ROUTES
from shipment_events.tracking.shipment import Shipment


def test_each_route_is_there_with_its_parameters() -> None:
    paths = openapi_document()["paths"]
    for route in ROUTES:
        there = {parameter["name"] for parameter in paths[route.path]["get"]["parameters"]}
        assert there == {parameter.name for parameter in route.parameters} | {"If-None-Match"}
    assert len(paths) == len(ROUTES)


@pytest.mark.parametrize("values", [{}, {"status": "delivered", "latest_event": {"event_id": "e"}}])
def test_a_shipment_follows_its_schema(values: dict[str, Any]) -> None:
    schema = openapi_document()["components"]["schemas"]["Shipment"]
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(shipment_json(Shipment(shipment_id="A", **values))))


def test_references_lead_somewhere() -> None:
    document = openapi_document()
    text = json.dumps(document)
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == set(document["components"]["schemas"])
