"""The judges of a template and of the workflows. Each answers with all it finds, acknowledged or not."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cdk_nag import AwsSolutionsChecks, NagPack, NIST80053R5Checks, ServerlessChecks

from workbench.audit.findings import Finding, JudgeError
from workbench.audit.stage import Stage
from workbench.loss_modes import plugin
from workbench.loss_modes.rules import breaches

PACKS: Final[Mapping[str, Callable[[Any], NagPack]]] = {
    "cdk-nag AwsSolutions": AwsSolutionsChecks,
    "cdk-nag Serverless": ServerlessChecks,
    "cdk-nag NIST 800-53 R5": NIST80053R5Checks,
}
LOSS_MODES: Final = "loss modes (our own)"
CFN_LINT: Final = "cfn-lint"
CHECKOV: Final = "checkov"
ZIZMOR: Final = "zizmor"
WORKFLOWS: Final = ".github"


def loss_modes(stage: Stage) -> Iterator[Finding]:
    """Our own rules."""
    for breach in breaches(stage.template):
        rule = f"{plugin.NAME}::{breach.rule.name}"
        yield Finding(LOSS_MODES, rule, stage.place(breach.logical_id), breach.problem)


def cdk_nag(stage: Stage) -> Iterator[Finding]:
    """Every pack; warnings count as findings too."""
    for name, pack in PACKS.items():
        for violation in pack(stage.app).validate_scope(stage.app).violations:
            for resource in violation.violating_resources:
                place = resource.construct_path or ""
                yield Finding(name, violation.rule_name, place, violation.description or "")


def cfn_lint(stage: Stage) -> Iterator[Finding]:
    """The linter; its informational rules are about style."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--format", "json"]
    run = _run([*command, "--", str(stage.template_path)])
    # The exit status adds 2 for errors and 4 for warnings. 1 means that cfn-lint itself failed.
    if run.returncode % 2:
        raise JudgeError(f"cfn-lint: {run.stderr.strip() or run.stdout.strip()}")
    for match in json.loads(run.stdout or "[]"):
        path = match["Location"]["Path"] or []
        place = stage.place(path[1]) if len(path) > 1 and path[0] == "Resources" else "/".join(map(str, path))
        yield Finding(CFN_LINT, match["Rule"]["Id"], place, match["Message"])


def checkov(stages: Sequence[Stage], executable: Path) -> dict[str, list[Finding]]:
    """Findings by environment. One run judges all stages, because checkov starts slowly."""
    files = [argument for stage in stages for argument in ("--file", str(stage.template_path))]
    options = ["--framework", "cloudformation", "--skip-download", "--compact", "--output", "json"]
    run = _run([str(executable), *options, *files])
    try:
        report = json.loads(run.stdout)
        failed = report["results"]["failed_checks"]
        looked_at = report["summary"]["passed"] + report["summary"]["failed"]
    except (ValueError, KeyError, TypeError):
        raise JudgeError(f"checkov: {run.stderr.strip() or run.stdout.strip()}") from None
    if report["summary"]["parsing_errors"] or looked_at == 0:
        raise JudgeError(f"checkov could not read the templates: {report['summary']}")
    found: dict[str, list[Finding]] = {stage.environment: [] for stage in stages}
    by_path = {stage.template_path.resolve(): stage for stage in stages}
    for check in failed:
        judged = by_path.get(Path(check["file_abs_path"]))
        if judged is None:
            raise JudgeError(f"checkov: {check['check_id']} is in no stage: {check['file_abs_path']}")
        place = judged.place(check["resource"].rpartition(".")[2])
        found[judged.environment].append(Finding(CHECKOV, check["check_id"], place, check["check_name"]))
    return found


def zizmor(root: Path, executable: Path) -> list[Finding]:
    """Findings of the workflows. One of them deploys with the roles of an account."""
    options = ["--offline", "--no-ignores", "--no-exit-codes", "--quiet", "--format", "json"]
    run = _run([str(executable), *options, WORKFLOWS], cwd=root)
    if run.returncode:
        raise JudgeError(f"zizmor: {run.stderr.strip() or run.stdout.strip()}")
    return [
        Finding(ZIZMOR, result["ident"], _primary_place(result["locations"]), result["desc"])
        for result in json.loads(run.stdout)
    ]


def _primary_place(locations: Sequence[Mapping[str, Any]]) -> str:
    primary = next(each for each in locations if each["symbolic"]["kind"] == "Primary")
    file = primary["symbolic"]["key"]["Local"]["verbatim_path"]
    return f"{file}:{primary['concrete']['location']['start_point']['row'] + 1}"


def _run(command: Sequence[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, our own command
