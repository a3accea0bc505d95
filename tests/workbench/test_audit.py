"""How findings and the reasons to accept them are matched. `make audit` itself asks the judges."""

import json
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from infrastructure.acknowledgements import Acknowledgement
from workbench.audit.code import FOLDERS, bandit
from workbench.audit.findings import Finding, JudgeError, judge
from workbench.audit.judges import CHECKOV, checkov, zizmor
from workbench.audit.stage import Stage

FINDING = Finding("judge", "R1", "stack/Queue/Resource", "message")


@pytest.mark.parametrize("place", ["stack/Queue/Resource", "stack/Queue", "stack"])
def test_a_reason_accepts_findings_at_its_construct_and_below(place: str) -> None:
    verdict = judge([FINDING], [Acknowledgement(place, "R1", "why")])
    assert verdict.acknowledged == frozenset({FINDING})
    assert not verdict.open
    assert not verdict.stale


@pytest.mark.parametrize(
    "other",
    [
        Acknowledgement("stack/Queue", "R2", "another rule"),
        Acknowledgement("stack/Que", "R1", "another construct"),
        Acknowledgement("stack/Queue/Resource/Deeper", "R1", "something below"),
    ],
)
def test_any_other_reason_accepts_nothing_and_is_itself_an_error(other: Acknowledgement) -> None:
    verdict = judge([FINDING], [other])
    assert not verdict.acknowledged
    assert verdict.open == frozenset({FINDING})
    assert verdict.stale == frozenset({other})


def test_a_comment_accepts_the_finding_of_its_line_if_it_says_why(tmp_path: Path) -> None:
    lines = {
        1: "a()  # noqa: S603 - no shell",
        2: "a()  # noqa: S603",
        3: "a()  # noqa: S311 - another rule",
        4: "a()  # nosec B603 - no shell",
        5: "a()  # nosec B603 - nothing is found here",
    }
    verdict = bandit(*code(tmp_path, lines, found=(1, 2, 3, 4)))
    assert {finding.place for finding in verdict.acknowledged} == {"src/a.py:1", "src/a.py:4"}
    assert {finding.place for finding in verdict.open} == {"src/a.py:2", "src/a.py:3"}
    assert {each.place for each in verdict.stale} == {"src/a.py:5", "everywhere"}


def test_a_judge_that_fails_is_no_acquittal(tmp_path: Path) -> None:
    root, executable = code(tmp_path, {1: "pass"}, found=())
    executable.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    with pytest.raises(JudgeError, match="broken"):
        bandit(root, executable)


def test_findings_in_the_workflows_have_their_file_and_line(tmp_path: Path) -> None:
    uses = {"symbolic": {"kind": "Primary", **in_file("deploy.yml")}, "concrete": at_row(29)}
    step = {"symbolic": {"kind": "Hidden", **in_file("deploy.yml")}, "concrete": at_row(28)}
    report = [{"ident": "unpinned-uses", "desc": "unpinned action reference", "locations": [step, uses]}]
    place = ".github/workflows/deploy.yml:30"
    assert zizmor(tmp_path, program(tmp_path / "zizmor", json.dumps(report))) == [
        Finding("zizmor", "unpinned-uses", place, "unpinned action reference")
    ]
    assert zizmor(tmp_path, program(tmp_path / "zizmor", "[]")) == []


def test_workflows_that_cannot_be_read_are_no_acquittal(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="no inputs collected"):
        zizmor(tmp_path, program(tmp_path / "zizmor", "no inputs collected", status=3))


def test_a_finding_of_checkov_belongs_to_its_stage_and_none_gets_lost(tmp_path: Path) -> None:
    stages = [
        Stage(
            app=cast("Any", None), environment=name, template_path=tmp_path / f"{name}.json", template={},
            acknowledgements=(), _paths={"Queue": f"{name}/Queue"},
        )
        for name in ("dev", "prod")
    ]  # fmt: skip

    def judged(file: Path) -> dict[str, list[Finding]]:
        check = {
            "file_abs_path": str(file),
            "resource": "AWS::SQS::Queue.Queue",
            "check_id": "CKV_1",
            "check_name": "why",
        }
        summary = {"passed": 1, "failed": 1, "parsing_errors": 0}
        report = json.dumps({"results": {"failed_checks": [check]}, "summary": summary})
        return checkov(stages, program(tmp_path / "checkov", report))

    finding = Finding(CHECKOV, "CKV_1", "prod/Queue", "why")
    assert judged(stages[1].template_path) == {"dev": [], "prod": [finding]}
    with pytest.raises(JudgeError, match="CKV_1 is in no stage: /elsewhere"):
        judged(Path("/elsewhere.json"))


def in_file(name: str) -> dict[str, Any]:
    return {"key": {"Local": {"verbatim_path": f".github/workflows/{name}"}}}


def at_row(row: int) -> dict[str, Any]:
    return {"location": {"start_point": {"row": row, "column": 0}}}


def program(executable: Path, output: str, status: int = 0) -> Path:
    executable.write_text(f"#!{sys.executable}\nprint({output!r})\nraise SystemExit({status})\n")
    executable.chmod(0o755)
    return executable


def code(folder: Path, lines: dict[int, str], *, found: tuple[int, ...]) -> tuple[Path, Path]:
    """A source folder, and a stand-in for bandit that reports B603 on these lines."""
    for name in FOLDERS:
        (folder / name).mkdir()
    (folder / "src" / "a.py").write_text("\n".join(lines.values()))
    results = [
        {
            "filename": "src/a.py",
            "line_number": line,
            "line_range": [line],
            "test_id": "B603",
            "issue_text": "call",
        }
        for line in found
    ]
    report = {"errors": [], "results": results, "metrics": {"_totals": {"loc": len(lines)}}}
    return folder, program(folder / "bandit", json.dumps(report))
