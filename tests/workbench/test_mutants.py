"""The gate itself: it tells a mistake that tests see from one that they do not."""

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from workbench.mutants import run as gate
from workbench.mutants.patches import DoesNotApplyError, Mutant, load
from workbench.mutants.run import ROOT, Result, UnpatchedTestsFailError, Verdict, main, run

CODE: Final = "def add(a: int, b: int) -> int:\n    total = a + b\n    return total\n"
NARROW: Final = "from sums import add\n\ndef test_zero() -> None:\n    assert add(0, 0) == 0\n"
WIDE: Final = "from sums import add\n\ndef test_sum() -> None:\n    assert add(1, 2) == 3\n"
MISTAKE: Final = Mutant(
    "minus", "sums are wrong", "src/sums.py", "add", "a + b", "a - b", ("tests/test_wide.py",)
)
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
            replace(MISTAKE, name="no such function", definition="subtract"),
        ],
        root=repository,
        all_tests=["tests"],
    )
    assert (repository / "src/sums.py").read_text() == CODE
    return {result.name: result for result in judged}


@pytest.mark.slow
def test_mistake_that_a_test_sees_is_killed(results: Mapping[str, Result]) -> None:
    assert results["minus"].verdict is Verdict.KILLED
    assert results["minus"].evidence == "tests/test_wide.py::test_sum"


@pytest.mark.slow
def test_harmless_change_survives(results: Mapping[str, Result]) -> None:
    assert results["harmless"].verdict is Verdict.SURVIVED


@pytest.mark.slow
def test_all_tests_have_the_last_word(results: Mapping[str, Result]) -> None:
    other = results["seen by another test"]
    assert (other.verdict, other.evidence) == (Verdict.KILLED, "tests/test_wide.py::test_sum")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["no longer there", "there twice", "changes nothing", "no such file", "no such function"]
)
def test_patch_that_does_not_fit_is_told(results: Mapping[str, Result], name: str) -> None:
    assert results[name].verdict is Verdict.NOT_APPLICABLE


class TestPatch:
    """What a patch outlives, and what it says where it does not."""

    @pytest.mark.parametrize(
        "code",
        [
            "def add(a, b):\n    total = (\n        a\n        + b\n    )\n",
            "def other(a, b):\n    return a + b\n\n\ndef add(a, b):\n    if a:\n        return a+b\n",
            "class Sums:\n    pass\n\n\nif True:\n\n    def add(a, b):\n        return a + b\n",
        ],
        ids=["wrapped lines", "the same code in another function", "moved within the file"],
    )
    def test_fits_code_that_is_laid_out_anew(self, tmp_path: Path, code: str) -> None:
        mutated = MISTAKE.apply(write_code(tmp_path, code))
        assert "a - b" in mutated
        assert mutated.count("+") == code.count("+") - 1

    def test_does_not_care_for_trailing_commas(self, tmp_path: Path) -> None:
        call = replace(MISTAKE, old="sum([a, b], start=0)", new="0")
        wrapped = "def add(a, b):\n    return sum(\n        [a, b],\n        start=0,\n    )\n"
        assert call.apply(write_code(tmp_path, wrapped)).endswith("return 0\n")
        entry = replace(MISTAKE, old="start=0,", new="start=1,")
        assert "start=1," in entry.apply(
            write_code(tmp_path, "def add(a, b):\n    return sum([a, b], start=0)\n")
        )

    def test_indents_what_it_puts_in_as_the_line_that_it_replaces(self, tmp_path: Path) -> None:
        deep = "class Sums:\n    def add(self, a, b):\n        if a:\n            return a + b\n"
        patch = replace(
            MISTAKE, definition="Sums.add", old="return a + b", new="\n  if b:\n    return 0\n  return 1\n"
        )
        mutated = patch.apply(write_code(tmp_path, deep))
        assert mutated.endswith("            if b:\n              return 0\n            return 1\n")

    def test_does_not_take_a_part_of_a_word_for_the_word(self, tmp_path: Path) -> None:
        with pytest.raises(DoesNotApplyError, match="does not stand in add"):
            MISTAKE.apply(write_code(tmp_path, "def add(a, b):\n    return aa + bb\n"))

    @pytest.mark.parametrize(
        ("code", "told"),
        [
            ("def plus(a, b):\n    return a + b\n", r"has no add; nearest: src/sums\.py plus$"),
            ("def added(a, b):\n    return a * b\n", r"has no add; nearest: added"),
            (
                "def add(a, b):\n    return a + c\n",
                r"does not stand in add .*; nearest: line `return a \+ c`$",
            ),
            ("def add(a, b):\n    a + b\n    a + b\n", r"stands 2 times in add"),
        ],
        ids=["renamed", "similar name", "similar line", "twice"],
    )
    def test_names_the_nearest_candidates_where_it_does_not_fit(
        self, tmp_path: Path, code: str, told: str
    ) -> None:
        with pytest.raises(DoesNotApplyError, match=told):
            replace(MISTAKE, old="return a + b" if "line" in told else "a + b").apply(
                write_code(tmp_path, code)
            )

    def test_finds_code_that_went_to_another_file(self, tmp_path: Path) -> None:
        write_code(tmp_path, "x = 1\n")
        (tmp_path / "src" / "other.py").write_text(
            "class Sums:\n    def add(self, a, b):\n        return a + b\n"
        )
        with pytest.raises(DoesNotApplyError, match=r"nearest: src/other\.py Sums\.add$"):
            MISTAKE.apply(tmp_path)


def write_code(root: Path, code: str) -> Path:
    """A repository with this code in src/sums.py."""
    (root / "src").mkdir(exist_ok=True)
    (root / "src" / "sums.py").write_text(code)
    return root


@pytest.mark.slow
def test_code_that_cannot_be_imported_proves_nothing(results: Mapping[str, Result]) -> None:
    assert results["no Python"].verdict is Verdict.NOT_TESTED


def test_red_tests_prove_nothing(tmp_path: Path) -> None:
    repository = write_repository(tmp_path, wide=WIDE.replace("3", "4"))
    with pytest.raises(UnpatchedTestsFailError, match="test_sum"):
        run([MISTAKE], root=repository, all_tests=["tests"])


@pytest.mark.slow
def test_test_that_is_red_anyway_does_not_kill(tmp_path: Path) -> None:
    repository = write_repository(tmp_path, wide=WIDE.replace("3", "4"))
    blind = replace(MISTAKE, new="b + a", tests=("tests/test_narrow.py",))
    (result,) = run([blind], root=repository, all_tests=["tests"])
    assert (result.verdict, result.evidence) == (
        Verdict.NOT_TESTED,
        "red without the mistake too: tests/test_wide.py::test_sum",
    )


class TestRuns:
    """What ends of pytest's runs prove, with runs that are only said to have been."""

    NAMED: Final = (0, "2 passed")
    RED: Final = (1, "FAILED tests/test_a.py::test_a[1 - 2] - assert 1 == 2\n1 failed")

    def verdict(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *ends: tuple[int, str]
    ) -> tuple[Verdict, str]:
        runs = iter(ends)
        monkeypatch.setattr(gate, "_pytest", lambda *_: next(runs))
        judged = gate._try(MISTAKE, write_code(tmp_path, CODE), ["tests"])
        assert next(runs, None) is None
        return judged

    def test_red_test_of_all_that_passes_alone_kills(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        judged = self.verdict(tmp_path, monkeypatch, self.NAMED, self.RED, (0, "1 passed"))
        assert judged == (Verdict.KILLED, "tests/test_a.py::test_a[1 - 2]")

    @pytest.mark.parametrize("code", [1, 2, 4, 5, gate._NO_END, -9])
    def test_red_test_of_all_that_does_not_pass_alone_proves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        judged, why = self.verdict(tmp_path, monkeypatch, self.NAMED, self.RED, (code, ""))
        assert judged is Verdict.NOT_TESTED
        assert why.endswith("without the mistake too: tests/test_a.py::test_a[1 - 2]")

    @pytest.mark.parametrize("before", [[], [NAMED]], ids=["named tests", "all tests"])
    def test_run_without_an_end_proves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: list[tuple[int, str]]
    ) -> None:
        end = (gate._NO_END, "no end within 900 s: tests")
        judged = self.verdict(tmp_path, monkeypatch, *before, end)
        assert judged == (Verdict.NOT_TESTED, end[1])

    def test_time_limit_is_told_from_a_failure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gate, "TIMEOUT_SECONDS", 0.01)
        assert gate._pytest(tmp_path, ["tests"]) == (gate._NO_END, "no end within 0.01 s: tests")

    @pytest.mark.parametrize(
        ("line", "red"),
        [
            ("FAILED tests/a.py::test_a - assert [1] == [2]", "tests/a.py::test_a"),
            ("FAILED tests/a.py::test_a", "tests/a.py::test_a"),
            ("FAILED tests/a.py::Test::test_a[b - c]", "tests/a.py::Test::test_a[b - c]"),
            ("FAILED tests/a.py::test_a[b - c] - x[0] - y", "tests/a.py::test_a[b - c]"),
            ("ERROR tests/a.py - ImportError: x", "tests/a.py"),
            ("1 error in 0.1 s", "1 error in 0.1 s"),
        ],
    )
    def test_red_test_is_named_whole(self, line: str, red: str) -> None:
        assert gate._red_test(f"F\n{line}") == red


def test_list_is_long_enough_and_names_are_distinct() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) >= 25
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mistake_of_the_list_fits_the_code(mutant: Mutant) -> None:
    """A change of the code that a patch no longer fits is noticed at once, not when the gate runs."""
    ast.parse(mutant.apply(ROOT))
    assert mutant.why
    for test in mutant.tests:
        assert (ROOT / test.split("::")[0]).exists()


def test_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no-such-mistake"]) == 2
    assert "no mutant is named no-such-mistake" in capsys.readouterr().err


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
