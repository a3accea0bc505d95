"""A first deploy that fails, as the CDK CLI makes one, and the deploy after it."""

import json
import uuid
from collections.abc import Iterator
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from infrastructure.first_deploy import FailedStackError, is_first_deploy
from infrastructure.retained import MissingQueueError, retained
from tests.integration.conftest import LocalEngine

BAD: Final = {
    "Type": "AWS::SQS::Queue",
    "Properties": {"QueueName": "bad", "RedrivePolicy": {"maxReceiveCount": 0}},
    "DependsOn": ["Table", "Queue"],
}


def template(name: str, *, broken: bool, deletion_policy: str = "RetainExceptOnCreate") -> dict[str, Any]:
    table = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }
    return {
        "Resources": {
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": table,
                "DeletionPolicy": deletion_policy,
            },
            "Queue": {
                "Type": "AWS::SQS::Queue",
                "Properties": {"QueueName": name},
                "DeletionPolicy": "RetainExceptOnCreate",
            },
            **({"Bad": BAD} if broken else {}),
        }
    }


def deploy(engine: LocalEngine, name: str, body: dict[str, Any]) -> str:
    """Make the stack as ``cdk deploy`` does: it is protected before its first resource."""
    cloudformation = engine.client("cloudformation")
    cloudformation.create_change_set(
        StackName=name, ChangeSetName="cdk", ChangeSetType="CREATE", TemplateBody=json.dumps(body)
    )
    cloudformation.get_waiter("change_set_create_complete").wait(StackName=name, ChangeSetName="cdk")
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=True)
    cloudformation.execute_change_set(StackName=name, ChangeSetName="cdk")
    while (status := status_of(engine, name)).endswith("_IN_PROGRESS"):
        pass
    return status


def status_of(engine: LocalEngine, name: str) -> str:
    (stack,) = engine.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return str(stack["StackStatus"])


@pytest.fixture
def name(engine: LocalEngine) -> Iterator[str]:
    name = f"first-{uuid.uuid4().hex[:8]}"
    yield name
    cloudformation = engine.client("cloudformation")
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    cloudformation.delete_stack(StackName=name)


@pytest.mark.engine
def test_a_first_deploy_that_failed_is_cleared_away_and_tried_again(engine: LocalEngine, name: str) -> None:
    cloudformation = engine.client("cloudformation")
    assert is_first_deploy(cloudformation, name)
    assert deploy(engine, name, template(name, broken=True)) == "ROLLBACK_COMPLETE"
    with pytest.raises(ClientError, match="TerminationProtection"):
        cloudformation.delete_stack(StackName=name)

    assert is_first_deploy(cloudformation, name)
    with pytest.raises(ClientError, match="does not exist"):
        status_of(engine, name)
    assert deploy(engine, name, template(name, broken=False)) == "CREATE_COMPLETE"
    assert not is_first_deploy(cloudformation, name)
    assert status_of(engine, name) == "CREATE_COMPLETE"


@pytest.mark.engine
def test_what_a_failed_first_deploy_could_not_delete_is_adopted(engine: LocalEngine, name: str) -> None:
    """On AWS that is a protected table. The engine deletes one all the same, so this one has RETAIN."""
    body = template(name, broken=True, deletion_policy="Retain")
    assert deploy(engine, name, body) == "ROLLBACK_COMPLETE"
    assert is_first_deploy(engine.client("cloudformation"), name)
    found = retained(body, engine.client("dynamodb"), engine.client("sqs"))
    assert found == {"Table": {"TableName": name}}
    engine.client("dynamodb").delete_table(TableName=name)
    assert not retained(body, engine.client("dynamodb"), engine.client("sqs"))
    assert deploy(engine, name, template(name, broken=False)) == "CREATE_COMPLETE"


@pytest.mark.engine
def test_a_queue_is_not_adopted_without_its_dead_letter_queue(engine: LocalEngine) -> None:
    """CloudFormation would refuse the import: the template refers to a queue that is not in it."""
    name = f"adopted-{uuid.uuid4().hex[:8]}"
    policy = {"deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}, "maxReceiveCount": 3}
    dead_letters = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{name}-dlq"}}
    body = template(name, broken=False)
    body["Resources"]["DeadLetters"] = dead_letters
    body["Resources"]["Queue"]["Properties"]["RedrivePolicy"] = policy
    services = engine.client("dynamodb"), engine.client("sqs")
    urls = [services[1].create_queue(QueueName=name)["QueueUrl"]]
    try:
        with pytest.raises(MissingQueueError, match=f"create-queue --queue-name {name}-dlq"):
            retained(body, *services)
        urls.append(services[1].create_queue(QueueName=f"{name}-dlq")["QueueUrl"])
        assert retained(body, *services).keys() == {"Queue", "DeadLetters"}
    finally:
        for url in urls:
            services[1].delete_queue(QueueUrl=url)


def test_a_failed_stack_that_cannot_be_deleted_is_named_with_the_way_out() -> None:
    cloudformation = boto3.client("cloudformation", region_name="eu-central-1")
    with Stubber(cloudformation) as service:
        service.add_response("describe_stacks", _stacks("ROLLBACK_FAILED"))
        service.add_response("delete_stack", {})
        service.add_response("describe_stacks", _stacks("DELETE_FAILED"))
        with pytest.raises(FailedStackError, match="--stack-name stage --deletion-mode FORCE_DELETE_STACK"):
            is_first_deploy(cloudformation, "stage")


def test_a_stack_that_stands_is_left_alone_whatever_became_of_its_last_update() -> None:
    cloudformation = boto3.client("cloudformation", region_name="eu-central-1")
    standing = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED")
    for status in (*standing, "IMPORT_COMPLETE", "UPDATE_IN_PROGRESS", "DELETE_FAILED"):
        with Stubber(cloudformation) as service:
            service.add_response("describe_stacks", _stacks(status))
            assert not is_first_deploy(cloudformation, "stage")


def _stacks(status: str) -> dict[str, Any]:
    created = "2026-11-01T00:00:00Z"
    return {"Stacks": [{"StackName": "stage", "CreationTime": created, "StackStatus": status}]}
