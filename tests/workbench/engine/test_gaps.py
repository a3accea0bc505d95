"""What is taken out of a template for the engine, and that the documentation says so."""

import copy
from typing import Any

from shipment_events.contract import names
from workbench.engine import gaps
from workbench.engine.gaps import GAPS
from workbench.engine.template import fill_in, prepare, public_outputs

ENDPOINT = "http://127.0.0.1:4566"
BUS_ARN = {"Fn::GetAtt": ["Bus", "Arn"]}


def template(**resources: Any) -> dict[str, Any]:
    return {"Resources": {"Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "b"}}, **resources}}


def archive(**extra: Any) -> dict[str, Any]:
    properties = {"ArchiveName": "history", "SourceArn": BUS_ARN, "RetentionDays": 7}
    return {"Type": "AWS::Events::Archive", "Properties": properties, **extra}


def role(*statements: dict[str, Any]) -> dict[str, Any]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"Policies": [{"PolicyName": "p", "PolicyDocument": document}]},
    }


def allow(*actions: str, resource: Any = "arn:r") -> dict[str, Any]:
    action: Any = actions[0] if len(actions) == 1 else list(actions)
    return {"Effect": "Allow", "Action": action, "Resource": resource}


DENY_PLAIN_HTTP = {
    "Effect": "Deny",
    "Action": "sqs:*",
    "Principal": {"AWS": "*"},
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def test_leaves_the_given_template_and_an_ordinary_one_alone() -> None:
    given = template(Archive=archive(), Role=role(allow("sqs:SendMessage")))
    before = copy.deepcopy(given)
    prepare(given, ENDPOINT)
    assert given == before

    plain = template(Queue={"Type": "AWS::SQS::Queue"})
    assert prepare(plain, ENDPOINT).template == plain
    assert prepare(plain, ENDPOINT).substitutions == ()


def test_an_archive_is_created_later_with_what_the_stack_knows_by_then() -> None:
    prepared = prepare(template(Archive=archive()), ENDPOINT)
    assert "Archive" not in prepared.template["Resources"]
    [(helper, output)] = prepared.template["Outputs"].items()
    assert output == {"Value": BUS_ARN}

    [later] = prepared.archives
    assert fill_in(later, {helper: "arn:bus"}) == {
        "ArchiveName": "history",
        "SourceArn": "arn:bus",
        "RetentionDays": 7,
    }
    assert public_outputs({helper: "arn:bus", "TableName": "t"}) == {"TableName": "t"}


def test_the_pipeline_is_told_that_the_queues_are_exact() -> None:
    given = template(Queue={"Type": "AWS::SQS::Queue"})
    given["Outputs"] = {names.OUTPUT_QUEUE_URL: {"Value": {"Ref": "Queue"}}}
    outputs = prepare(given, ENDPOINT).template["Outputs"]
    assert outputs[names.OUTPUT_EXACT_COUNTS] == {"Value": "true"}
    assert public_outputs(outputs).keys() == {names.OUTPUT_QUEUE_URL}


def test_what_refers_to_something_left_out_still_resolves() -> None:
    given = template(
        Archive=archive(),
        Queue={"Type": "AWS::SQS::Queue", "DependsOn": ["Archive", "Bus"]},
        Topic={"Type": "AWS::SNS::Topic", "DependsOn": "Archive"},
    )
    given["Outputs"] = {
        "Name": {"Value": {"Ref": "Archive"}},
        "Arn": {"Value": {"Fn::Join": ["", ["x", {"Fn::GetAtt": ["Archive", "Arn"]}]]}},
    }
    prepared = prepare(given, ENDPOINT)
    outputs = prepared.template["Outputs"]
    assert outputs["Name"]["Value"] == "history"
    arn = "arn:aws:events:us-east-1:000000000000:archive/history"
    assert outputs["Arn"]["Value"] == {"Fn::Join": ["", ["x", arn]]}
    assert prepared.template["Resources"]["Queue"]["DependsOn"] == ["Bus"]
    assert prepared.template["Resources"]["Topic"]["DependsOn"] == []


def test_alarms_on_a_formula_are_left_out_and_named_while_plain_ones_stay() -> None:
    formula = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "rate", "Metrics": [{}]}}
    plain = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "depth", "MetricName": "m"}}
    prepared = prepare(template(Formula=formula, Plain=plain), ENDPOINT)
    assert "Formula" not in prepared.template["Resources"]
    assert prepared.template["Resources"]["Plain"] == plain
    assert [(item.gap, item.name) for item in prepared.substitutions] == [(gaps.METRIC_MATH_ALARM, "rate")]
    assert prepared.archives == ()


def test_roles_get_what_the_engine_asks_for_and_nothing_without_the_real_permission() -> None:
    prepared = prepare(
        template(
            Role=role(
                allow("dynamodb:PartiQLInsert", "dynamodb:BatchGetItem", resource="arn:table"),
                allow("sqs:SendMessage", resource="arn:dlq"),
                allow("sqs:GetQueueAttributes", resource="arn:queue"),
            )
        ),
        ENDPOINT,
    )
    policy = prepared.template["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"]
    assert policy["Statement"][3:] == [
        {"Effect": "Allow", "Action": ["dynamodb:BatchExecuteStatement"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["sqs:SendMessageBatch"], "Resource": "arn:dlq"},
    ]


def test_a_role_that_only_updates_may_do_so_in_batches_too() -> None:
    prepared = prepare(template(Role=role(allow("dynamodb:PartiQLUpdate", resource="arn:table"))), ENDPOINT)
    policy = prepared.template["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"]
    batch = {"Effect": "Allow", "Action": ["dynamodb:BatchExecuteStatement"], "Resource": "*"}
    assert policy["Statement"][1:] == [batch]


def test_only_the_denial_of_plain_http_is_taken_out_of_policies() -> None:
    def policy(*statements: dict[str, Any]) -> dict[str, Any]:
        document = {"Statement": list(statements)}
        return {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [], "PolicyDocument": document}}

    other_denial = {**DENY_PLAIN_HTTP, "Condition": {"Bool": {"aws:PrincipalIsAWSService": "false"}}}
    prepared = prepare(
        template(
            Mixed=policy(DENY_PLAIN_HTTP, allow("sqs:SendMessage"), other_denial),
            Only=policy(DENY_PLAIN_HTTP),
        ),
        ENDPOINT,
    )
    resources = prepared.template["Resources"]
    assert resources["Mixed"]["Properties"]["PolicyDocument"]["Statement"] == [
        allow("sqs:SendMessage"),
        other_denial,
    ]
    assert "Only" not in resources, "a policy without statements is no policy"


def test_event_sources_invoke_the_function_itself() -> None:
    version = {"Fn::GetAtt": ["Version1", "Version"]}
    group = {"Ref": "Group"}
    prepared = prepare(
        template(
            Function={"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "f"}},
            Version1={"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Function"}}},
            Live={
                "Type": "AWS::Lambda::Alias",
                "Properties": {
                    "FunctionName": {"Ref": "Function"},
                    "FunctionVersion": version,
                    "Name": "live",
                },
                "UpdatePolicy": {"CodeDeployLambdaAliasUpdate": {"DeploymentGroupName": group}},
            },
            Application={"Type": "AWS::CodeDeploy::Application"},
            Group={
                "Type": "AWS::CodeDeploy::DeploymentGroup",
                "Properties": {"ApplicationName": {"Ref": "Application"}},
            },
            Source={
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {"FunctionName": {"Ref": "Live"}},
            },
            Guard={
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {"Dimensions": [{"Name": "ExecutedVersion", "Value": version}]},
            },
        ),
        ENDPOINT,
    )
    resources = prepared.template["Resources"]
    assert resources["Source"]["Properties"]["FunctionName"] == {"Fn::GetAtt": ["Function", "Arn"]}
    assert resources["Guard"]["Properties"]["Dimensions"] == [{"Name": "ExecutedVersion", "Value": "$LATEST"}]
    assert not {"Version1", "Live", "Application", "Group"} & resources.keys()
    named = [each.name for each in prepared.substitutions if each.gap is gaps.ROLLOUT]
    assert sorted(named) == ["Alias", "Application", "DeploymentGroup", "Version"]


def test_the_bootstrap_check_is_dropped() -> None:
    given = template()
    given["Parameters"] = {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>"}}
    given["Rules"] = {"CheckBootstrapVersion": {"Assertions": []}}
    prepared = prepare(given, ENDPOINT).template
    assert "BootstrapVersion" not in prepared["Parameters"]
    assert "CheckBootstrapVersion" not in prepared["Rules"]


def test_settings_of_a_table_that_the_deploy_ignores_are_named() -> None:
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": "t",
            "TimeToLiveSpecification": {"AttributeName": "x", "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        },
    }
    assert [item.gap for item in prepare(template(Table=table), ENDPOINT).substitutions] == [
        gaps.TIME_TO_LIVE,
        gaps.POINT_IN_TIME_RECOVERY,
    ]


def test_no_gap_is_listed_twice() -> None:
    assert len({gap.subject for gap in GAPS}) == len(GAPS)


def test_the_engine_sends_the_time_of_a_schedule_in_an_event_of_its_own() -> None:
    def schedule(**target: str) -> dict[str, Any]:
        return {"Type": "AWS::Scheduler::Schedule", "Properties": {"Target": {"Arn": "arn:f", **target}}}

    timed, fixed = (schedule(Input=text) for text in ('{"time": "<aws.scheduler.scheduled-time>"}', "{}"))
    prepared = prepare(template(Timed=timed, Fixed=fixed), ENDPOINT)
    assert prepared.template["Resources"]["Timed"] == schedule()
    assert prepared.template["Resources"]["Fixed"] == fixed
    assert [(each.gap, each.name) for each in prepared.substitutions] == [(gaps.SCHEDULED_TIME, "Timed")]


def test_the_api_has_an_address_that_every_machine_knows() -> None:
    given = template(Api={"Type": "AWS::ApiGatewayV2::Api"})
    given["Outputs"] = {names.OUTPUT_API_URL: {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}}}
    prepared = prepare(given, ENDPOINT)
    assert prepared.template["Outputs"][names.OUTPUT_API_URL]["Value"] == {
        "Fn::Join": ["", [f"{ENDPOINT}/_aws/execute-api/", {"Ref": "Api"}, "/$default"]]
    }
    assert [each.gap for each in prepared.substitutions] == [gaps.API_ADDRESS]
