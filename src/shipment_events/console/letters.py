"""Dead letters as they were read: by reason, and one explained."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shipment_events.console.bodies import body_lines
from shipment_events.console.rendering import page
from shipment_events.console.state import Console, console_of, panel, view
from shipment_events.contract.event import FIELDS
from shipment_events.dead_letters.edits import ENVELOPE_FIELDS, field_to_correct, is_editable, problem_of
from shipment_events.dead_letters.explain import explain
from shipment_events.dead_letters.letters import DeadLetterMessage
from shipment_events.dead_letters.reasons import DeadLetterReason

AT_ONCE: Final = 1_000
"""Dead letters of the first reading, which takes seconds. A person can read the others, too."""
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Group:
    """The dead letters of one reason, first queued first. ``meaning`` is empty for an unknown reason."""

    reason: str
    meaning: str
    letters: Sequence[DeadLetterMessage]

    @property
    def shipments(self) -> list[str]:
        """The shipments, each once."""
        return list(dict.fromkeys(one.shipment_id for one in self.letters if one.shipment_id))

    @property
    def most_receives(self) -> int:
        """The most receives of any."""
        return max(letter.receives for letter in self.letters)


def groups_of(letters: Sequence[DeadLetterMessage]) -> list[Group]:
    """The letters by reason, the most frequent first."""
    by_reason: dict[str, list[DeadLetterMessage]] = defaultdict(list)
    for letter in letters:
        by_reason[letter.reason].append(letter)
    return [
        Group(reason, known.meaning if (known := DeadLetterReason.named(reason)) else "", some)
        for reason, some in sorted(by_reason.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    ]


def dead_letters(request: Request) -> Response:
    """All dead letters that were read, or those of a reason, or else of a shipment."""
    shelf = console_of(request).shelf
    reason = request.query_params.get("reason", "")
    # A change is for one of the two.
    shipment = "" if reason else request.query_params.get("shipment", "")
    limit = request.query_params.get("limit", "")
    found = shelf.letters(reason, shipment)
    return view(
        request,
        "dead_letters.html",
        here="letters",
        reason=reason,
        shipment=shipment,
        meaning=known.meaning if (known := DeadLetterReason.named(reason)) else "",
        letters=found,
        limit=int(limit) if limit.isdecimal() and len(limit) < 7 else _SHOWN,
        groups=[] if reason or shipment else groups_of(found),
        read_at=shelf.read_at,
        hidden=shelf.hidden,
        job=console_of(request).jobs.last(),
        now=datetime.now(UTC),
    )


@panel("In the queue")
def count(request: Request) -> Response:
    """How many dead letters the queue counts. This receives none."""
    console = console_of(request)
    depth = console.memo.get("letters", console.pipeline.dead_letters.depth)
    return page("letter_count.html", depth=depth, read_at=console.shelf.read_at, at_once=AT_ONCE)


def letter(request: Request) -> Response:
    """One dead letter, explained."""
    return show_letter(request, request.path_params["identifier"])


def show_letter(
    request: Request, identifier: str, *, field: str = "", value: str = "", said: str = ""
) -> Response:
    """The page of a letter. ``said`` is what is wrong with a correction of ``field`` to ``value``."""
    console = console_of(request)
    found = console.shelf.named([identifier])
    if not found:
        return _not_there(request, console, identifier)
    (one,) = found
    problem = problem_of(one.body)
    return view(
        request,
        "letter.html",
        422 if said else 200,
        here="letters",
        letter=one,
        explanation=explain(one, console.stage),
        problem=problem,
        lines=body_lines(one.body, problem),
        editable=is_editable(one.body),
        fields=[*FIELDS, *ENVELOPE_FIELDS],
        field=field or field_to_correct(problem),
        value=value,
        said=said,
        others=len(console.shelf.letters(one.reason)) - 1,
        now=datetime.now(UTC),
    )


def _not_there(request: Request, console: Console, identifier: str) -> Response:
    return view(
        request,
        "letter_gone.html",
        404,
        here="letters",
        identifier=identifier,
        gone=console.shelf.gone(identifier),
        read_at=console.shelf.read_at,
        now=datetime.now(UTC),
    )


ROUTES: Final = [
    Route("/dead-letters", dead_letters),
    Route("/panels/letter-count", count),
    Route("/dead-letters/{identifier}", letter),
]
