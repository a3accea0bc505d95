"""How dead letters look in a terminal."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from shipment_events.cli.options import ago, command
from shipment_events.cli.presentation import LONGEST_SENTENCE, counts, print_table, printable, short
from shipment_events.dead_letters.explain import Explanation
from shipment_events.dead_letters.letters import DeadLetterMessage, Reading
from shipment_events.dead_letters.settlement import Settlement

HIDDEN = "a command holds them, or a killed one did. They become visible within minutes. Try again then."
APPROXIMATE = "(by the queue's count, which is approximate and can be a minute old on AWS)"
_SHOWN_SHIPMENTS = 3
_SHOWN_FAILURES = 10


def hidden_note(count: int) -> str:
    """A note that some dead letters could not be read, and why."""
    return f"About {count:,} more are hidden {APPROXIMATE}: {HIDDEN}"


def print_letters(console: Console, found: Reading) -> None:
    """Print dead letters by reason, the most frequent first, with one id for each reason."""
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
    console.print(f"Next: {command('dead-letters explain ID')}", style="dim", highlight=False)


def letter_view(letter: DeadLetterMessage) -> RenderableType:
    """One dead letter with all its attributes and its body."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in letter.as_json().items():
        if name != "body":
            table.add_row(name, Text(printable(value)))
    return Group(table, "", Text(_pretty(letter.body)))


def explanation_view(letter: DeadLetterMessage, explanation: Explanation) -> RenderableType:
    """An explanation and the commands that help."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("dead letter", Text(f"{letter.message_id}, first queued {ago(letter.sent_at)}"))
    table.add_row("shipment", Text(short(letter.shipment_id) or "not readable"))
    table.add_row("reason", Text(short(letter.reason), "bold"))
    table.add_row("what happened", explanation.what_happened)
    table.add_row("in detail", Text(printable(explanation.detail, most=LONGEST_SENTENCE)))
    table.add_row("likely cause", explanation.likely_cause)
    table.add_row("remedy", explanation.remedy)
    now = printable(explanation.now, most=LONGEST_SENTENCE)
    table.add_row("if redriven", Text(now or "it would be stored now"))
    for number, (step, purpose) in enumerate(explanation.next_steps):
        table.add_row("" if number else "commands", Text.assemble(f"{purpose}:\n  ", (step, "bold")))
    return table


def print_reasons(console: Console, whys: Counter[str]) -> None:
    """Print why events are refused, the most frequent reason first."""
    for why, count in whys.most_common(_SHOWN_FAILURES):
        console.print(Text(f"  {count:,} times {printable(why, most=LONGEST_SENTENCE)}"))
    if len(whys) > _SHOWN_FAILURES:
        console.print(f"  … and {len(whys) - _SHOWN_FAILURES:,} other reasons; --json lists all")


def settlement_json(done: str, result: Settlement) -> dict[str, Any]:
    """The result of a command as JSON. ``done`` is the verb, such as ``redriven``."""
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
    """Print the result of a command, and what to do about the rest."""
    by_reason = counts(Counter(letter.reason for letter in result.settled))
    console.print(Text(f"{len(result.settled):,} {done}{f' ({by_reason})' if by_reason else ''}"))
    if result.still_broken:
        broken = result.still_broken.total()
        console.print(
            f"{broken:,} of them still break the contract and will be dead letters again:",
            style="yellow",
        )
        print_reasons(console, result.still_broken)
    if result.interrupted:
        console.print(f"Interrupted: the others are not {done}. None is lost. Run it again.", style="red")
    if result.passed_over:
        console.print(f"{result.passed_over:,} not selected; they stay in the dead-letter queue")
    for letter, why in result.failed[:_SHOWN_FAILURES]:
        console.print(Text(f"{letter.message_id} not {done}: {short(why)}", "red"))
    for letter, why in result.undeleted[:_SHOWN_FAILURES]:
        console.print(Text(f"{letter.message_id} {done} but not deleted: {short(why)}; run it again", "red"))
    if result.unseen:
        console.print(f"About {result.unseen:,} were not seen {APPROXIMATE}: {HIDDEN}", style="red")
    unshown = sum(max(0, len(some) - _SHOWN_FAILURES) for some in (result.failed, result.undeleted))
    if unshown:
        console.print(f"… and {unshown:,} more; --json lists all", style="red")


def _shipments(letters: Sequence[DeadLetterMessage]) -> str:
    named = list(dict.fromkeys(short(letter.shipment_id) for letter in letters if letter.shipment_id))
    more = len(named) - _SHOWN_SHIPMENTS
    return ", ".join(named[:_SHOWN_SHIPMENTS]) + (f" and {more:,} more" if more > 0 else "")


def _pretty(body: str) -> str:
    """The envelope with indentation. Numbers may be rounded; ``--json`` shows them exactly."""
    try:
        return printable(json.dumps(json.loads(body), indent=2, ensure_ascii=False), "\n")
    except (ValueError, RecursionError):
        # The mark shows that a line comes from the message and not from this command.
        return "\n".join(f"| {printable(line)}" for line in body.split("\n"))
