"""Every row of the public contract, spelled out: these literals are what other teams rely on."""

import json
from collections.abc import Mapping
from typing import Any

from tests.infrastructure.template import PROCESSOR, Template, text


def test_stack_has_the_contract_name_and_a_description(every_template: Template) -> None:
    assert every_template.path.exists()
    assert every_template.environment in every_template.body["Description"]


def test_event_bus(every_template: Template) -> None:
    every_template.properties("AWS::Events::EventBus", Name=f"shipmentevents-{every_template.environment}")


def test_shipment_rule(every_template: Template) -> None:
    environment = every_template.environment
    rule = every_template.properties("AWS::Events::Rule", Name=f"shipment-event-rule-{environment}")
    assert rule["EventBusName"] == every_template.ref("AWS::Events::EventBus", **every_template.event_bus)
    assert rule["EventPattern"] == {"source": ["shipment.service"], "detail-type": [{"prefix": "shipment."}]}
    assert rule.get("State", "ENABLED") == "ENABLED"
    assert rule["Targets"] == [
        {
            "Id": "queue",
            "Arn": every_template.arn("AWS::SQS::Queue", QueueName=f"shipmentevents-queue-{environment}"),
            "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 7200},
            "DeadLetterConfig": {
                "Arn": every_template.arn("AWS::SQS::Queue", QueueName=f"shipmentevents-dlq-{environment}")
            },
        }
    ]


def test_every_other_event_goes_to_the_dead_letter_queue_once(template: Template) -> None:
    rule = template.properties("AWS::Events::Rule", Name="shipment-event-unmatched-dev")
    assert rule["EventBusName"] == template.ref("AWS::Events::EventBus", **template.event_bus)
    assert rule["EventPattern"] == {
        "$or": [
            {"source": [{"anything-but": ["shipment.service"]}]},
            {"detail-type": [{"anything-but": {"prefix": "shipment."}}]},
        ]
    }
    assert rule["Targets"] == [
        {
            "Id": "dead-letter-queue",
            "Arn": template.arn("AWS::SQS::Queue", QueueName="shipmentevents-dlq-dev"),
            "RetryPolicy": {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86_400},
        }
    ]
    assert len(list(template.of_type("AWS::Events::Rule"))) == 2


def test_nothing_is_switched_off(every_template: Template) -> None:
    for resource_type, switch, on in (
        ("AWS::Events::Rule", "State", "ENABLED"),
        ("AWS::Lambda::EventSourceMapping", "Enabled", True),
        ("AWS::CloudWatch::Alarm", "ActionsEnabled", True),
    ):
        states = {
            name: properties.get(switch, on) for name, properties in every_template.of_type(resource_type)
        }
        assert states
        assert set(states.values()) == {on}, states


def test_archive_takes_every_event_of_the_bus(every_template: Template) -> None:
    archive = every_template.properties(
        "AWS::Events::Archive", ArchiveName=f"shipmentevents-archive-{every_template.environment}"
    )
    assert archive["SourceArn"] == every_template.arn("AWS::Events::EventBus", **every_template.event_bus)
    assert archive["RetentionDays"] == 7
    assert "EventPattern" not in archive


def test_queue(every_template: Template) -> None:
    environment = every_template.environment
    queue = every_template.properties("AWS::SQS::Queue", QueueName=f"shipmentevents-queue-{environment}")
    assert queue["VisibilityTimeout"] == 360
    assert queue["MessageRetentionPeriod"] == 4 * 86_400
    assert queue["ReceiveMessageWaitTimeSeconds"] == 20
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": every_template.arn(
            "AWS::SQS::Queue", QueueName=f"shipmentevents-dlq-{environment}"
        ),
        "maxReceiveCount": 3,
    }


def test_dead_letter_queue(every_template: Template) -> None:
    environment = every_template.environment
    queue = every_template.properties("AWS::SQS::Queue", QueueName=f"shipmentevents-dlq-{environment}")
    assert queue["MessageRetentionPeriod"] == 14 * 86_400
    assert queue["VisibilityTimeout"] == 300
    assert "RedrivePolicy" not in queue
    allowed = queue["RedriveAllowPolicy"]
    assert allowed["redrivePermission"] == "byQueue"
    assert [text(arn) for arn in allowed["sourceQueueArns"]] == [
        f"arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:shipmentevents-queue-{environment}"
    ]


def test_processor(every_template: Template) -> None:
    environment = every_template.environment
    function = every_template.properties(
        "AWS::Lambda::Function", FunctionName=f"shipment-event-processor-{environment}"
    )
    assert function["Runtime"] == "python3.12"
    assert function["Architectures"] == ["arm64"]
    assert function["MemorySize"] == 512
    assert function["Timeout"] == 60
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["Handler"] == "shipment_events.processor.handler.handler"
    assert "Layers" not in function
    assert function["Environment"]["Variables"] == {
        "EVENTS_TABLE_NAME": every_template.ref("AWS::DynamoDB::Table", **every_template.events_table),
        "ENVIRONMENT": environment,
        "QUEUE_URL": every_template.ref("AWS::SQS::Queue", QueueName=f"shipmentevents-queue-{environment}"),
        "DEAD_LETTER_QUEUE_URL": every_template.ref(
            "AWS::SQS::Queue", QueueName=f"shipmentevents-dlq-{environment}"
        ),
        "VISIBILITY_TIMEOUT_SECONDS": "360",
        "EVENT_RETENTION_DAYS": "90",
    }


def test_processor_understands_its_environment(template: Template) -> None:
    from shipment_events.processor.settings import ProcessorSettings

    variables = template.properties("AWS::Lambda::Function", of=PROCESSOR)["Environment"]["Variables"]
    settings = ProcessorSettings.from_environment({name: text(value) for name, value in variables.items()})
    assert settings.environment == "dev"
    assert (
        settings.visibility_timeout
        == template.properties("AWS::SQS::Queue", QueueName="shipmentevents-queue-dev")["VisibilityTimeout"]
    )


def test_logs_are_kept_thirty_days_in_a_group_of_the_stack(every_template: Template) -> None:
    name = f"/aws/lambda/shipment-event-processor-{every_template.environment}"
    group = every_template.properties("AWS::Logs::LogGroup", LogGroupName=name)
    assert group["RetentionInDays"] == 30
    function = every_template.properties("AWS::Lambda::Function", of=PROCESSOR)
    assert function["LoggingConfig"]["LogGroup"] == every_template.ref("AWS::Logs::LogGroup", of=PROCESSOR)


def test_lambda_logs_failures_alone_and_every_line_of_ours(every_template: Template) -> None:
    """Lambda refuses levels without the format."""
    logging = every_template.properties("AWS::Lambda::Function", of=PROCESSOR)["LoggingConfig"]
    assert logging["LogFormat"] == "JSON"
    assert logging["SystemLogLevel"] == "WARN"
    assert logging["ApplicationLogLevel"] == "INFO"


def test_event_source(template: Template) -> None:
    source = template.properties("AWS::Lambda::EventSourceMapping", of=PROCESSOR)
    assert source["EventSourceArn"] == template.arn("AWS::SQS::Queue", QueueName="shipmentevents-queue-dev")
    assert source["FunctionName"] == template.ref("AWS::Lambda::Alias", of=PROCESSOR, Name="live")
    assert template.properties("AWS::Lambda::Alias", of=PROCESSOR)["FunctionName"] == template.ref(
        "AWS::Lambda::Function", of=PROCESSOR
    )
    assert source["BatchSize"] == 10
    assert source["ScalingConfig"] == {"MaximumConcurrency": 10}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["MaximumBatchingWindowInSeconds"] == 0
    assert source.get("Enabled", True)


def test_table(every_template: Template) -> None:
    table = every_template.properties(
        "AWS::DynamoDB::Table", TableName=f"shipmentevents-{every_template.environment}"
    )
    assert table["KeySchema"] == _keys("shipment_id", "event_timestamp")
    assert {each["AttributeType"] for each in table["AttributeDefinitions"]} == {"S"}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "status-timestamp-index",
            "KeySchema": _keys("processing_status", "event_timestamp"),
            "Projection": {"ProjectionType": "ALL"},
        }
    ]


def test_data_survives_its_stack(every_template: Template) -> None:
    for resource in every_template.resources.values():
        if resource["Type"] in {"AWS::DynamoDB::Table", "AWS::SQS::Queue"}:
            # Not from the rollback of its own creation: its name would be in the way of the next try.
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
            assert resource["UpdateReplacePolicy"] == "Retain"


def test_what_holds_no_data_does_not_block_the_next_stack(template: Template) -> None:
    group = template.resources[template.logical_id("AWS::Logs::LogGroup", of=PROCESSOR)]
    assert group["DeletionPolicy"] == "Delete"


def test_deletion_protection_where_the_stage_says_so(templates: Mapping[str, Template]) -> None:
    protected = {
        name: {table["DeletionProtectionEnabled"] for _, table in template.of_type("AWS::DynamoDB::Table")}
        for name, template in templates.items()
    }
    assert protected == {"dev": {False}, "staging": {True}, "prod": {True}}


def test_stack_itself_is_protected_like_its_table(templates: Mapping[str, Template]) -> None:
    """Termination protection is no part of a template: CDK's manifest carries it to the deployment."""
    protected = {}
    for name, template in templates.items():
        manifest = json.loads((template.folder / "manifest.json").read_text())
        stack = manifest["artifacts"][f"shipmentevents-{name}"]["properties"]
        protected[name] = stack.get("terminationProtection", False)
    assert protected == {"dev": False, "staging": True, "prod": True}


def test_outputs(every_template: Template) -> None:
    environment = every_template.environment
    outputs = {name: output["Value"] for name, output in every_template.body["Outputs"].items()}
    url = outputs.pop("DashboardURL")
    assert outputs == {
        "SQSQueueURL": every_template.ref("AWS::SQS::Queue", QueueName=f"shipmentevents-queue-{environment}"),
        "DeadLetterQueueURL": every_template.ref(
            "AWS::SQS::Queue", QueueName=f"shipmentevents-dlq-{environment}"
        ),
        "ProcessorLambdaARN": every_template.arn("AWS::Lambda::Function", of=PROCESSOR),
        "EventsTableName": every_template.ref("AWS::DynamoDB::Table", **every_template.events_table),
        "EventBusName": every_template.ref("AWS::Events::EventBus", **every_template.event_bus),
        "ArchiveName": every_template.ref(
            "AWS::Events::Archive", ArchiveName=f"shipmentevents-archive-{environment}"
        ),
        "ShipmentsTableName": every_template.ref(
            "AWS::DynamoDB::Table", TableName=f"shipments-{environment}"
        ),
        "ApiURL": {"Fn::GetAtt": [every_template.logical_id("AWS::ApiGatewayV2::Api"), "ApiEndpoint"]},
        "StatusBusName": every_template.ref("AWS::Events::EventBus", Name=f"shipmentstatus-{environment}"),
    }
    assert text(url) == (
        "https://${AWS::Region}.${map:${AWS::Partition}:Console}/cloudwatch/home"
        f"?region=${{AWS::Region}}#dashboards/dashboard/shipmentevents-{environment}"
    )
    assert every_template.properties("AWS::CloudWatch::Dashboard")["DashboardName"] == (
        f"shipmentevents-{environment}"
    )


def test_everything_that_takes_tags_says_whose_it_is(every_template: Template) -> None:
    untaggable = {
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
        "AWS::Lambda::Permission",
        "AWS::SQS::QueuePolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::Events::Archive",
        "AWS::CloudWatch::Dashboard",
        "AWS::Lambda::Alias",
        "AWS::Lambda::Version",
        "AWS::Logs::MetricFilter",
        # Only a group of schedules has tags.
        "AWS::Scheduler::Schedule",
    }
    for logical_id, resource in every_template.resources.items():
        if resource["Type"] in untaggable:
            continue
        found = resource["Properties"].get("Tags", ())
        # The tags of API Gateway are an object.
        tags = found if isinstance(found, dict) else {tag["Key"]: tag["Value"] for tag in found}
        assert tags == {
            "project": "shipment-events",
            "environment": every_template.environment,
            "managed-by": "aws-cdk",
        }, logical_id


def _keys(partition: str, sort: str) -> list[dict[str, Any]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]
