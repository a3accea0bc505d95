"""How dead letters look in a terminal."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from shipment_events.cli.options import ago
from shipment_events.cli.presentation import LONGEST_SENTENCE, counts, print_table, printable, short
from shipment_events.dead_letters.explain import Explanation
from shipment_events.dead_letters.letters import DeadLetterMessage, Reading
from shipment_events.dead_letters.settlement import Settlement

HIDDEN = (
    "another command has them, or one that was killed had. Those come back by themselves, within a minute,"
    " of a long queue later: try again."
)
APPROXIMATE = "(by the queue's count, which is approximate and on AWS can be a minute old)"
_SHOWN_SHIPMENTS = 3
_SHOWN_FAILURES = 10


def hidden_note(count: int) -> str:
    """That some dead letters could not be read, and why."""
    return f"About {count:,} more are hidden {APPROXIMATE}: {HIDDEN}"


def print_letters(console: Console, found: Reading) -> None:
    """Dead letters by reason, the most frequent first, with one of each to look at."""
    letters = found.letters
    if not letters:
        if found.hidden:
            console.print(f"None is visible; about {found.hidden:,} are hidden.", style="yellow")
        else:
            console.print("No dead letters.", style="green")
        return
    by_reason: dict[str, list[DeadLetterMessage]] = defaultdict(list)
    for letter in letters:
        by_reason[letter.reason].append(letter)
    title = f"{len(letters):,} dead letter{'s' if len(letters) > 1 else ''}"
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("reason", no_wrap=True)
    table.add_column("count", justify="right")
    for name in ("first queued", "last queued", "receives", "shipments"):
        table.add_column(name, overflow="fold")
    table.add_column("for example", no_wrap=True)
    for reason, group in sorted(by_reason.items(), key=lambda entry: -len(entry[1])):
        group.sort(key=lambda letter: letter.sent_at)
        most = max(letter.receives for letter in group)
        table.add_row(
            Text(short(reason)),
            f"{len(group):,}",
            ago(group[0].sent_at),
            ago(group[-1].sent_at),
            f"up to {most}",
            Text(_shipments(group)),
            Text(group[-1].message_id[:8]),
        )
    print_table(console, table)
    console.print("Next: shipments dead-letters explain ID", style="dim", highlight=False)


def letter_view(letter: DeadLetterMessage) -> RenderableType:
    """One dead letter whole."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in letter.as_json().items():
        if name != "body":
            table.add_row(name, Text(printable(value)))
    return Group(table, "", Text(_pretty(letter.body)))


def explanation_view(letter: DeadLetterMessage, explanation: Explanation) -> RenderableType:
    """What happened, and the commands that help."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("dead letter", Text(f"{letter.message_id}, queued {ago(letter.sent_at)}"))
    table.add_row("shipment", Text(short(letter.shipment_id) or "not readable"))
    table.add_row("reason", Text(short(letter.reason), "bold"))
    table.add_row("what happened", explanation.what_happened)
    table.add_row("in detail", Text(printable(explanation.detail, most=LONGEST_SENTENCE)))
    table.add_row("likely cause", explanation.likely_cause)
    table.add_row("remedy", explanation.remedy)
    now = printable(explanation.now, most=LONGEST_SENTENCE)
    table.add_row("if redriven", Text(now or "would be stored now"))
    for number, (command, purpose) in enumerate(explanation.next_steps):
        table.add_row("" if number else "what to do", Text.assemble(f"{purpose}:\n  ", (command, "bold")))
    return table


def print_reasons(console: Console, whys: Counter[str]) -> None:
    """Why events are refused, the most frequent first."""
    for why, count in whys.most_common(_SHOWN_FAILURES):
        console.print(Text(f"  {count:,} times {printable(why, most=LONGEST_SENTENCE)}"))
    if len(whys) > _SHOWN_FAILURES:
        console.print(f"  … and {len(whys) - _SHOWN_FAILURES:,} other reasons; --json names all")


def settlement_json(done: str, result: Settlement) -> dict[str, Any]:
    """The result of a command, for machines; ``done`` is its name for what is settled."""
    return {
        done: len(result.settled),
        f"{done}_by_reason": Counter(letter.reason for letter in result.settled),
        "still_broken": result.still_broken,
        "passed_over": result.passed_over,
        "unseen": result.unseen,
        "interrupted": result.interrupted,
        "failed": [{"message_id": letter.message_id, "why": why} for letter, why in result.failed],
        "undeleted": [{"message_id": letter.message_id, "why": why} for letter, why in result.undeleted],
    }


def print_settlement(console: Console, done: str, result: Settlement) -> None:
    """The result of a command, and what to do with what is left."""
    by_reason = counts(Counter(letter.reason for letter in result.settled))
    console.print(Text(f"{len(result.settled):,} {done}{f' ({by_reason})' if by_reason else ''}"))
    if result.still_broken:
        broken = result.still_broken.total()
        console.print(
            f"{broken:,} of them break the contract still and will be dead letters again:",
            style="yellow",
        )
        print_reasons(console, result.still_broken)
    if result.interrupted:
        console.print(f"Interrupted: the others are not {done}, and none is lost. Run it again.", style="red")
    if result.passed_over:
        console.print(f"{result.passed_over:,} not chosen, left in the dead-letter queue")
    for letter, why in result.failed[:_SHOWN_FAILURES]:
        console.print(Text(f"{letter.message_id} not {done}: {short(why)}", "red"))
    for letter, why in result.undeleted[:_SHOWN_FAILURES]:
        console.print(Text(f"{letter.message_id} {done}, but not deleted: {short(why)}; run it again", "red"))
    if result.unseen:
        console.print(f"About {result.unseen:,} were not seen {APPROXIMATE}: {HIDDEN}", style="red")
    unseen = len(result.failed) + len(result.undeleted) - 2 * _SHOWN_FAILURES
    if unseen > 0:
        console.print(f"… and up to {unseen:,} more; --json names all", style="red")


def _shipments(letters: Sequence[DeadLetterMessage]) -> str:
    named = list(dict.fromkeys(short(letter.shipment_id) for letter in letters if letter.shipment_id))
    more = len(named) - _SHOWN_SHIPMENTS
    return ", ".join(named[:_SHOWN_SHIPMENTS]) + (f" and {more:,} more" if more > 0 else "")


def _pretty(body: str) -> str:
    """The envelope as people read it; ``--json`` has it to the last digit."""
    try:
        return printable(json.dumps(json.loads(body), indent=2, ensure_ascii=False), "\n")
    except (ValueError, RecursionError):
        # With a mark before each line, so that none passes for a line of ours.
        return "\n".join(f"| {printable(line)}" for line in body.split("\n"))
