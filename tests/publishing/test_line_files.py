"""Files of lines: what another program or a killed command left in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipment_events.accounting.audit import audit_journal
from shipment_events.dead_letters.exports import LetterExportError, read_export
from shipment_events.publishing.line_files import ensure_utf8, open_lines, read_lines


def read(path: Path) -> list[str]:
    with read_lines(path) as lines:
        return list(lines)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_reads_utf8_with_and_without_a_mark(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "file"
    path.write_text(f"{mark}Łódź\nx", encoding="utf-8")
    assert read(path) == ["Łódź\n", "x"]


def read_journal_of_an_audit(path: Path) -> None:
    nothing: Any = None
    audit_journal(path, nothing, nothing)


@pytest.mark.parametrize(
    ("reads", "error"),
    [
        (read, ValueError),
        (read_journal_of_an_audit, ValueError),
        (lambda path: list(read_export(path)), LetterExportError),
    ],
    ids=["lines", "journal", "export"],
)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}".encode("utf-16"), "UTF-16; expected UTF-8. Convert it: iconv"),
        ("{}".encode("utf-16-le"), "UTF-16LE"),
        ("{}".encode("utf-32"), "UTF-32"),
        ('{"a":"é"}'.encode("latin-1"), "it is no UTF-8"),
    ],
)
def test_says_which_encoding_a_file_has(
    tmp_path: Path, reads: Callable[[Path], object], error: type[Exception], content: bytes, said: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(error, match=said):
        reads(path)


@pytest.mark.parametrize("head", [b"", b"{", b"{}", b"{}\n", b'{"a"', b"\xff", b"\x00", b"\x00" * 4])
def test_what_may_be_utf8_is_read(head: bytes) -> None:
    """What is broken otherwise is refused line by line."""
    ensure_utf8(head)


@pytest.mark.parametrize(("before", "after"), [("", "x\n"), ("a\n", "a\nx\n"), ("half", "half\nx\n")])
def test_what_is_added_has_a_line_of_its_own(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "file"
    path.write_text(before, encoding="utf-8")
    with open_lines(path) as file:
        file.write("x\n")
    assert path.read_text(encoding="utf-8") == after
