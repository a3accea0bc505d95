"""The app as a command: which stage it takes, what it says, where it writes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shipment_events.stages import STAGES
from tests.infrastructure.conftest import REPOSITORY
from tests.infrastructure.template import Template, text
from workbench.loss_modes.rules import breaches


def test_refusal_of_a_stage_is_one_line_and_a_status(tmp_path: Path) -> None:
    run = _synthesize(tmp_path, ENV="qa")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "error: 'qa' is not a stage; allowed: dev, staging, prod\n"
    assert not _written(tmp_path / "assembly")


def test_stage_is_dev_unless_chosen_and_nothing_else_is_needed(tmp_path: Path) -> None:
    run = _synthesize(tmp_path)
    assert run.returncode == 0, run.stderr
    assert _written(tmp_path / "assembly") == ["shipmentevents-dev.template.json"]
    # Its settings say why nobody has to be told; the rule against that sees it all the same.
    template = Template(tmp_path / "assembly", "dev")
    assert "AWS::SNS::Subscription" not in template.types()
    assert {breach.rule.name for breach in breaches(template.body)} == {"AlarmReceiver"}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ENV": ""}, "'' is not a stage; allowed: dev, staging, prod"),
        ({"ENV": "Prod"}, "'Prod' is not a stage; allowed: dev, staging, prod"),
        ({"ALARM_EMAIL": "nobody"}, "alarm_emails has 'nobody', which is not an e-mail address"),
        ({"ALARMS_WITHOUT_RECEIVERS": " "}, "alarms_without_receivers is empty, expected a reason"),
        ({"SLACK_CHANNEL": "C0ALARMS1"}, "a Slack channel needs both SLACK_WORKSPACE and SLACK_CHANNEL"),
        ({"SLACK_WORKSPACE": "T0EXAMPLE"}, "a Slack channel needs both SLACK_WORKSPACE and SLACK_CHANNEL"),
        (
            {"SLACK_WORKSPACE": "T0EXAMPLE", "SLACK_CHANNEL": "#alarms"},
            "slack_channel is '#alarms', expected a Slack id: C, then capitals and digits",
        ),
        (
            {"SLACK_WORKSPACE": "example.slack.com", "SLACK_CHANNEL": "C0ALARMS1"},
            "slack_workspace is 'example.slack.com', expected a Slack id: T, then capitals and digits",
        ),
    ],
)
def test_other_refusals(
    chosen: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        chosen.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        _main()
    assert end.value.code == f"error: {message}"
    assert not _written(tmp_path)


@pytest.mark.parametrize("stage", ["staging", "prod"])
@pytest.mark.parametrize("variables", [{}, {"ALARM_EMAIL": "", "SLACK_WORKSPACE": "", "SLACK_CHANNEL": ""}])
def test_a_stage_that_tells_nobody_is_refused(
    chosen: pytest.MonkeyPatch, tmp_path: Path, stage: str, variables: dict[str, str]
) -> None:
    for name, value in {"ENV": stage, **variables}.items():
        chosen.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        _main()
    refusal = str(end.value.code)
    assert refusal.startswith(f"error: the alarms of {stage} have no receiver.")
    for remedy in (
        "alarm_emails",
        "src/shipment_events/stages.py",
        "ALARM_EMAIL",
        "ALARMS_WITHOUT_RECEIVERS",
    ):
        assert remedy in refusal
    assert not _written(tmp_path)


@pytest.mark.slow
def test_stage_is_chosen_by_context_and_its_first_deploy_is_not_protected_yet(tmp_path: Path) -> None:
    run = _synthesize(
        tmp_path,
        CDK_CONTEXT_JSON='{"env": "staging", "first_deploy": "true"}',
        ALARMS_WITHOUT_RECEIVERS="a rehearsal that somebody watches",
    )
    assert run.returncode == 0, run.stderr
    assert _written(tmp_path / "assembly") == ["shipmentevents-staging.template.json"]
    tables = dict(Template(tmp_path / "assembly", "staging").of_type("AWS::DynamoDB::Table"))
    assert not [name for name, table in tables.items() if table["DeletionProtectionEnabled"]]
    manifest = json.loads((tmp_path / "assembly" / "manifest.json").read_text())
    stack = manifest["artifacts"]["shipmentevents-staging"]["properties"]
    assert not stack.get("terminationProtection", False)


@pytest.mark.slow
def test_two_different_choices_are_refused(tmp_path: Path) -> None:
    run = _synthesize(tmp_path, ENV="dev", CDK_CONTEXT_JSON='{"env": "prod"}')
    assert (run.returncode, run.stderr) == (1, "error: ENV is 'dev', but the context env is 'prod'\n")


def test_stage_is_chosen_by_variable_and_alarm_email_adds_to_its_receivers(
    chosen: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen.setitem(STAGES, "prod", replace(STAGES["prod"], alarm_emails=("team@example.org",)))
    chosen.setenv("ENV", "prod")
    chosen.setenv("ALARM_EMAIL", "oncall@example.org")
    _main()
    assert _written(tmp_path) == ["shipmentevents-prod.template.json"]
    resources = Template(tmp_path, "prod")
    subscriptions = [properties for _, properties in resources.of_type("AWS::SNS::Subscription")]
    topics = [{"Ref": logical_id} for logical_id, _ in resources.of_type("AWS::SNS::Topic")]
    assert len(topics) == 2
    for topic in topics:
        told = [each for each in subscriptions if each["TopicArn"] == topic]
        assert {(each["Protocol"], each["Endpoint"]) for each in told} == {
            ("email", "team@example.org"),
            ("email", "oncall@example.org"),
        }


def test_slack_channel_gets_both_topics_and_may_read_only(chosen: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen.setenv("SLACK_WORKSPACE", "T0EXAMPLE")
    chosen.setenv("SLACK_CHANNEL", "C0ALARMS1")
    _main()
    template = Template(tmp_path, "dev")
    chat = template.properties("AWS::Chatbot::SlackChannelConfiguration")
    assert (chat["SlackWorkspaceId"], chat["SlackChannelId"]) == ("T0EXAMPLE", "C0ALARMS1")
    topics = [{"Ref": logical_id} for logical_id, _ in template.of_type("AWS::SNS::Topic")]
    assert len(topics) == 2
    assert sorted(map(str, chat["SnsTopicArns"])) == sorted(map(str, topics))
    assert [text(policy) for policy in chat["GuardrailPolicies"]] == [
        "arn:${AWS::Partition}:iam::aws:policy/CloudWatchReadOnlyAccess"
    ]
    role_id = chat["IamRoleArn"]["Fn::GetAtt"][0]
    role = template.resources[role_id]["Properties"]
    assert "ManagedPolicyArns" not in role
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["cloudwatch:DescribeAlarms", "cloudwatch:GetMetricWidgetImage"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "chatbot.amazonaws.com"}
    assert not template.types() & {"AWS::IAM::Policy", "AWS::SNS::Subscription"}
    assert not list(breaches(template.body))


@pytest.mark.slow
def test_unacknowledged_finding_ends_the_command(chosen: pytest.MonkeyPatch) -> None:
    from infrastructure import app

    chosen.setattr(app, "accept_findings", lambda *_: None)
    with pytest.raises(SystemExit) as end:
        _main()
    assert "ValidationFailed" in str(end.value.code)


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which nothing is chosen yet, writing to the test's own folder."""
    for name in ("ENV", "ALARM_EMAIL", "SLACK_WORKSPACE", "SLACK_CHANNEL", "ALARMS_WITHOUT_RECEIVERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CDK_OUTDIR", str(tmp_path))
    return monkeypatch


def _main() -> None:
    from infrastructure.app import main

    main()


def _written(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.template.json")]


def _synthesize(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command away from the repository, without AWS credentials or anything else of ours."""
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "TMPDIR"}}
    environment = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(REPOSITORY),
        "CDK_OUTDIR": str(tmp_path / "assembly"),
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-m", "infrastructure.app"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
