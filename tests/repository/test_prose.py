"""The documents are in plain English, and short."""

import json
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.repository.documents import ROOT

TEXTLINT: Final = ROOT / "node_modules" / ".bin" / "textlint"
MOST_WORDS: Final = 14_500
"""Of README.md and docs/ together. A change that adds words somewhere cuts as many or raises this number."""
_GENERATED: Final = re.compile(r"<!-- \[\[\[cog .*?<!-- \[\[\[end\]\]\] -->", re.DOTALL)


def test_the_documents_stay_short() -> None:
    """What a program writes does not count: it grows with the code."""
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    texts = [_GENERATED.sub("", document.read_text(encoding="utf-8")) for document in documents]
    assert sum(len(text.split()) for text in texts) <= MOST_WORDS


@pytest.mark.skipif(not TEXTLINT.exists(), reason="textlint comes with 'make test'")
def test_the_prose_linter_says_where_and_what_to_say_instead(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    long = " ".join(["A sentence of many words"] * 8)
    document.write_text(f"# Page\n\nThe oldest message waits since 300 s.\nLikewise the next.\n\n{long}.\n")

    command = [str(TEXTLINT), "--format", "json", str(document)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert run.returncode == 1, run.stderr
    (page,) = json.loads(run.stdout)
    waits, likewise, sentence = page["messages"]
    assert (waits["line"], "has waited for" in waits["message"]) == (3, True)
    assert (likewise["line"], "also" in likewise["message"]) == (4, True)
    assert (sentence["line"], sentence["ruleId"]) == (6, "sentence-length")
