"""Print one table of all judges. Fail on an open finding or an acknowledgement without a finding."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.table import Table

from infrastructure.acknowledgements import Acknowledgement
from infrastructure.app import REPOSITORY
from shipment_events.cli.presentation import output
from shipment_events.stages import STAGES
from workbench.audit import judges
from workbench.audit.code import BANDIT, FOLDERS, bandit
from workbench.audit.findings import Finding, JudgeError, Verdict, judge
from workbench.audit.stage import Stage, build

TOOLS: Final = REPOSITORY / ".venv-audit" / "bin"


@dataclass(frozen=True)
class Audit:
    """All findings, by stage and in the code."""

    stages: Sequence[Stage]
    verdicts: Sequence[Verdict]

    @property
    def open(self) -> list[Finding]:
        """Findings that are not accepted."""
        return sorted({finding for verdict in self.verdicts for finding in verdict.open})

    @property
    def stale(self) -> list[Acknowledgement]:
        """Acknowledgements without a finding."""
        stale = {each for verdict in self.verdicts for each in verdict.stale}
        return sorted(stale, key=lambda each: (each.place, each.rule))

    def rows(self) -> Iterator[tuple[str, str, int, int]]:
        """For each judge: its name, its input, and the numbers of findings, acknowledged and open ones."""
        resources = sum(len(stage.template["Resources"]) for stage in self.stages)
        templates = f"{resources} resources, {len(self.stages)} stages"
        names = (judges.LOSS_MODES, *judges.PACKS, judges.CFN_LINT, judges.CHECKOV)
        subjects = {
            **dict.fromkeys(names, templates),
            BANDIT: ", ".join(FOLDERS),
            judges.ZIZMOR: judges.WORKFLOWS,
        }
        for name, subject in subjects.items():
            acknowledged = sum(
                each.judge == name for verdict in self.verdicts for each in verdict.acknowledged
            )
            left = sum(each.judge == name for verdict in self.verdicts for each in verdict.open)
            yield name, subject, acknowledged, left


def audit(folder: Path) -> Audit:
    """Run every judge; the stages are synthesized into ``folder``."""
    with ThreadPoolExecutor() as pool:
        code = pool.submit(bandit, REPOSITORY, TOOLS / "bandit")
        workflows = pool.submit(judges.zizmor, REPOSITORY, TOOLS / "zizmor")
        stages = [build(settings, folder / name) for name, settings in STAGES.items()]
        by_checkov = pool.submit(judges.checkov, stages, TOOLS / "checkov")
        verdicts = [_judge_stage(stage, by_checkov, pool) for stage in stages]
        return Audit(stages, [*verdicts, code.result(), judge(workflows.result(), [])])


def _judge_stage(
    stage: Stage, by_checkov: Future[dict[str, list[Finding]]], pool: ThreadPoolExecutor
) -> Verdict:
    linted = pool.submit(lambda: list(judges.cfn_lint(stage)))
    findings = [*judges.loss_modes(stage), *judges.cdk_nag(stage), *linted.result()]
    return judge([*findings, *by_checkov.result()[stage.environment]], stage.acknowledgements)


def main() -> int:
    """Run the command; the exit status is 1 if anything is open or stale."""
    console = output()
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = audit(Path(folder))
    except JudgeError as error:
        console.print(f"error: {error}", markup=False)
        return 1
    table = Table()
    for heading in ("judge", "what it looked at"):
        table.add_column(heading, no_wrap=True)
    for heading in ("findings", "acknowledged", "open"):
        table.add_column(heading, justify="right")
    for name, subject, acknowledged, left in result.rows():
        table.add_row(name, subject, str(acknowledged + left), str(acknowledged), str(left))
    console.print(table)
    for finding in result.open:
        sys.stdout.write(f"open: {finding.place}: {finding.rule}: {finding.message}\n")
    for each in result.stale:
        sys.stdout.write(f"without a finding: {each.place}: {each.rule}: {each.reason}\n")
    return 1 if result.open or result.stale else 0


if __name__ == "__main__":
    sys.exit(main())
