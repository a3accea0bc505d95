"""Code is read in one sitting: short functions, and files of the package that are not long."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.repository.documents import ROOT

MOST_LINES_OF_A_FUNCTION: Final = 50
MOST_LINES_OF_A_FILE: Final = 300
PACKAGE: Final = ROOT / "src" / "shipment_events"


@pytest.mark.parametrize("folder", ["src", "infrastructure", "workbench", "benchmarks", "examples"])
def test_functions_fit_a_screen(folder: str) -> None:
    functions = list(_functions(ROOT / folder))
    assert functions
    assert [name for name, lines in functions if lines > MOST_LINES_OF_A_FUNCTION] == []


def test_files_of_the_package_are_not_long() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert [path.name for path, count in lines.items() if count > MOST_LINES_OF_A_FILE] == []


def test_a_table_does_not_count_and_other_lines_do() -> None:
    table = "\n".join(["def table():", "    return [", *["        1,"] * 60, "    ]"])
    steps = "\n".join(["def steps():", *["    print()"] * 60, "    return [1]"])
    assert _lines(ast.parse(table).body[0]) == 1
    assert _lines(ast.parse(steps).body[0]) == 61


def _functions(folder: Path) -> Iterator[tuple[str, int]]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", _lines(node)


def _lines(function: ast.stmt) -> int:
    """Lines of a function, without a table of data that it returns in the end."""
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    last = function.body[-1]
    is_table = isinstance(last, ast.Return) and isinstance(last.value, ast.List | ast.Dict | ast.Set)
    end = last.lineno - 1 if is_table else function.end_lineno
    return (end or 0) - function.lineno + 1
