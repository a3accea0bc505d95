"""Which packs of rules have something to say of what we deploy, measured on its weakest form."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from aws_cdk import App, Stack
from aws_cdk.cloudformation_include import CfnInclude
from cdk_nag import HIPAASecurityChecks, PCIDSS321Checks

from tests.infrastructure.template import Template
from workbench.audit.judges import PACKS

pytestmark = pytest.mark.slow

NIST: Final = "cdk-nag NIST 800-53 R5"
LEFT_OUT: Final = {"HIPAA": HIPAASecurityChecks, "PCI DSS": PCIDSS321Checks}
TO_COME: Final = {"AWS::Events::EventBusPolicy", "AWS::Lambda::Permission"}
"""Types that a further function may bring."""

_ALL: Final = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
_ANYBODY: Final = {"Version": "2012-10-17", "Statement": [_ALL]}
WEAKEST: Final[Mapping[str, Mapping[str, Any]]] = {
    "AWS::ApiGatewayV2::Api": {"Name": "api", "ProtocolType": "HTTP"},
    "AWS::ApiGatewayV2::Authorizer": {"ApiId": "api", "AuthorizerType": "JWT", "Name": "tokens"},
    "AWS::ApiGatewayV2::Integration": {"ApiId": "api", "IntegrationType": "AWS_PROXY"},
    "AWS::ApiGatewayV2::Route": {"ApiId": "api", "AuthorizationType": "NONE", "RouteKey": "GET /"},
    "AWS::ApiGatewayV2::Stage": {"ApiId": "api", "StageName": "$default"},
    "AWS::Scheduler::Schedule": {
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ScheduleExpression": "rate(1 minute)",
        "Target": {"Arn": "function", "RoleArn": "role"},
    },
    "AWS::CloudWatch::Alarm": {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1},
    "AWS::CloudWatch::Dashboard": {"DashboardBody": "{}"},
    "AWS::CodeDeploy::Application": {"ComputePlatform": "Lambda"},
    "AWS::CodeDeploy::DeploymentGroup": {"ApplicationName": "application", "ServiceRoleArn": "role"},
    "AWS::DynamoDB::Table": {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]},
    "AWS::Events::Archive": {"SourceArn": "bus"},
    "AWS::Events::EventBus": {"Name": "bus"},
    "AWS::Events::EventBusPolicy": {"StatementId": "all", "Statement": _ALL},
    "AWS::Events::Rule": {"Targets": [{"Id": "queue", "Arn": "queue"}]},
    "AWS::IAM::Role": {
        "AssumeRolePolicyDocument": _ANYBODY,
        "Policies": [{"PolicyName": "all", "PolicyDocument": _ANYBODY}],
    },
    "AWS::KMS::Key": {},
    "AWS::Lambda::Alias": {"FunctionName": "function", "FunctionVersion": "1", "Name": "live"},
    "AWS::Lambda::EventSourceMapping": {"FunctionName": "function"},
    "AWS::Lambda::Function": {"Code": {"ZipFile": "x"}, "Role": "role", "Runtime": "python3.8"},
    "AWS::Lambda::Permission": {"Action": "*", "FunctionName": "function", "Principal": "*"},
    "AWS::Lambda::Version": {"FunctionName": "function"},
    "AWS::Logs::LogGroup": {},
    "AWS::Logs::MetricFilter": {
        "FilterPattern": "",
        "LogGroupName": "log",
        "MetricTransformations": [
            {"MetricName": "metric", "MetricNamespace": "metrics", "MetricValue": "1"},
        ],
    },
    "AWS::SNS::Subscription": {"Protocol": "http", "TopicArn": "topic"},
    "AWS::SNS::Topic": {},
    "AWS::SNS::TopicPolicy": {"PolicyDocument": _ANYBODY, "Topics": ["topic"]},
    "AWS::SQS::Queue": {},
    "AWS::SQS::QueuePolicy": {"PolicyDocument": _ANYBODY, "Queues": ["queue"]},
}
"""What each type needs to be created, and nothing that makes it safe."""


@pytest.fixture(scope="module")
def found(templates: Mapping[str, Template], tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Rules that the weakest form of all our types breaks, by pack and without the name of the pack."""
    types = sorted(templates["prod"].types() | TO_COME)
    resources = {each.replace(":", ""): {"Type": each, "Properties": WEAKEST[each]} for each in types}
    template = tmp_path_factory.mktemp("weakest") / "weakest.json"
    template.write_text(json.dumps({"Resources": resources}))
    app = App()
    CfnInclude(Stack(app, "Weakest"), "Included", template_file=str(template))
    return {
        name: {rule(each.rule_name) for each in pack(app).validate_scope(app).violations}
        for name, pack in {**PACKS, **LEFT_OUT}.items()
    }


def rule(name: str) -> str:
    return name.rpartition("-")[2]


@pytest.mark.parametrize("pack", LEFT_OUT)
def test_a_pack_that_is_left_out_has_no_rule_of_its_own(found: dict[str, set[str]], pack: str) -> None:
    assert found[pack]
    assert found[pack] <= found[NIST]


@pytest.mark.parametrize("pack", PACKS)
def test_a_pack_that_is_asked_finds_what_no_other_finds(found: dict[str, set[str]], pack: str) -> None:
    others = set[str]().union(*(found[name] for name in PACKS if name != pack))
    assert found[pack] - others
