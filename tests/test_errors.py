"""Errors: one base class, a sentence for people, and the next step beside it."""

import traceback
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError
from click import ClickException

import shipment_events
from shipment_events.aws_errors import explained
from shipment_events.contract.outcome import InvalidEventError, Reason
from shipment_events.errors import ShipmentEventsError


def own_errors() -> Iterator[type[Exception]]:
    for module in walk_packages(shipment_events.__path__, "shipment_events."):
        # A handler reads its settings from Lambda's environment when it is imported.
        if module.name.endswith("handler"):
            continue
        for value in vars(import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.name:
                yield value


@pytest.mark.filterwarnings("ignore:shipment_events.publisher will be removed:DeprecationWarning")
def test_every_error_of_the_package_has_the_one_base_class() -> None:
    found = set(own_errors())
    assert InvalidEventError in found
    # A command ends with click's exception, which is for a terminal.
    bases = (ShipmentEventsError, ClickException)
    assert [error for error in found if not issubclass(error, bases)] == []


def test_next_step_stands_beside_the_sentence_and_in_a_traceback() -> None:
    error = ShipmentEventsError("no such table", "Deploy the stack.")
    assert (str(error), error.next_step) == ("no such table", "Deploy the stack.")
    assert "Deploy the stack." in "".join(traceback.format_exception(error))


def test_invalid_event_is_a_value_error_still() -> None:
    assert issubclass(InvalidEventError, ValueError)
    assert InvalidEventError(Reason.TOO_DEEP, "expected less").next_step == ""


@pytest.mark.parametrize(
    ("error", "message", "next_step"),
    [
        (NoCredentialsError(), "no AWS credentials", "aws sso login"),
        (NoRegionError(), "no AWS region", "AWS_REGION"),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, "PutEvents"),
            "PutEvents: AccessDenied: not allowed",
            "",
        ),
        (EndpointConnectionError(endpoint_url="http://x"), "Could not connect", "AWS_ENDPOINT_URL"),
        (ValueError("Invalid endpoint: x"), "Invalid endpoint", "AWS_ENDPOINT_URL"),
    ],
)
def test_error_of_botocore_is_explained(error: Exception, message: str, next_step: str) -> None:
    found = explained(error)
    assert found is not None
    assert message in str(found)
    assert next_step in found.next_step


def test_error_of_ours_is_explained_by_itself_and_a_defect_by_nothing() -> None:
    ours = ShipmentEventsError("x")
    assert explained(ours) is ours
    assert explained(ValueError("x")) is None
