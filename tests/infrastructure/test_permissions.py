"""Who may do what: exactly this, no more and no less."""

from typing import Any

import pytest

from tests.infrastructure.template import (
    API,
    FUNCTIONS,
    PROCESSOR,
    TRACKER,
    WATCHER,
    Template,
    permissions,
    text,
)

PROCESSOR_ROLE = "Exactly what the shipment event processor calls"
TRACKER_ROLE = "Exactly what the shipment event tracker calls"
WATCHER_ROLE = "Exactly what the shipment event watcher calls"
API_ROLE = "Exactly what the shipment event API calls"
WATCHER_CALLER = "Lets the schedule invoke the shipment event watcher"
STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator")


def test_processor_may_do_exactly_what_it_calls(every_template: Template) -> None:
    environment = every_template.environment
    queue = every_template.arn("AWS::SQS::Queue", QueueName=f"shipmentevents-queue-{environment}")
    dead_letters = every_template.arn("AWS::SQS::Queue", QueueName=f"shipmentevents-dlq-{environment}")
    role = every_template.properties("AWS::IAM::Role", Description=PROCESSOR_ROLE)
    allowed = permissions(role)
    assert allowed == {
        (
            "dynamodb:PartiQLInsert",
            text(every_template.arn("AWS::DynamoDB::Table", **every_template.events_table)),
        ),
        (
            "dynamodb:BatchGetItem",
            text(every_template.arn("AWS::DynamoDB::Table", **every_template.events_table)),
        ),
        ("sqs:ReceiveMessage", text(queue)),
        ("sqs:DeleteMessage", text(queue)),
        ("sqs:GetQueueAttributes", text(queue)),
        ("sqs:ChangeMessageVisibility", text(queue)),
        ("sqs:SendMessage", text(dead_letters)),
        ("logs:CreateLogStream", text(every_template.arn("AWS::Logs::LogGroup", of=PROCESSOR))),
        ("logs:PutLogEvents", text(every_template.arn("AWS::Logs::LogGroup", of=PROCESSOR))),
        ("xray:PutTraceSegments", "*"),
        ("xray:PutTelemetryRecords", "*"),
    }


def test_tracker_may_do_exactly_what_it_and_its_event_source_call(every_template: Template) -> None:
    environment = every_template.environment
    events = text(every_template.arn("AWS::DynamoDB::Table", **every_template.events_table))
    shipments = text(every_template.arn("AWS::DynamoDB::Table", TableName=f"shipments-{environment}"))
    bus = text(every_template.arn("AWS::Events::EventBus", Name=f"shipmentstatus-{environment}"))
    failures = every_template.arn("AWS::SQS::Queue", QueueName=f"shipmenttracker-failures-{environment}")
    log = text(every_template.arn("AWS::Logs::LogGroup", of=TRACKER))
    role = every_template.properties("AWS::IAM::Role", Description=TRACKER_ROLE)
    assert permissions(role) == {
        *((f"dynamodb:{action}", events.replace(".Arn", ".StreamArn")) for action in STREAM_ACTIONS),
        ("dynamodb:ListStreams", f"{events}/stream/*"),
        ("dynamodb:Query", events),
        ("dynamodb:BatchGetItem", shipments),
        ("dynamodb:PartiQLInsert", shipments),
        ("dynamodb:PartiQLUpdate", shipments),
        ("events:PutEvents", bus),
        ("sqs:SendMessage", text(failures)),
        ("logs:CreateLogStream", log),
        ("logs:PutLogEvents", log),
        ("xray:PutTraceSegments", "*"),
        ("xray:PutTelemetryRecords", "*"),
    }


def test_watcher_may_do_exactly_what_it_calls(every_template: Template) -> None:
    environment = every_template.environment
    shipments = text(every_template.arn("AWS::DynamoDB::Table", TableName=f"shipments-{environment}"))
    bus = text(every_template.arn("AWS::Events::EventBus", Name=f"shipmentstatus-{environment}"))
    log = text(every_template.arn("AWS::Logs::LogGroup", of=WATCHER))
    role = every_template.properties("AWS::IAM::Role", Description=WATCHER_ROLE)
    assert permissions(role) == {
        ("dynamodb:Query", f"{shipments}/index/open-latest-index"),
        ("dynamodb:BatchGetItem", shipments),
        ("dynamodb:PartiQLUpdate", shipments),
        ("events:PutEvents", bus),
        ("logs:CreateLogStream", log),
        ("logs:PutLogEvents", log),
        ("xray:PutTraceSegments", "*"),
        ("xray:PutTelemetryRecords", "*"),
    }


def test_api_may_do_exactly_what_it_calls(every_template: Template) -> None:
    """Reads, nothing else."""
    environment = every_template.environment
    events = text(every_template.arn("AWS::DynamoDB::Table", **every_template.events_table))
    shipments = text(every_template.arn("AWS::DynamoDB::Table", TableName=f"shipments-{environment}"))
    log = text(every_template.arn("AWS::Logs::LogGroup", of=API))
    role = every_template.properties("AWS::IAM::Role", Description=API_ROLE)
    assert permissions(role) == {
        ("dynamodb:GetItem", shipments),
        ("dynamodb:Query", f"{shipments}/index/status-latest-index"),
        ("dynamodb:Query", f"{shipments}/index/tracking-number-index"),
        ("dynamodb:Query", events),
        ("logs:CreateLogStream", log),
        ("logs:PutLogEvents", log),
        ("xray:PutTraceSegments", "*"),
        ("xray:PutTelemetryRecords", "*"),
    }


def test_only_the_api_of_the_stage_may_invoke_its_function(every_template: Template) -> None:
    (permission,) = (each for _, each in every_template.of_type("AWS::Lambda::Permission"))
    api = every_template.logical_id("AWS::ApiGatewayV2::Api")
    assert permission["FunctionName"] == every_template.ref("AWS::Lambda::Alias", of=API)
    assert (permission["Action"], permission["Principal"]) == (
        "lambda:InvokeFunction",
        "apigateway.amazonaws.com",
    )
    assert text(permission["SourceArn"]) == (
        f"arn:${{AWS::Partition}}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{{api}}}/*/*"
    )


def test_schedule_may_invoke_the_watcher_alone(every_template: Template) -> None:
    role = every_template.properties("AWS::IAM::Role", Description=WATCHER_CALLER)
    alias = text(every_template.ref("AWS::Lambda::Alias", of=WATCHER))
    assert permissions(role) == {("lambda:InvokeFunction", alias)}
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    ((operator, condition),) = trust["Condition"].items()
    assert operator == "StringEquals"
    assert {name: text(value) for name, value in condition.items()} == {
        "aws:SourceAccount": "${AWS::AccountId}",
        "aws:SourceArn": "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}"
        ":schedule-group/default",
    }


def test_roles_grant_in_one_place_only(every_template: Template) -> None:
    for _, role in every_template.of_type("AWS::IAM::Role"):
        assert not role.get("ManagedPolicyArns")
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                assert statement["Effect"] == "Allow"
                assert not {"NotAction", "NotResource"} & statement.keys()
    # Policies and managed policies would be resources of their own.
    assert not every_template.types() & {
        "AWS::IAM::Policy",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::RolePolicy",
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_lambda_takes_the_role_and_the_function_has_it(template: Template, name: str) -> None:
    trust = template.properties("AWS::IAM::Role", of=name)["AssumeRolePolicyDocument"]["Statement"]
    assert trust == [
        {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    ]
    assert template.properties("AWS::Lambda::Function", of=name)["Role"] == template.arn(
        "AWS::IAM::Role", of=name
    )


def test_only_the_rules_may_send_to_the_queues(every_template: Template) -> None:
    environment = every_template.environment
    # As text, since a reference would make the policies wait for the rules.
    rule = (
        "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}"
        f":rule/shipmentevents-{environment}/shipment-event-"
    )
    shipment, unmatched = f"{rule}rule-{environment}", f"{rule}unmatched-{environment}"
    for queue, rules in (
        (f"shipmentevents-queue-{environment}", [shipment]),
        (f"shipmentevents-dlq-{environment}", [shipment, unmatched]),
        # The tracker's role may send here; no other service does.
        (f"shipmenttracker-failures-{environment}", []),
    ):
        statements = every_template.statements(
            "AWS::SQS::QueuePolicy", "Queues", every_template.ref("AWS::SQS::Queue", QueueName=queue)
        )
        allowed = [_without_sid(each) for each in statements if each["Effect"] == "Allow"]
        for statement in allowed:
            arn = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
            statement["Condition"]["ArnEquals"]["aws:SourceArn"] = text(arn)
        assert allowed == [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": every_template.arn("AWS::SQS::Queue", QueueName=queue),
                "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
            }
            for rule in rules
        ]


def test_only_alarms_of_the_stage_publish_to_the_topics(every_template: Template) -> None:
    environment = every_template.environment
    for logical_id, _ in every_template.of_type("AWS::SNS::Topic"):
        topic = {"Ref": logical_id}
        statements = every_template.statements("AWS::SNS::TopicPolicy", "Topics", topic)
        (allowed,) = (each for each in statements if each["Effect"] == "Allow")
        assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert allowed["Action"] == "sns:Publish"
        assert allowed["Resource"] == topic
        assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        assert text(allowed["Condition"]["ArnLike"]["aws:SourceArn"]) == (
            "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}"
            f":alarm:shipmentevents-{environment}-*"
        )


def test_alarms_can_use_the_key_of_their_topics(template: Template) -> None:
    key = template.properties("AWS::KMS::Key")
    statements = [_without_sid(each) for each in key["KeyPolicy"]["Statement"]]
    assert {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
    } in statements
    # The others are the logs, the limit to grants, and the account itself, without which nobody could
    # administer the key.
    assert len(statements) == 4


def test_only_aws_services_may_create_grants_for_the_key(every_template: Template) -> None:
    """The statement that AWS Control Tower's CT.KMS.PV.1 asks for."""
    statements = every_template.properties("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    assert {
        "Sid": "GrantsForServicesOnly",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "kms:CreateGrant",
        "Resource": "*",
        "Condition": {
            "BoolIfExists": {"kms:GrantIsForAWSResource": "false", "aws:PrincipalIsAWSService": "false"}
        },
    } in statements


def _without_sid(statement: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name != "Sid"}
