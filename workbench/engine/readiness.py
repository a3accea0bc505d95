"""Waits until a deployed stack can take and store events."""

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import boto3

from workbench.engine.clients import LOCAL_CONFIG
from workbench.engine.errors import LocalEngineError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

READY_SECONDS: Final = 30.0


def wait_until_ready(
    session: boto3.Session,
    endpoint: str,
    template: Mapping[str, Any],
    physical_ids: Mapping[str, str],
    code_hashes: Mapping[str, str],
) -> None:
    """Wait until tables, functions and event sources of a deployed template work; load each consumer once.

    Functions without an event source, API and watcher, take no empty batch and are not loaded here.
    ``tests/infrastructure/test_bundle.py`` loads the bundles of all functions.

    ``code_hashes`` has the SHA-256 of each uploaded asset by its key. Raises LocalEngineError for the first
    resource that is not ready after ``READY_SECONDS``, and for a consumer that fails on an empty batch.
    """
    dynamodb = session.client("dynamodb", endpoint_url=endpoint, config=LOCAL_CONFIG)
    functions = session.client("lambda", endpoint_url=endpoint, config=LOCAL_CONFIG)

    def unready(resource: Mapping[str, Any], physical_id: str) -> str | None:
        match resource["Type"]:
            case "AWS::DynamoDB::Table":
                state: str = dynamodb.describe_table(TableName=physical_id)["Table"]["TableStatus"]
                return None if state == "ACTIVE" else f"table {physical_id} is {state}"
            case "AWS::Lambda::EventSourceMapping":
                mapping = functions.get_event_source_mapping(UUID=physical_id)
                if mapping["State"] != "Enabled":
                    return f"event source {physical_id} is {mapping['State']}"
                _require_that_it_runs(functions, mapping["FunctionArn"])
                return None
            case "AWS::Lambda::Function":
                found = functions.get_function_configuration(FunctionName=physical_id)
                # If the engine cannot find the asset, it creates a function without code and reports no
                # error.
                uploaded = code_hashes.get(resource["Properties"]["Code"].get("S3Key"))
                if uploaded is not None and found["CodeSha256"] != uploaded:
                    return f"function {physical_id} does not run the code that was uploaded"
                return None if found["State"] == "Active" else f"function {physical_id} is {found['State']}"
            case _:
                return None

    deadline = time.monotonic() + READY_SECONDS
    for logical_id, resource in template["Resources"].items():
        while (missing := unready(resource, physical_ids[logical_id])) is not None:
            if time.monotonic() > deadline:
                raise LocalEngineError(
                    f"The stack is deployed but not ready: {missing}.",
                    "`shipments local up --fresh` starts again and discards the stored data.",
                )
            time.sleep(0.1)


def _require_that_it_runs(functions: "LambdaClient", function_arn: str) -> None:
    # If the bundle lacks a module, the function fails when it is loaded, and every event would be retried
    # until it is a dead letter. This invocation finds that early, and the first event does not wait for the
    # load.
    answer = functions.invoke(FunctionName=function_arn, Payload=json.dumps({"Records": []}))
    if "FunctionError" in answer:
        reason = json.load(answer["Payload"]).get("errorMessage", "it gave no reason")
        name = function_arn.rpartition(":")[2]
        raise LocalEngineError(
            f"The stack is deployed, but its function {name} fails on an empty batch: {reason}",
            "Correct the function or its bundle and run `make up` again.",
        )
