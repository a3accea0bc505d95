"""What the bill says of the stack is what the template has."""

from shipment_events.contract.names import FAILED_METRIC, LATENCY_METRIC, SETTLED_METRIC
from shipment_events.contract.outcome import Outcome
from shipment_events.cost import usage
from shipment_events.cost.designs import OURS
from shipment_events.cost.usage import monthly_usage
from shipment_events.cost.workload import Workload
from shipment_events.stages import settings_for
from tests.infrastructure.template import Template


def test_alarms_are_counted(every_template: Template) -> None:
    """Each metric of a formula is charged, and so is a single metric."""
    metrics = sum(
        sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1
        for _, alarm in every_template.of_type("AWS::CloudWatch::Alarm")
    )
    settings = settings_for(every_template.environment)
    billed = {line.item: line.quantity for line in monthly_usage(Workload(events_per_day=1), settings, OURS)}
    assert metrics == billed["alarms"], "ALARM_METRICS in shipment_events/cost/usage.py has to follow"


def test_dashboards_keys_and_metrics_are_counted(template: Template) -> None:
    assert len([*template.of_type("AWS::CloudWatch::Dashboard")]) == usage.DASHBOARDS
    assert len([*template.of_type("AWS::KMS::Key")]) == 1
    own = {*(outcome.metric for outcome in Outcome), LATENCY_METRIC, FAILED_METRIC, SETTLED_METRIC}
    assert len(own) == usage.OWN_METRICS


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
        "AWS::Lambda::Version",
        # The metrics that they make are what costs.
        "AWS::Logs::MetricFilter",
        # E-mails are billed with the topics.
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }
    billed = {
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
