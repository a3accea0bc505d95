"""Reads of a table that answers late, wrongly or not at all."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.processor.test_handler import AWS, Context
from tests.stand_ins.http_service import Reply, Service, answer, hang_up

MODULE: Final = "shipment_events.api.handler"
SETTINGS: Final = {"ENVIRONMENT": "dev", "EVENTS_TABLE_NAME": "events", "SHIPMENTS_TABLE_NAME": "shipments"}
REQUEST: Final = {"routeKey": "GET /shipments/{id}", "pathParameters": {"id": "S-1"}, "headers": {}}
FOUND: Final = answer(b'{"Item":{"shipment_id":{"S":"S-1"}}}')
NONE: Final = answer(b"{}")

Ask = Callable[..., tuple[int, int]]


def error(code: str, status: str = "400 Bad Request") -> Reply:
    return answer(json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}"}).encode(), status)


THROTTLED: Final = error("ThrottlingException")


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Give the table these replies, and ask the function for a shipment.

    Returns its status, and how many requests the table got.
    """
    started: list[tuple[Service, Any]] = []

    def call(*replies: Reply) -> tuple[int, int]:
        service = Service(*replies)
        with monkeypatch.context() as patch:
            for name, value in (SETTINGS | AWS | {"AWS_ENDPOINT_URL": service.url}).items():
                patch.setenv(name, value)
            patch.delitem(sys.modules, MODULE, raising=False)
            module = importlib.import_module(MODULE)
        started.append((service, module))
        return module.handler(REQUEST, Context())["statusCode"], len(service.requests)

    yield call
    for service, module in started:
        module._READS._client.close()
        service.close()


def test_a_read_is_one_request(ask: Ask) -> None:
    assert ask(FOUND) == (200, 1)
    assert ask(NONE) == (404, 1)


@pytest.mark.parametrize(
    "reply",
    [THROTTLED, error("InternalServerError", "500 Internal Server Error"), hang_up, answer(b"<html>")],
    ids=["throttled", "down", "hung up", "HTML"],
)
def test_an_error_that_passes_is_not_seen(ask: Ask, reply: Reply) -> None:
    assert ask(reply, FOUND) == (200, 2)


def test_an_error_that_stays_is_seen_after_two_requests(ask: Ask) -> None:
    assert ask(THROTTLED, THROTTLED, FOUND) == (503, 2)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
def test_an_error_that_lasts_is_not_asked_again(ask: Ask, code: str) -> None:
    assert ask(error(code), FOUND) == (500, 1)
