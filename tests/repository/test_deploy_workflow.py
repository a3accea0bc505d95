"""The workflow that deploys: who may, with what, and in which order."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shipment_events.stages import STAGES

WORKFLOWS: Final = Path(__file__).resolve().parents[2] / ".github" / "workflows"
WITH_AWS: Final = ("diff", "deploy")


def load(name: str) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    return workflow


@pytest.fixture
def workflow() -> dict[Any, Any]:
    return load("deploy.yml")


@pytest.fixture
def jobs(workflow: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workflow["jobs"]
    return found


def test_somebody_starts_it_for_one_of_the_stages(workflow: dict[Any, Any]) -> None:
    # YAML 1.1 takes the word "on" for true.
    (trigger,) = workflow[True]
    assert trigger == "workflow_dispatch"
    stage = workflow[True][trigger]["inputs"]["stage"]
    assert stage["type"] == "choice"
    assert stage["options"] == list(STAGES)
    assert stage["required"] is True
    # Not for the checks, which are about every stage.
    environments = {name: job.get("env") for name, job in workflow["jobs"].items()}
    assert environments == {"check": None, **{name: {"ENV": "${{ inputs.stage }}"} for name in WITH_AWS}}


def test_one_run_a_stage_and_none_cut_off(workflow: dict[Any, Any]) -> None:
    assert workflow["concurrency"] == {"group": "deploy-${{ inputs.stage }}", "cancel-in-progress": False}
    canary = max(stage.canary_minutes or 0 for stage in STAGES.values())
    assert workflow["jobs"]["deploy"]["timeout-minutes"] > 2 * canary


def test_deploy_waits_for_checks_and_for_the_environments_approval(jobs: dict[str, Any]) -> None:
    assert set(jobs["deploy"]["needs"]) == {"check", "diff"}
    assert jobs["deploy"]["environment"] == "${{ inputs.stage }}"
    assert jobs["diff"]["environment"] == "${{ inputs.stage }}-diff"
    assert [step["run"] for step in jobs["check"]["steps"] if "run" in step] == ["make check"]
    assert "make deploy" in [step.get("run") for step in jobs["deploy"]["steps"]]


def test_only_the_jobs_with_an_environment_may_ask_for_a_token(
    workflow: dict[Any, Any], jobs: dict[str, Any]
) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in jobs.items():
        expected = {"contents": "read", "id-token": "write"} if name in WITH_AWS else None
        assert job.get("permissions") == expected, name


@pytest.mark.parametrize("name", WITH_AWS)
def test_credentials_are_the_environments_role_and_come_after_the_installation(
    jobs: dict[str, Any], name: str
) -> None:
    steps = jobs[name]["steps"]
    (at,) = (i for i, step in enumerate(steps) if "configure-aws-credentials" in step.get("uses", ""))
    assert steps[at]["with"] == {
        "role-to-assume": "${{ vars.AWS_ROLE_ARN }}",
        "aws-region": "${{ vars.AWS_REGION }}",
    }
    # What is installed from the network runs before there are credentials to take.
    assert {"run": "make setup"} in steps[:at]
    assert "secrets." not in (WORKFLOWS / "deploy.yml").read_text(encoding="utf-8")


def test_actions_are_pinned_as_in_the_check(jobs: dict[str, Any]) -> None:
    ours = {step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step}
    checks = {
        step["uses"] for job in load("check.yml")["jobs"].values() for step in job["steps"] if "uses" in step
    }
    assert checks <= ours
    assert all(re.fullmatch(r"(actions|aws-actions)/[a-z-]+@v\d+", action) for action in ours)
    for job in jobs.values():
        checkout = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout"))
        assert checkout["with"] == {"persist-credentials": False}


@pytest.mark.parametrize("fails", [False, True])
def test_the_summary_shows_the_diff_and_a_diff_that_fails_fails_the_job(
    jobs: dict[str, Any], tmp_path: Path, fails: bool
) -> None:
    (step,) = (step for step in jobs["diff"]["steps"] if "GITHUB_STEP_SUMMARY" in step.get("run", ""))
    make = tmp_path / "make"
    make.write_text(f"#!/bin/sh\necho \"$@\"\necho '[~] a change' >&2\nexit {int(fails)}\n")
    make.chmod(0o755)
    summary = tmp_path / "summary.md"
    run = subprocess.run(
        # What GitHub runs for "shell: bash".
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(summary)},
        check=False,
    )
    assert step["shell"] == "bash"
    assert (run.returncode != 0) is fails
    shown = "```diff\n--silent diff\n[~] a change\n"
    assert summary.read_text() == (shown if fails else f"{shown}```\n")
