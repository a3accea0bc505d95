"""The app as a command: which stage it takes, what it says, where it writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infrastructure.conftest import REPOSITORY
from tests.infrastructure.template import Template, text


def test_refusal_of_a_stage_is_one_line_and_a_status(tmp_path: Path) -> None:
    run = _synthesize(tmp_path, ENV="qa")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "error: 'qa' is no stage; allowed: dev, staging, prod\n"
    assert not _written(tmp_path / "assembly")


def test_stage_is_dev_unless_chosen_and_nothing_else_is_needed(tmp_path: Path) -> None:
    run = _synthesize(tmp_path)
    assert run.returncode == 0, run.stderr
    assert _written(tmp_path / "assembly") == ["shipmentevents-dev.template.json"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ENV": ""}, "'' is no stage; allowed: dev, staging, prod"),
        ({"ENV": "Prod"}, "'Prod' is no stage; allowed: dev, staging, prod"),
        ({"ALARM_EMAIL": "nobody"}, "alarm_email is 'nobody', which is no e-mail address"),
        ({"SLACK_CHANNEL": "C0ALARMS1"}, "a Slack channel needs both SLACK_WORKSPACE and SLACK_CHANNEL"),
        ({"SLACK_WORKSPACE": "T0EXAMPLE"}, "a Slack channel needs both SLACK_WORKSPACE and SLACK_CHANNEL"),
        (
            {"SLACK_WORKSPACE": "T0EXAMPLE", "SLACK_CHANNEL": "#alarms"},
            "slack_channel is '#alarms', which is no id of Slack: C and capitals or digits",
        ),
        (
            {"SLACK_WORKSPACE": "example.slack.com", "SLACK_CHANNEL": "C0ALARMS1"},
            "slack_workspace is 'example.slack.com', which is no id of Slack: T and capitals or digits",
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


def test_stage_is_chosen_by_variable(chosen: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen.setenv("ENV", "prod")
    _main()
    assert _written(tmp_path) == ["shipmentevents-prod.template.json"]


def test_stage_is_chosen_by_context(tmp_path: Path) -> None:
    run = _synthesize(tmp_path, CDK_CONTEXT_JSON='{"env": "staging"}')
    assert run.returncode == 0, run.stderr
    assert _written(tmp_path / "assembly") == ["shipmentevents-staging.template.json"]


def test_two_different_choices_are_refused(tmp_path: Path) -> None:
    run = _synthesize(tmp_path, ENV="dev", CDK_CONTEXT_JSON='{"env": "prod"}')
    assert (run.returncode, run.stderr) == (1, "error: ENV is 'dev', but the context env is 'prod'\n")


def test_alarm_email_subscribes_to_both_topics(chosen: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen.setenv("ALARM_EMAIL", "oncall@example.org")
    _main()
    resources = Template(tmp_path, "dev")
    subscriptions = [properties for _, properties in resources.of_type("AWS::SNS::Subscription")]
    assert {(each["Protocol"], each["Endpoint"]) for each in subscriptions} == {
        ("email", "oncall@example.org")
    }
    assert len({each["TopicArn"]["Ref"] for each in subscriptions}) == 2


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


def test_unacknowledged_finding_ends_the_command(chosen: pytest.MonkeyPatch) -> None:
    from infrastructure import processing

    chosen.setattr(processing, "acknowledge", lambda *_: None)
    with pytest.raises(SystemExit) as end:
        _main()
    assert "ValidationFailed" in str(end.value.code)


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which nothing is chosen yet, writing to the test's own folder."""
    for name in ("ENV", "ALARM_EMAIL", "SLACK_WORKSPACE", "SLACK_CHANNEL"):
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
