"""The parts of documents that programs write: cog runs the code that a document has between its markers.

A part stands between two comments of a file, in which the first has the code that writes it::

    <!-- [[[cog from workbench.engine import gaps; cog.outl(gaps.as_markdown()) ]]] -->
    <!-- [[[end]]] -->

The code of a part that is measured is ``measured("name")``, which keeps what stands there: only the program
that measures has something else to put there, by ``write``.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from cogapp import Cog

from shipment_events.dead_letters.reasons import DeadLetterReason

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"
USAGE: Final = ROOT / "src" / "shipment_events" / "cost" / "usage.py"
"""Has the numbers of the stack that ``shipments cost`` needs; an installed wheel has no stack to count."""
_MARKER: Final = "[[[cog "


def documents() -> Iterator[Path]:
    """Every file with a part that a program writes; first the one whose numbers the others show."""
    for path in [USAGE, *sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])]:
        if _MARKER in path.read_text(encoding="utf-8"):
            yield path


def render(document: Path, measured: Mapping[str, str] | None = None) -> str:
    """A document's text with each of its parts written anew.

    ``measured`` has Markdown by name for parts that are measured; those without stay as they are. Raises
    ValueError for a name that the document has no part for, and cogapp.CogError for code that fails.
    """
    left = dict(measured or {})
    cog = Cog()

    def put(name: str) -> None:
        cog.cogmodule.out(left.pop(name) if name in left else cog.cogmodule.previous)

    output = io.StringIO()
    source = io.StringIO(document.read_text(encoding="utf-8"))
    cog.process_file(source, output, fname=str(document), globals={"measured": put})
    if left:
        raise ValueError(f"{document.name} has no part for {', '.join(sorted(left))}")
    return output.getvalue()


def write(document: Path, measured: Mapping[str, str] | None = None) -> None:
    """Write each part of a document anew; parameters and errors as for ``render``."""
    document.write_text(render(document, measured), encoding="utf-8")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> str:
    """A table in Markdown. With ``numbers``, the columns after the first are aligned to the right."""
    lines = [header, ["---", *["---:" if numbers else "---"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def dead_letter_reasons() -> str:
    """The table of every reason for which an event is a dead letter."""
    rows = [[f"`{reason.value}`", reason.meaning] for reason in DeadLetterReason]
    return markdown_table(["reason", "meaning"], rows)


if __name__ == "__main__":
    for each in documents():
        write(each)
