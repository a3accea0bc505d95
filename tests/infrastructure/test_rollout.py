"""A new version of the processor: who shifts the alias, what stops it, and how soon."""

from collections.abc import Mapping
from typing import Any

import pytest

from infrastructure.metrics import PipelineMetrics
from infrastructure.rollout import guard_specs
from shipment_events.stage_limits import CANARY_MINUTES
from shipment_events.stages import STAGES
from tests.infrastructure.template import PROCESSOR, TRACKER, Template, permissions, text
from workbench.engine.template import prepare

VERSION = "AWS::Lambda::Version"
ALIAS = "AWS::Lambda::Alias"
GROUP = "AWS::CodeDeploy::DeploymentGroup"
GUARDS = {"new-version-errors", "new-version-failed", "new-version-slow"}

REPORTING_SECONDS = 120
"""Lambda and metric filters report every minute; another one for the alarm to look at it."""


@pytest.fixture(params=["staging", "prod"])
def guarded(request: pytest.FixtureRequest, templates: Mapping[str, Template]) -> Template:
    """Template of each stage that tries a new version first."""
    return templates[request.param]


def test_alias_names_a_published_version_of_the_function(every_template: Template) -> None:
    alias = every_template.properties(ALIAS, of=PROCESSOR)
    assert alias["Name"] == "live"
    assert alias["FunctionName"] == every_template.ref("AWS::Lambda::Function", of=PROCESSOR)
    assert alias["FunctionVersion"] == {
        "Fn::GetAtt": [every_template.logical_id(VERSION, of=PROCESSOR), "Version"]
    }
    assert "RoutingConfig" not in alias


def test_older_versions_stay_and_one_that_failed_does_not(every_template: Template) -> None:
    version = every_template.resources[every_template.logical_id(VERSION, of=PROCESSOR)]
    assert version["UpdateReplacePolicy"] == "Retain"
    assert version["DeletionPolicy"] == "RetainExceptOnCreate"


def test_an_environment_variable_alone_makes_a_new_version(templates: Mapping[str, Template]) -> None:
    """Same code in both stages, another environment: CloudFormation publishes only what has a new id."""
    staging, prod = (templates[name].logical_id(VERSION, of=PROCESSOR) for name in ("staging", "prod"))
    code = [
        templates[name].properties("AWS::Lambda::Function", of=PROCESSOR)["Code"]
        for name in ("staging", "prod")
    ]
    assert code[0] == code[1]
    assert staging != prod


def test_dev_takes_a_new_version_at_once(template: Template) -> None:
    assert GROUP not in template.types()
    assert "UpdatePolicy" not in template.resources[template.logical_id(ALIAS, of=PROCESSOR)]
    assert not [name for name in _alarm_names(template) if "new-version" in name]


def test_a_tenth_of_the_batches_tries_it_elsewhere(guarded: Template) -> None:
    alias = guarded.resources[guarded.logical_id(ALIAS, of=PROCESSOR)]
    assert alias["UpdatePolicy"] == {
        "CodeDeployLambdaAliasUpdate": {
            "ApplicationName": guarded.ref("AWS::CodeDeploy::Application"),
            "DeploymentGroupName": guarded.ref(GROUP),
        }
    }
    group = guarded.properties(GROUP)
    assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent10Minutes"
    assert group["DeploymentStyle"] == {
        "DeploymentOption": "WITH_TRAFFIC_CONTROL",
        "DeploymentType": "BLUE_GREEN",
    }
    assert guarded.properties("AWS::CodeDeploy::Application")["ComputePlatform"] == "Lambda"


def test_every_bad_sign_takes_it_back(guarded: Template) -> None:
    group = guarded.properties(GROUP)
    assert group["AutoRollbackConfiguration"]["Enabled"] is True
    assert set(group["AutoRollbackConfiguration"]["Events"]) == {
        "DEPLOYMENT_FAILURE",
        "DEPLOYMENT_STOP_ON_ALARM",
        "DEPLOYMENT_STOP_ON_REQUEST",
    }
    alarms = group["AlarmConfiguration"]
    assert alarms["Enabled"] is True
    assert not alarms.get("IgnorePollAlarmFailure")
    names = {
        text(guarded.resources[alarm["Name"]["Ref"]]["Properties"]["AlarmName"]) for alarm in alarms["Alarms"]
    }
    assert names == {_guard_name(guarded, guard) for guard in GUARDS}


def test_each_version_has_guards_of_its_own(guarded: Template) -> None:
    """Under one name, a guard that is on because of this version would stop the next one, which mends it."""
    number = f"${{{guarded.logical_id(VERSION, of=PROCESSOR)}.Version}}"
    assert all(_guard_name(guarded, guard).endswith(f"-{number}") for guard in GUARDS)


def test_guards_see_the_new_version_only(guarded: Template) -> None:
    """One that saw the old version too would forbid the deployment that mends it."""
    version = {"Fn::GetAtt": [guarded.logical_id(VERSION, of=PROCESSOR), "Version"]}
    function = f"shipment-event-processor-{guarded.environment}"
    of_lambda = {"FunctionName": function, "Resource": f"{function}:live", "ExecutedVersion": version}
    expected = {
        "new-version-errors": ("AWS/Lambda", "Errors", "Sum", of_lambda),
        "new-version-slow": ("AWS/Lambda", "Duration", "Maximum", of_lambda),
    }
    for name, watched in expected.items():
        alarm = _guard(guarded, name)
        dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"], dimensions) == watched


def test_share_of_failed_events_is_that_of_the_new_version_alone(guarded: Template) -> None:
    """Of events and not of batches: a batch of one is not as much as one of ten."""
    version = {"Fn::GetAtt": [guarded.logical_id(VERSION, of=PROCESSOR), "Version"]}
    by_id = {each["Id"]: each for each in _guard(guarded, "new-version-failed")["Metrics"]}
    (share,) = (each for each in by_id.values() if "Expression" in each)
    assert share["Expression"] == "failed / settled * 100"
    for name in ("failed", "settled"):
        stat = by_id[name]["MetricStat"]
        dimensions = {each["Name"]: each["Value"] for each in stat["Metric"]["Dimensions"]}
        assert (stat["Metric"]["Namespace"], stat["Metric"]["MetricName"], stat["Stat"], stat["Period"]) == (
            "ShipmentEvents", name.capitalize(), "Sum", 60,
        )  # fmt: skip
        assert dimensions == {"Environment": guarded.environment, "FunctionVersion": version}
        assert not by_id[name]["ReturnData"]
    assert _guard(guarded, "new-version-failed")["Threshold"] == 20


@pytest.mark.parametrize("minutes", CANARY_MINUTES)
def test_each_guard_goes_off_within_the_shortest_canary_and_silence_is_no_sign(minutes: int) -> None:
    """The worst case: every invocation runs into its timeout, and only then says anything."""
    settings = STAGES["prod"]
    for spec in guard_specs(settings, "7"):
        measured = spec.metric.to_metric_config()
        stat, formula = measured.metric_stat, measured.math_expression
        period = stat.period.to_seconds() if stat else formula.period  # type: ignore[union-attr]
        seconds = settings.processor_timeout_seconds + spec.periods * period + REPORTING_SECONDS
        assert seconds <= minutes * 60, spec.name
        # Values that come late are still inside the window.
        window = (spec.within_periods or spec.periods) * period
        assert window >= settings.processor_timeout_seconds + spec.periods * period, spec.name
        assert not spec.silence_is_bad


@pytest.mark.parametrize(
    ("guard", "minutes", "goes_off"),
    [
        # A version that crashes now and then, and one that only ever is slow.
        ("new-version-errors", [0, 1, 0], True),
        ("new-version-errors", [0, 0, 0], False),
        ("new-version-slow", [900, 48_000, 900], True),
        ("new-version-slow", [900, 10_500, 900], False),
        # One that can store nothing; one bad event of two in one minute; a producer's usual few.
        ("new-version-failed", [100, 100, 100, 100, 100], True),
        ("new-version-failed", [0, 30, 0, 30, 0], True),
        ("new-version-failed", [0, 50, 0, 0, 0], False),
        ("new-version-failed", [1, 2, 1, 2, 1], False),
    ],
)
def test_a_bad_version_trips_its_guard_and_a_good_one_does_not(
    templates: Mapping[str, Template], guard: str, minutes: list[float], goes_off: bool
) -> None:
    alarm = _guard(templates["prod"], guard)
    assert len(minutes) == alarm["EvaluationPeriods"]
    bad = {
        "GreaterThanThreshold": lambda value: value > alarm["Threshold"],
        "GreaterThanOrEqualToThreshold": lambda value: value >= alarm["Threshold"],
    }[alarm["ComparisonOperator"]]
    assert (sum(map(bad, minutes)) >= alarm["DatapointsToAlarm"]) is goes_off


def test_codedeploy_may_do_exactly_what_it_calls(guarded: Template) -> None:
    role = guarded.properties(
        "AWS::IAM::Role", Description="Exactly what CodeDeploy calls to shift the processor's alias"
    )
    assert not role.get("ManagedPolicyArns")
    function = text(guarded.arn("AWS::Lambda::Function", of=PROCESSOR))
    allowed = permissions(role)
    alias_actions = ("lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig")
    assert allowed == {
        *((action, resource) for action in alias_actions for resource in (function, f"{function}:*")),
        ("cloudwatch:DescribeAlarms", "*"),
    }
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "codedeploy.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert guarded.properties(GROUP)["ServiceRoleArn"] == {
        "Fn::GetAtt": [guarded.logical_id("AWS::IAM::Role", Description=role["Description"]), "Arn"]
    }


def test_engine_runs_every_stage_without_what_it_does_not_know(every_template: Template) -> None:
    prepared = prepare(every_template.body, "http://127.0.0.1:4566").template
    types = {resource["Type"] for resource in prepared["Resources"].values()}
    assert not [each for each in types if "CodeDeploy" in each or each in (ALIAS, VERSION)]
    invoked = [
        each["Properties"]["FunctionName"]
        for each in prepared["Resources"].values()
        if each["Type"] == "AWS::Lambda::EventSourceMapping"
    ]
    assert invoked == [every_template.arn("AWS::Lambda::Function", of=name) for name in (PROCESSOR, TRACKER)]


def test_metrics_of_a_version_are_named_by_the_contract() -> None:
    metrics = PipelineMetrics("prod", period_seconds=60)
    assert metrics.version("shipment-event-processor-prod", "7", "Errors", "Sum").dimensions == {
        "FunctionName": "shipment-event-processor-prod",
        "Resource": "shipment-event-processor-prod:live",
        "ExecutedVersion": "7",
    }


def _guard(template: Template, name: str) -> dict[str, Any]:
    wanted = _guard_name(template, name)
    (alarm,) = (
        alarm for _, alarm in template.of_type("AWS::CloudWatch::Alarm") if text(alarm["AlarmName"]) == wanted
    )
    return alarm


def _guard_name(template: Template, name: str) -> str:
    version = template.logical_id(VERSION, of=PROCESSOR)
    return f"shipmentevents-{template.environment}-{name}-${{{version}.Version}}"


def _alarm_names(template: Template) -> list[str]:
    return [text(alarm["AlarmName"]) for _, alarm in template.of_type("AWS::CloudWatch::Alarm")]
