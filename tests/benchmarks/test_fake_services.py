"""The benchmark's endpoint answers as the services do: nothing must win by its mistakes."""

import importlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks.fake_services.endpoint import Endpoint, running_endpoint
from benchmarks.processor.worker import Context
from benchmarks.tracker import comparison, records

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef
    from mypy_boto3_events import EventBridgeClient

TABLE = "events"
INSERT = f"INSERT INTO \"{TABLE}\" VALUE {{'shipment_id': ?, 'event_timestamp': ?, 'processing': ?}}"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def table(endpoint: Endpoint) -> "DynamoDBClient":
    endpoint.begin(median_seconds=0, clear=True)
    return boto3.client("dynamodb", **_connection(endpoint))


@pytest.fixture
def bus(endpoint: Endpoint) -> "EventBridgeClient":
    endpoint.begin(median_seconds=0)
    return boto3.client("events", **_connection(endpoint))


def _connection(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "endpoint_url": endpoint.url,
        "region_name": "eu-central-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "config": Config(retries={"total_max_attempts": 1}),
    }


def _insert(sort_key: str, content_hash: str) -> "BatchStatementRequestTypeDef":
    return {
        "Statement": INSERT,
        "Parameters": [{"S": "S-1"}, {"S": sort_key}, {"M": {"content_hash": {"S": content_hash}}}],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def test_conditional_put_fails_where_the_key_is_taken(table: "DynamoDBClient") -> None:
    def put(status: str, condition: str | None) -> None:
        item = {"shipment_id": {"S": "S-1"}, "event_timestamp": {"S": "1"}, "status": {"S": status}}
        extra = {"ConditionExpression": condition} if condition else {}
        table.put_item(TableName=TABLE, Item=item, **extra)  # type: ignore[arg-type]

    put("first", "attribute_not_exists(shipment_id)")
    with pytest.raises(ClientError) as refused:
        put("second", "attribute_not_exists(shipment_id)")
    assert refused.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert _stored(table, "1", "status") == "first"
    put("third", None)
    assert _stored(table, "1", "status") == "third"


def test_unknown_condition_is_refused(table: "DynamoDBClient") -> None:
    item = {"shipment_id": {"S": "S-1"}, "event_timestamp": {"S": "1"}}
    with pytest.raises(ClientError, match="unknown condition"):
        table.put_item(TableName=TABLE, Item=item, ConditionExpression="attribute_exists(shipment_id)")


@pytest.mark.parametrize("returns_old_items", [False, True])
def test_each_statement_has_its_own_result(
    endpoint: Endpoint, table: "DynamoDBClient", *, returns_old_items: bool
) -> None:
    endpoint.begin(median_seconds=0, returns_old_items=returns_old_items)
    table.batch_execute_statement(Statements=[_insert("1", "old")])
    responses = table.batch_execute_statement(Statements=[_insert("1", "new"), _insert("2", "new")])[
        "Responses"
    ]
    error = responses[0]["Error"]
    assert error["Code"] == "DuplicateItem"
    assert ("Item" in error) is returns_old_items
    if returns_old_items:
        assert error["Item"]["processing"] == {"M": {"content_hash": {"S": "old"}}}
    assert "Error" not in responses[1]
    assert _stored(table, "1", "processing") == {"content_hash": {"S": "old"}}
    assert _stored(table, "2", "processing") == {"content_hash": {"S": "new"}}


def test_one_request_with_a_key_twice_is_refused(table: "DynamoDBClient") -> None:
    with pytest.raises(ClientError, match="same key"):
        table.batch_execute_statement(Statements=[_insert("1", "a"), _insert("1", "b")])


def test_update_sets_attributes_of_what_is_there(table: "DynamoDBClient") -> None:
    table.put_item(TableName="records", Item={"id": {"S": "1"}, "status": {"S": "INPROGRESS"}})
    table.update_item(
        TableName="records",
        Key={"id": {"S": "1"}},
        UpdateExpression="SET #status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": "COMPLETED"}},
    )
    with pytest.raises(ClientError) as refused:
        table.put_item(
            TableName="records",
            Item={"id": {"S": "1"}},
            ConditionExpression="attribute_not_exists(id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refused.value.response["Item"] == {  # type: ignore[typeddict-item]
        "id": {"S": "1"},
        "status": {"S": "COMPLETED"},
    }


def test_bus_takes_ten_entries_at_most(endpoint: Endpoint, bus: "EventBridgeClient") -> None:
    entry = {"Source": "a", "DetailType": "b", "Detail": "{}"}
    answer = bus.put_events(Entries=[entry] * 10)  # type: ignore[list-item]
    assert len({result["EventId"] for result in answer["Entries"]}) == 10
    with pytest.raises(ClientError, match="1 to 10 entries"):
        bus.put_events(Entries=[entry] * 11)  # type: ignore[list-item]
    assert endpoint.begin() == {"PutEvents": 2, "Entries": 10}


def _stored(table: "DynamoDBClient", sort_key: str, attribute: str) -> object:
    answer = table.batch_get_item(
        RequestItems={
            TABLE: {
                "Keys": [{"shipment_id": {"S": "S-1"}, "event_timestamp": {"S": sort_key}}],
                "ProjectionExpression": "#attribute",
                "ExpressionAttributeNames": {"#attribute": attribute},
            }
        }
    )
    ((item,),) = answer["Responses"].values()
    (value,) = item[attribute].values()
    return value


def test_update_needs_the_version_that_was_read(table: "DynamoDBClient") -> None:
    def update(status: str, version: str) -> str | None:
        statement = 'UPDATE "shipments" SET "status"=? SET "version"=? WHERE "shipment_id"=? AND "version"=?'
        values: Any = [{"S": status}, {"N": "2"}, {"S": "S-1"}, {"N": version}]
        answer = table.batch_execute_statement(Statements=[{"Statement": statement, "Parameters": values}])
        return answer["Responses"][0].get("Error", {}).get("Code")

    assert update("absent", "1") == "ConditionalCheckFailed"
    table.put_item(TableName="shipments", Item={"shipment_id": {"S": "S-1"}, "version": {"N": "1"}})
    assert update("first", "1") is None
    assert update("second", "1") == "ConditionalCheckFailed"
    found = table.get_item(TableName="shipments", Key={"shipment_id": {"S": "S-1"}})["Item"]
    assert found == {"shipment_id": {"S": "S-1"}, "version": {"N": "2"}, "status": {"S": "first"}}


def test_query_returns_the_events_of_a_shipment_in_pages(table: "DynamoDBClient") -> None:
    for number in range(1_001):
        key = {"shipment_id": {"S": "S-1"}, "event_timestamp": {"S": f"{number:04}"}}
        table.put_item(TableName=TABLE, Item=key)
    table.put_item(TableName=TABLE, Item={"shipment_id": {"S": "S-2"}, "event_timestamp": {"S": "0"}})
    pages = table.get_paginator("query").paginate(
        TableName=TABLE,
        KeyConditionExpression="shipment_id = :shipment",
        ExpressionAttributeValues={":shipment": {"S": "S-1"}},
    )
    found = [[item["event_timestamp"]["S"] for item in page["Items"]] for page in pages]
    assert found == [[f"{number:04}" for number in range(1_000)], ["1000"]]


def test_benchmarks_trackers_agree_on_the_states(
    table: "DynamoDBClient", endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither may win because it drops records."""
    states = []
    for name in ("ours", "textbook"):
        _, module = comparison.DESIGNS[name]
        variables = comparison.function_variables(name, endpoint.url) | endpoint.environment
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.delitem(sys.modules, module, raising=False)
        handler = importlib.import_module(module).handler
        for batch in records.batches(1):
            assert handler(batch, Context()) == {"batchItemFailures": []}
        table_name = variables["SHIPMENTS_TABLE_NAME"]
        found = [
            table.get_item(TableName=table_name, Key={"shipment_id": {"S": f"S-{number}"}})["Item"]
            for number in range(records.SHIPMENTS)
        ]
        states.append([(item["latest_at"], item["latest_event"]["M"]["event_id"]) for item in found])
    assert states[0] == states[1]
