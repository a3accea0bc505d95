"""What ``make deploy`` asks the CDK CLI for; stand-ins for Python and npx note how they are called."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

MAKEFILE: Final = Path(__file__).resolve().parents[2] / "Makefile"
DEPLOY: Final = "--no-install cdk deploy --require-approval never"


@pytest.mark.parametrize(
    ("answer", "status", "deploys"),
    [
        ("first", 0, [f"{DEPLOY} --context first_deploy=true", DEPLOY]),
        ("", 0, [DEPLOY]),
        ("first", 1, []),
    ],
    ids=["a new stage", "a stage that stands", "a stack that cannot be read"],
)
def test_a_new_stage_is_protected_once_it_stands(
    tmp_path: Path, answer: str, status: int, deploys: list[str]
) -> None:
    run, called = make_deploy(tmp_path, python=f"echo {answer}; exit {status}", npx="exit 0")
    assert (run.returncode == 0) is (status == 0), run.stderr
    assert called == deploys


def test_a_first_deploy_that_fails_is_not_followed_by_the_second(tmp_path: Path) -> None:
    run, called = make_deploy(tmp_path, python="echo first", npx="exit 1")
    assert run.returncode != 0
    assert called == [f"{DEPLOY} --context first_deploy=true"]


def test_adopted_tables_and_queues_get_the_settings_that_an_import_does_not_compare(tmp_path: Path) -> None:
    _, called = make_deploy(tmp_path, "REVERT_DRIFT=1", python="exit 0", npx="exit 0")
    assert called == [f"{DEPLOY} --revert-drift"]


def make_deploy(
    folder: Path, *variables: str, python: str, npx: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    shutil.copy(MAKEFILE, folder)
    for ready in (".venv/.ready", ".venv-engine/.ready", "node_modules/.ready"):
        (folder / ready).parent.mkdir(parents=True, exist_ok=True)
    programs = folder / ".venv" / "bin"
    programs.mkdir()
    for name, script in (("python", python), ("npx", f'echo "$@" >> {folder}/called; {npx}')):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE"))}
    run = subprocess.run(
        # What is installed is installed: only the recipe itself is tried.
        ["make", "--silent", "deploy", *variables, "--assume-old=setup", "--assume-old=node_modules/.ready"],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    called = folder / "called"
    return run, called.read_text().splitlines() if called.exists() else []
