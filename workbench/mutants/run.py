"""Put each known mistake back, one at a time, and show that a test fails.

Tests that stay green with a mistake in the code prove nothing about it. ``mutants.toml`` lists the mistakes;
each is applied to a copy of the repository, never to the repository itself.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from workbench.mutants.patches import DoesNotApplyError, Mutant, load

ROOT: Final = Path(__file__).resolve().parents[2]
# If the tests that a mutant names pass, these tests decide.
ALL_TESTS: Final = ("tests", "-m", "not engine and not slow")
WORKERS: Final = 2
TIMEOUT_SECONDS: Final = 900

_NOT_COPIED: Final = shutil.ignore_patterns(".*", "node_modules", "cdk.out", "__pycache__")
_LINKED: Final = (".venv", ".venv-engine", "node_modules")
_PASSED: Final = 0
_FAILED: Final = 1
# That of the command `timeout`; pytest has none of this number.
_NO_END: Final = 124
# An id may have blanks and dashes between its brackets. A reason may follow it.
_RED: Final = re.compile(r"(?:FAILED|ERROR) ([^\[]+?(?:\[.*?\])?)(?: - .*)?")


class Verdict(StrEnum):
    """Verdict on a mutant. Only the first is good."""

    KILLED = "killed"
    SURVIVED = "survived"
    NOT_APPLICABLE = "does not apply"
    NOT_TESTED = "not tested"


@dataclass(frozen=True)
class Result:
    """Result of one mutant.

    Attributes:
        evidence: the test that went red, or why there is none.
    """

    name: str
    verdict: Verdict
    evidence: str
    seconds: float


class UnpatchedTestsFailError(Exception):
    """The tests fail without a mistake, so their failure would prove nothing."""


def run(
    mutants: Sequence[Mutant],
    *,
    root: Path = ROOT,
    all_tests: Sequence[str] = ALL_TESTS,
    on_progress: Callable[[str, int, int], None] = lambda *_: None,
) -> list[Result]:
    """Judge the mutants. Returns results in their order.

    Raises:
        UnpatchedTestsFailError: with pytest's report.
    """
    targets = sorted({test for mutant in mutants for test in mutant.tests})
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(WORKERS) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(WORKERS):
            copies.put(_copy(root, Path(folder) / str(number)))

        shares = [share for number in range(WORKERS) if (share := targets[number::WORKERS])]
        on_progress("without any mistake", 0, len(shares))
        for done, (code, report) in enumerate(pool.map(lambda share: _with_copy(copies, share), shares)):
            on_progress("without any mistake", done + 1, len(shares))
            if code != _PASSED:
                raise UnpatchedTestsFailError(report)

        futures = {pool.submit(_judge, mutant, copies, all_tests): mutant.name for mutant in mutants}
        results: dict[str, Result] = {}
        for done, future in enumerate(as_completed(futures), start=1):
            results[futures[future]] = future.result()
            on_progress("with a mistake", done, len(mutants))
    return [results[mutant.name] for mutant in mutants]


def _copy(root: Path, place: Path) -> Path:
    shutil.copytree(root, place, ignore=_NOT_COPIED)
    for name in _LINKED:
        if (root / name).exists():
            (place / name).symlink_to(root / name)
    return place


def _with_copy(copies: "SimpleQueue[Path]", tests: Sequence[str]) -> tuple[int, str]:
    with _borrowed(copies) as copy:
        return _pytest(copy, tests)


def _judge(mutant: Mutant, copies: "SimpleQueue[Path]", all_tests: Sequence[str]) -> Result:
    start = time.monotonic()
    with _borrowed(copies) as copy:
        verdict, evidence = _try(mutant, copy, all_tests)
    return Result(mutant.name, verdict, evidence, round(time.monotonic() - start, 1))


def _try(mutant: Mutant, copy: Path, all_tests: Sequence[str]) -> tuple[Verdict, str]:
    path = copy / mutant.file
    try:
        mutated = mutant.apply(copy)
    except DoesNotApplyError as error:
        return Verdict.NOT_APPLICABLE, str(error)
    original = path.read_text(encoding="utf-8")
    _write(path, mutated)
    try:
        code, report = _pytest(copy, mutant.tests)
        is_named = code != _PASSED
        if not is_named:
            code, report = _pytest(copy, all_tests)
    finally:
        _write(path, original)
    if code == _PASSED:
        return Verdict.SURVIVED, "every test stays green"
    # pytest itself ends a test that hangs (`timeout` in pyproject.toml), and then names it as red. If a whole
    # run has no end, no test says that the mistake is the reason, and the machine may be.
    if code == _NO_END:
        return Verdict.NOT_TESTED, report
    if code != _FAILED:
        return Verdict.NOT_TESTED, f"pytest ended with status {code}: {_last_line(report)}"
    red = _red_test(report)
    # The named tests passed at the start. For other tests this is not known.
    if not is_named and (code := _pytest(copy, [red])[0]) != _PASSED:
        why = "red" if code == _FAILED else f"status {code} of pytest"
        return Verdict.NOT_TESTED, f"{why} without the mistake too: {red}"
    return Verdict.KILLED, red


def _write(path: Path, text: str) -> None:
    """Replace a file's text, and make sure that Python does not use byte code of the old text."""
    changed = path.stat().st_mtime + 2
    path.write_text(text, encoding="utf-8")
    # Python compares size and modification time in whole seconds, and two patches may be in the same second.
    os.utime(path, (changed, changed))


@contextmanager
def _borrowed(copies: "SimpleQueue[Path]") -> Iterator[Path]:
    copy = copies.get()
    try:
        yield copy
    finally:
        copies.put(copy)


def _pytest(copy: Path, tests: Sequence[str]) -> tuple[int, str]:
    # Python writes byte code here, so that only the first run compiles.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(copy / "src"), "HYPOTHESIS_PROFILE": "unshrunk"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=line", *tests]
    try:
        done = subprocess.run(  # noqa: S603 - pytest, with the tests that our own list names
            command,
            cwd=copy,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _NO_END, f"no end within {TIMEOUT_SECONDS} s: {' '.join(tests)}"
    return done.returncode, done.stdout


def _red_test(report: str) -> str:
    found = filter(None, map(_RED.fullmatch, report.splitlines()))
    first = next(found, None)
    return first[1] if first else _last_line(report)


def _last_line(report: str) -> str:
    lines = report.strip().splitlines()
    return lines[-1] if lines else "no output"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 if every mutant is killed."""
    options = _parse(arguments)
    mutants = load()
    if unknown := set(options.only) - {mutant.name for mutant in mutants}:
        sys.stderr.write(f"error: no mutant is named {', '.join(sorted(unknown))}; --list names all\n")
        return 2
    chosen = [mutant for mutant in mutants if not options.only or mutant.name in options.only]
    if options.list:
        _print_list(chosen)
        return 0
    start = time.monotonic()
    try:
        results = _run_with_progress(chosen)
    except UnpatchedTestsFailError as error:
        sys.stderr.write(f"{error}\nerror: these tests fail without any mistake put in\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    else:
        _print_results(results, time.monotonic() - start)
    return int(any(result.verdict is not Verdict.KILLED for result in results))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument(
        "--only", metavar="NAME", action="append", default=[], help="judge this one; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="show the mistakes and run nothing")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser.parse_args(arguments)


def _run_with_progress(mutants: Sequence[Mutant]) -> list[Result]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks = {
            step: progress.add_task(f"Tests {step}", total=None)
            for step in ("without any mistake", "with a mistake")
        }
        return run(
            mutants,
            on_progress=lambda step, done, total: progress.update(tasks[step], completed=done, total=total),
        )


def _print_list(mutants: Sequence[Mutant]) -> None:
    table = Table(Column("mistake", no_wrap=True), "what goes wrong", Column("where", overflow="fold"))
    for mutant in mutants:
        table.add_row(mutant.name, mutant.why, f"{mutant.file} {mutant.definition}")
    Console().print(table)


def _print_results(results: Sequence[Result], seconds: float) -> None:
    console = Console()
    table = Table(Column("mistake", no_wrap=True), "verdict", Column("by", overflow="fold"), "s")
    for result in results:
        colour = "green" if result.verdict is Verdict.KILLED else "bold red"
        table.add_row(
            result.name, f"[{colour}]{result.verdict}[/]", escape(result.evidence), f"{result.seconds:.0f}"
        )
    console.print(table)
    killed = sum(result.verdict is Verdict.KILLED for result in results)
    console.print(f"{killed} of {len(results)} mistakes make a test fail ({seconds:.0f} s)")


if __name__ == "__main__":
    sys.exit(main())
