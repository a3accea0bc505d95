"""How findings and the reasons to accept them are matched. `make audit` itself asks the judges."""

import json
import sys
from pathlib import Path

import pytest

from infrastructure.validation import Acknowledgement
from tests.workbench.test_documents import out_of_date
from workbench.audit.code import bandit
from workbench.audit.findings import Finding, judge
from workbench.audit.judges import JudgeError
from workbench.documents import DOCS

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


def test_document_is_up_to_date() -> None:
    """The one document that CDK is needed for; the others are held by tests/workbench/test_documents.py."""
    assert out_of_date(DOCS / "security.md") == ""


def code(folder: Path, lines: dict[int, str], *, found: tuple[int, ...]) -> tuple[Path, Path]:
    """A source folder, and a stand-in for bandit that reports B603 on these lines."""
    for name in ("src", "infrastructure"):
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
    executable = folder / "bandit"
    executable.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(report))})\n")
    executable.chmod(0o755)
    return folder, executable
