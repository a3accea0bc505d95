"""Encryption, TLS, no custom code in the deployment, and the tools that judge all of it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shipment_events.stages import STAGES, settings_for
from tests.infrastructure.template import API, FUNCTIONS, Template, as_list, text

ALLOWED_TYPES = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::DynamoDB::Table",
    "AWS::Events::Archive",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::Scheduler::Schedule",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
}
ROLLOUT_TYPES = {"AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup"}


def test_no_custom_resource_and_nothing_unexpected(every_template: Template) -> None:
    rollout = set() if every_template.environment == "dev" else ROLLOUT_TYPES
    assert every_template.types() == ALLOWED_TYPES | rollout
    # CDK gives none of its own functions a name.
    assert all("FunctionName" in function for _, function in every_template.of_type("AWS::Lambda::Function"))


def test_encryption_at_rest(every_template: Template) -> None:
    for _, table in every_template.of_type("AWS::DynamoDB::Table"):
        assert table["SSESpecification"] == {"SSEEnabled": True}
    for _, queue in every_template.of_type("AWS::SQS::Queue"):
        assert queue["SqsManagedSseEnabled"] is True
    key = every_template.arn("AWS::KMS::Key")
    topics = list(every_template.of_type("AWS::SNS::Topic"))
    assert len(topics) == 2
    for _, topic in topics:
        assert topic["KmsMasterKeyId"] == key
    assert every_template.properties("AWS::KMS::Key")["EnableKeyRotation"] is True


def test_queues_refuse_plain_http(every_template: Template) -> None:
    for logical_id, _ in every_template.of_type("AWS::SQS::Queue"):
        statements = every_template.statements("AWS::SQS::QueuePolicy", "Queues", {"Ref": logical_id})
        _assert_plain_http_denied(statements, "sqs:*", {"Fn::GetAtt": [logical_id, "Arn"]})


def test_topics_refuse_plain_http(every_template: Template) -> None:
    for logical_id, _ in every_template.of_type("AWS::SNS::Topic"):
        statements = every_template.statements("AWS::SNS::TopicPolicy", "Topics", {"Ref": logical_id})
        _assert_plain_http_denied(statements, "sns:Publish", {"Ref": logical_id})


@pytest.mark.parametrize("name", ["shipmentevents", "shipments"])
def test_table_refuses_plain_http(every_template: Template, name: str) -> None:
    name = f"{name}-{every_template.environment}"
    table = every_template.properties("AWS::DynamoDB::Table", TableName=name)
    (statement,) = table["ResourcePolicy"]["PolicyDocument"]["Statement"]
    _assert_plain_http_denied([statement], "dynamodb:*", statement["Resource"])
    arn = f"arn:${{AWS::Partition}}:dynamodb:${{AWS::Region}}:${{AWS::AccountId}}:table/{name}"
    assert [text(resource) for resource in statement["Resource"]] == [arn, f"{arn}/index/*"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_cfn_lint_has_no_finding(templates: Mapping[str, Template], stage: str) -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    run = subprocess.run(
        [str(linter), str(templates[stage].path)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_checkov_and_cfn_lint_are_told_in_the_template_what_is_accepted(
    template: Template, name: str
) -> None:
    """Somebody else's scan of the template reports no more than ours does."""
    function = template.resources[template.logical_id("AWS::Lambda::Function", of=name)]["Metadata"]
    assert function["cfn-lint"] == {"config": {"ignore_checks": ["W3005"]}}
    skipped = function["checkov"]["skip"]
    assert {each["id"] for each in skipped} == {"CKV_AWS_115", "CKV_AWS_116", "CKV_AWS_117", "CKV_AWS_173"}
    assert all(each["comment"] for each in skipped)


def test_logs_are_encrypted_with_the_key_that_only_they_may_use(every_template: Template) -> None:
    for _, group in every_template.of_type("AWS::Logs::LogGroup"):
        assert group["KmsKeyId"] == every_template.arn("AWS::KMS::Key")
    key = every_template.properties("AWS::KMS::Key")
    (statement,) = (each for each in key["KeyPolicy"]["Statement"] if each.get("Sid") == "AllowLogs")
    assert statement["Principal"] == {
        "Service": {"Fn::Join": ["", ["logs.", {"Ref": "AWS::Region"}, ".", {"Ref": "AWS::URLSuffix"}]]}
    }
    (condition,) = statement["Condition"].values()
    assert [text(arn) for arn in condition["kms:EncryptionContext:aws:logs:arn"]] == [
        "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
        f":log-group:/aws/{name}-{every_template.environment}"
        for name in (*(f"lambda/{each}" for each in FUNCTIONS), f"apigateway/{API}")
    ]


def test_new_weakness_fails_the_synthesis(tmp_path: Path) -> None:
    """A finding that nobody foresaw, rather than one whose acknowledgement was taken away."""
    from aws_cdk import Stack
    from aws_cdk import aws_sqs as sqs

    from infrastructure.app import build_app

    app = build_app(settings_for("dev"), tmp_path / "assembly")
    stack = app.node.find_child("shipmentevents-dev")
    assert isinstance(stack, Stack)
    sqs.Queue(stack, "PlainHttpQueue")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    assert "AwsSolutions-SQS4" in (tmp_path / "assembly" / "validation-report.json").read_text()


def _assert_plain_http_denied(statements: list[dict[str, Any]], action: str, resource: Any) -> None:
    (denied,) = (each for each in statements if each["Effect"] == "Deny")
    assert as_list(denied["Action"]) == [action]
    assert denied["Principal"] in ("*", {"AWS": "*"})
    assert denied["Resource"] == resource
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
