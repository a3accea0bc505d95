"""The gate itself: it tells a mistake that tests see from one that they do not."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from workbench.mutants.run import ROOT, Mutant, Result, UnpatchedTestsFailError, Verdict, load, main, run

CODE: Final = "def add(a: int, b: int) -> int:\n    total = a + b\n    return total\n"
NARROW: Final = "from sums import add\n\ndef test_zero() -> None:\n    assert add(0, 0) == 0\n"
WIDE: Final = "from sums import add\n\ndef test_sum() -> None:\n    assert add(1, 2) == 3\n"
MISTAKE: Final = Mutant("minus", "sums are wrong", "src/sums.py", "a + b", "a - b", ("tests/test_wide.py",))
MUTANTS: Final = load()


def write_repository(folder: Path, *, wide: str = WIDE) -> Path:
    """A repository of three files."""
    for name, text in {
        "src/sums.py": CODE,
        "tests/test_narrow.py": NARROW,
        "tests/test_wide.py": wide,
        "pyproject.toml": "[tool.pytest.ini_options]\n",
    }.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Result]:
    """What the gate says of each kind of mutant; in one run, so that they would meet if they could."""
    repository = write_repository(tmp_path_factory.mktemp("repository"))
    judged = run(
        [
            MISTAKE,
            replace(MISTAKE, name="harmless", new="b + a"),
            replace(MISTAKE, name="seen by another test", tests=("tests/test_narrow.py",)),
            replace(MISTAKE, name="no Python", new="a +"),
            replace(MISTAKE, name="no longer there", old="a * b"),
            replace(MISTAKE, name="there twice", old="total"),
            replace(MISTAKE, name="changes nothing", new="a + b"),
            replace(MISTAKE, name="no such file", file="src/gone.py"),
        ],
        root=repository,
        all_tests=["tests"],
    )
    assert (repository / "src/sums.py").read_text() == CODE
    return {result.name: result for result in judged}


def test_mistake_that_a_test_sees_is_killed(results: Mapping[str, Result]) -> None:
    assert results["minus"].verdict is Verdict.KILLED
    assert results["minus"].evidence == "tests/test_wide.py::test_sum"


def test_harmless_change_survives(results: Mapping[str, Result]) -> None:
    assert results["harmless"].verdict is Verdict.SURVIVED


def test_all_tests_have_the_last_word(results: Mapping[str, Result]) -> None:
    other = results["seen by another test"]
    assert (other.verdict, other.evidence) == (Verdict.KILLED, "tests/test_wide.py::test_sum")


@pytest.mark.parametrize("name", ["no longer there", "there twice", "changes nothing", "no such file"])
def test_patch_that_does_not_fit_is_told(results: Mapping[str, Result], name: str) -> None:
    assert results[name].verdict is Verdict.NOT_APPLICABLE


def test_code_that_cannot_be_imported_proves_nothing(results: Mapping[str, Result]) -> None:
    assert results["no Python"].verdict is Verdict.NOT_TESTED


def test_red_tests_prove_nothing(tmp_path: Path) -> None:
    repository = write_repository(tmp_path, wide=WIDE.replace("3", "4"))
    with pytest.raises(UnpatchedTestsFailError, match="test_sum"):
        run([MISTAKE], root=repository, all_tests=["tests"])


def test_test_that_is_red_anyway_does_not_kill(tmp_path: Path) -> None:
    repository = write_repository(tmp_path, wide=WIDE.replace("3", "4"))
    blind = replace(MISTAKE, new="b + a", tests=("tests/test_narrow.py",))
    (result,) = run([blind], root=repository, all_tests=["tests"])
    assert (result.verdict, result.evidence) == (
        Verdict.NOT_TESTED,
        "red without the mistake too: tests/test_wide.py::test_sum",
    )


def test_list_is_long_enough_and_names_are_distinct() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) >= 25
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mistake_of_the_list_fits_the_code(mutant: Mutant) -> None:
    """A change of the code that a patch no longer fits is noticed at once, not when the gate runs."""
    assert mutant.apply((ROOT / mutant.file).read_text()) is not None
    assert mutant.why
    for test in mutant.tests:
        assert (ROOT / test.split("::")[0]).exists()


def test_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no-such-mistake"]) == 2
    assert "no mutant is called no-such-mistake" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.KILLED, 0),
        (Verdict.SURVIVED, 1),
        (Verdict.NOT_APPLICABLE, 1),
        (Verdict.NOT_TESTED, 1),
    ],
)
def test_only_a_killed_mutant_is_success(
    verdict: Verdict, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = MUTANTS[0].name
    monkeypatch.setattr("workbench.mutants.run.run", lambda *_, **__: [Result(name, verdict, "[why]", 1.0)])
    assert main(["--only", name]) == status
    assert name in capsys.readouterr().out
