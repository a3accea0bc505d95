"""Documents hold what the code says today."""

import difflib
from pathlib import Path
from typing import Final

import pytest
from cogapp.cogapp import CogUserException

from workbench.documents import ROOT, SCHEMAS, USAGE, documents, markdown_table, render, schemas, write

MEASURED: Final = '<!-- [[[cog measured("speed") ]]] -->\n{}\n<!-- [[[end]]] -->\n'


def out_of_date(document: Path) -> str:
    """How a document differs from what its programs write, and what to do; empty if it does not."""
    before, after = document.read_text(encoding="utf-8"), render(document)
    changes = difflib.unified_diff(before.splitlines(), after.splitlines(), "document", "code", lineterm="")
    return "" if before == after else "\n".join([f"{document.name} is out of date: make docs", *changes])


@pytest.mark.parametrize(
    "document",
    # Its numbers need CDK, which tests/infrastructure/test_cost.py has at hand.
    [document for document in documents() if document != USAGE],
    ids=lambda document: document.relative_to(ROOT).as_posix(),
)
def test_document_is_up_to_date(document: Path) -> None:
    assert out_of_date(document) == ""


def test_schemas_are_up_to_date() -> None:
    """After a change of the contract or of the API's routes: make docs"""
    assert {path: path.read_text() for path in SCHEMAS.iterdir()} == schemas()


def test_a_stale_part_is_told_and_written_anew(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- [[[cog cog.outl(str(6 * 7)) ]]] -->\n41\n<!-- [[[end]]] -->\nafter\n")
    assert "make docs" in out_of_date(document)
    assert "+42" in out_of_date(document)
    write(document)
    assert out_of_date(document) == ""
    assert document.read_text().startswith("before\n")
    assert document.read_text().endswith("-->\n42\n<!-- [[[end]]] -->\nafter\n")


def test_what_was_measured_stays_until_it_is_measured_again(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(MEASURED.format("9 ms"))
    assert out_of_date(document) == ""
    write(document, {"speed": "8 ms"})
    assert document.read_text() == MEASURED.format("8 ms")


def test_a_measurement_without_a_part_is_not_dropped(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(MEASURED.format("9 ms"))
    with pytest.raises(ValueError, match=r"document\.md has no part for memory"):
        write(document, {"speed": "8 ms", "memory": "1 MB"})
    assert document.read_text() == MEASURED.format("9 ms")


def test_code_that_fails_is_told(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("<!-- [[[cog cog.outl(no_such_table()) ]]] -->\n<!-- [[[end]]] -->\n")
    with pytest.raises(CogUserException, match="no_such_table"):
        render(document)


def test_columns_of_numbers_are_aligned_to_the_right() -> None:
    assert markdown_table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | --- |\n| x | 1 |"
    assert "| --- | ---: |" in markdown_table(["a", "b"], [["x", "1"]], numbers=True)
