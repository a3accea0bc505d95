"""What the bill says of the stack is what the template has."""

from dataclasses import replace

from shipment_events.cost.designs import OURS
from shipment_events.cost.usage import monthly_usage
from shipment_events.cost.workload import Workload
from shipment_events.stages import StageSettings, settings_for
from tests.infrastructure.template import API, PROCESSOR, TRACKER, WATCHER, Template
from tests.workbench.test_documents import out_of_date
from workbench.documents import USAGE


def test_alarms_are_counted(every_template: Template) -> None:
    """Each metric of a formula is charged, and so is a single metric."""
    metrics = sum(
        sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1
        for _, alarm in every_template.of_type("AWS::CloudWatch::Alarm")
    )
    assert metrics == _billed(settings_for(every_template.environment))["alarms"]


def test_alarm_on_missing_events_is_counted_where_a_stage_has_it() -> None:
    settings = settings_for("dev")
    expecting = replace(settings, expected_event_hours=6)
    assert _billed(expecting)["alarms"] == _billed(settings)["alarms"] + 1


def test_numbers_of_metrics_are_up_to_date() -> None:
    assert out_of_date(USAGE) == ""


def test_dashboards_keys_and_metrics_are_counted(template: Template) -> None:
    billed = _billed(settings_for("dev"))
    assert len([*template.of_type("AWS::CloudWatch::Dashboard")]) == billed["dashboard"]
    assert len([*template.of_type("AWS::KMS::Key")]) == billed["key of the stage"]
    assert len([*template.of_type("AWS::Logs::MetricFilter")]) == billed["metrics"]


def test_each_function_has_its_price(every_template: Template) -> None:
    billed = {
        PROCESSOR: ("Lambda", "requests"),
        TRACKER: ("Tracking", "function, requests"),
        WATCHER: ("Tracking", "watcher, requests"),
        API: ("API", "function, requests"),
    }
    environment = every_template.environment
    functions = {function["FunctionName"] for _, function in every_template.of_type("AWS::Lambda::Function")}
    assert functions == {f"{name}-{environment}" for name in billed}, (
        "bill requests and duration of each function in shipment_events/cost, and name its line here"
    )
    workload = Workload(events_per_day=1, api_requests_per_day=1)
    usage = monthly_usage(workload, settings_for(environment), OURS)
    lines = [(line.service, line.item) for line in usage if line.price == "lambda_requests"]
    assert sorted(lines) == sorted(billed.values())


def test_nothing_with_a_price_is_left_out(every_template: Template) -> None:
    """A new type of resource needs a look at whether it costs something."""
    free = {
        "AWS::CDK::Metadata",
        # "There is no additional charge for code deployments to … AWS Lambda":
        # https://aws.amazon.com/codedeploy/pricing/
        "AWS::CodeDeploy::Application",
        "AWS::CodeDeploy::DeploymentGroup",
        "AWS::Events::Rule",
        "AWS::IAM::Role",
        "AWS::Lambda::Alias",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Version",
        # The metrics that they make are what costs.
        "AWS::Logs::MetricFilter",
        # E-mails are billed with the topics.
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        # Runs of one schedule, 15 minutes apart, are within the free 14 million a month:
        # https://aws.amazon.com/eventbridge/pricing/
        "AWS::Scheduler::Schedule",
        "AWS::SQS::QueuePolicy",
    }
    billed = {
        # Each request is billed.
        "AWS::ApiGatewayV2::Api",
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
        "AWS::ApiGatewayV2::Stage",
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::DynamoDB::Table",
        "AWS::Events::Archive",
        "AWS::Events::EventBus",
        "AWS::KMS::Key",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
    }
    assert every_template.types() <= free | billed


def test_settings_of_a_stage_can_be_billed() -> None:
    settings = settings_for("prod")
    assert monthly_usage(Workload(events_per_day=1), settings, OURS)


def _billed(settings: StageSettings) -> dict[str, float]:
    usage = monthly_usage(Workload(events_per_day=1), settings, OURS)
    return {line.item: line.quantity for line in usage}
