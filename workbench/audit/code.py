"""The judge of our own code: bandit, and the comments that accept what it finds."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from infrastructure.acknowledgements import Acknowledgement
from workbench.audit.findings import Finding, JudgeError, Verdict

BANDIT: Final = "bandit"
FOLDERS: Final = ("src", "infrastructure", "workbench")

EVERYWHERE: Final = {
    "B404": "The import does nothing; each call of subprocess is judged by itself (B602 to B607).",
}
"""Rules whose findings are accepted wherever they are, and why."""

# Our linter has the same rules with another letter, except where it sees by itself that a call is harmless: a
# comment of its own would accept nothing there, and it reports those (RUF100).
_COMMENT: Final = re.compile(r"# (?:noqa: S|nosec B)(?P<number>\d+) - \S")


def bandit(root: Path, executable: Path) -> Verdict:
    """Judge the code; a comment accepts a finding on its own lines only if it says why."""
    command = [str(executable), "--quiet", "--recursive", "--ignore-nosec", "--format", "json", *FOLDERS]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, our own command
    try:
        report = json.loads(run.stdout)
        errors, results = report["errors"], report["results"]
    except (ValueError, KeyError):
        raise JudgeError(f"bandit: {run.stderr.strip() or run.stdout.strip()}") from None
    if errors or not report["metrics"]["_totals"]["loc"]:
        raise JudgeError(f"bandit could not read the code: {errors}")
    comments = {(file, line): number for file, line, number, _ in _comments(root)}
    accepted: set[Finding] = set()
    used: set[tuple[str, int]] = set()
    findings = {_finding(result): result for result in results}
    for finding, result in findings.items():
        lines = {(result["filename"].removeprefix("./"), line) for line in result["line_range"]}
        matching = {line for line in lines if f"B{comments.get(line)}" == finding.rule}
        if matching or finding.rule in EVERYWHERE:
            accepted.add(finding)
            used |= matching
    return Verdict(
        acknowledged=frozenset(accepted),
        open=frozenset(findings.keys() - accepted),
        stale=frozenset(_stale(root, used, {finding.rule for finding in accepted})),
    )


def _comments(root: Path) -> Iterator[tuple[str, int, str, str]]:
    """File, line, rule number and text of every comment that accepts something and says why."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            for number, line in enumerate(path.read_text().splitlines(), start=1):
                if found := _COMMENT.search(line):
                    yield path.relative_to(root).as_posix(), number, found["number"], found[0]


def _stale(root: Path, used: set[tuple[str, int]], rules: set[str]) -> Iterator[Acknowledgement]:
    for rule in EVERYWHERE.keys() - rules:
        yield Acknowledgement("everywhere", rule, EVERYWHERE[rule])
    for file, line, number, text in _comments(root):
        if "nosec" in text and (file, line) not in used:
            yield Acknowledgement(f"{file}:{line}", f"B{number}", text)


def _finding(result: Mapping[str, Any]) -> Finding:
    place = f"{result['filename'].removeprefix('./')}:{result['line_number']}"
    return Finding(BANDIT, result["test_id"], place, result["issue_text"])
