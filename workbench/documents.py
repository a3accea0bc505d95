"""Writes the files in ``schemas/``, and the generated parts of documents with cog, which runs their code.

A part is between two comments of a Markdown file. The first comment has the code that writes the part::

    <!-- [[[cog from workbench.engine import gaps; cog.outl(gaps.as_markdown()) ]]] -->
    <!-- [[[end]]] -->

The code of a measured part is ``measured("name")``. It keeps the present text, unless the measuring program
passes another text to ``write``.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from cogapp import Cog

from shipment_events.api.openapi import openapi_document
from shipment_events.contract.event import FIELDS
from shipment_events.contract.limits import MAX_EVENT_TYPE_CHARACTERS
from shipment_events.contract.names import EVENT_TYPE_PREFIX
from shipment_events.contract.schema import event_schema
from shipment_events.dead_letters.reasons import DeadLetterReason
from shipment_events.stages import StageSettings
from shipment_events.tracking.changes import Kind
from shipment_events.tracking.schema import change_schema
from shipment_events.tracking.vocabulary import FINISHED, STATUS_OF_TYPE, STATUSES

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"
SCHEMAS: Final = ROOT / "schemas"
USAGE: Final = ROOT / "src" / "shipment_events" / "cost" / "usage.py"
"""Has the numbers of the stack that ``shipments cost`` needs; an installed wheel has no stack to count."""
_MARKER: Final = "[[[cog "


def documents() -> Iterator[Path]:
    """Every file with a part that a program writes; first the one whose numbers the others show."""
    for path in [USAGE, *sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])]:
        if _MARKER in path.read_text(encoding="utf-8"):
            yield path


def render(document: Path, measured: Mapping[str, str] | None = None) -> str:
    """A document's text with each of its parts written again.

    ``measured`` has the Markdown of measured parts by name. Other measured parts do not change. Raises
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
    """Write each part of a document again. Parameters and errors are those of ``render``."""
    document.write_text(render(document, measured), encoding="utf-8")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> str:
    """A table in Markdown. With ``numbers``, the columns after the first are aligned to the right."""
    lines = [header, ["---", *["---:" if numbers else "---"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fields_table() -> str:
    """The table of the event's fields."""
    forms = {
        "text": "text",
        "timestamp": "text",
        "event_type": f"`{EVENT_TYPE_PREFIX}…`, at most {MAX_EVENT_TYPE_CHARACTERS} characters",
        "object": "object",
        "any": "any value",
    }
    rows = []
    for name, field in FIELDS.items():
        limit = f", not empty, at most {field.max_bytes:,} bytes" if field.max_bytes else ""
        required = "required" if field.required else "optional"
        rows.append([f"`{name}`", required, forms[field.kind] + limit, field.description])
    rows.append(["anything else", "optional", "any value", "Kept as it came."])
    return markdown_table(["field", "", "form", "meaning"], rows)


def dead_letter_reasons() -> str:
    """The table of every reason for which an event is a dead letter."""
    rows = [[f"`{reason.value}`", reason.meaning, reason.told_by] for reason in DeadLetterReason]
    return markdown_table(["reason", "meaning", "told by"], rows)


def status_table() -> str:
    """The table of every status with the event types that have it, by rank."""
    rows = []
    for rank, status in enumerate(STATUSES, start=1):
        types = ", ".join(f"`{name}`" for name, meant in STATUS_OF_TYPE.items() if meant == status)
        rows.append([str(rank), f"`{status}`{', finished' if status in FINISHED else ''}", types])
    return markdown_table(["rank", "status", "event types"], rows)


def numbers_table() -> str:
    """The table of the numbers that a stage has unless it sets others."""
    stage = StageSettings(environment="default")
    rows = [
        ["archive", f"retention {stage.archive_retention_days} days"],
        [
            "rule",
            f"{stage.delivery_retry_attempts} retries, {stage.delivery_max_age_hours} hours; then the"
            " dead-letter queue",
        ],
        [
            "queue",
            f"visibility {stage.visibility_timeout_seconds} s ({stage.visibility_timeout_multiple} times the"
            f" processor's timeout), retention {stage.queue_retention_days} days, long polling"
            f" {stage.queue_long_poll_seconds} s; {stage.queue_max_receives} receives, then the dead-letter"
            " queue",
        ],
        [
            "dead-letter queue",
            f"visibility {stage.dead_letter_visibility_seconds} s, retention"
            f" {stage.dead_letter_retention_days} days",
        ],
        [
            "alarms on age",
            f"oldest event in the queue: warning after {stage.queue_age_threshold_seconds // 60} minutes,"
            f" page after {stage.queue_age_page_seconds // 60}; dead letters: daily reminder, page after"
            f" {stage.dead_letter_age_threshold_days} days without an empty queue",
        ],
        [
            "processor",
            f"Python 3.12, arm64, {stage.processor_memory_mb} MB, timeout"
            f" {stage.processor_timeout_seconds} s; batches of at most {stage.batch_size}, batching window"
            f" {stage.batching_window_seconds} s, partial batch responses; logs kept"
            f" {stage.log_retention_days} days",
        ],
        [
            "table",
            f"on-demand, events kept {stage.event_retention_days} days, point-in-time recovery, stream of new"
            " and old images",
        ],
    ]
    return markdown_table(["thing", "numbers"], rows)


def schemas() -> dict[Path, str]:
    """Path and text of each file in ``schemas/``."""
    found = {"openapi.json": openapi_document(), "shipment-event.schema.json": event_schema()}
    found |= {f"{kind}.schema.json": change_schema(kind) for kind in Kind}
    return {SCHEMAS / name: json.dumps(schema, indent=2) + "\n" for name, schema in found.items()}


if __name__ == "__main__":
    for each in documents():
        write(each)
    for path, text in schemas().items():
        path.write_text(text, encoding="utf-8")
