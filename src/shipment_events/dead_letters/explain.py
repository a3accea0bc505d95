"""Explain a dead letter in plain words, with the next steps."""

from dataclasses import dataclass
from typing import Final

from shipment_events.contract import names
from shipment_events.contract.event import FIELDS
from shipment_events.contract.names import SOURCE
from shipment_events.dead_letters.edits import (
    Edit,
    broken_after,
    field_to_correct,
    is_editable,
    problem_of,
    still_broken,
)
from shipment_events.dead_letters.letters import DeadLetterMessage
from shipment_events.dead_letters.reasons import DeadLetterReason, Repair

_UNKNOWN: Final = (
    "The message has a reason that this version does not know.",
    "A newer version of the processor, or somebody else, sent it.",
    "Look at the message before you redrive or discard it.",
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of a dead letter. ``what_happened``, ``likely_cause`` and ``remedy`` are sentences.

    Attributes:
        detail: the field, what was expected and what was found, if known.
        now: why the event would be quarantined again; empty if it would be stored.
        next_steps: pairs of a command and its purpose.
    """

    what_happened: str
    detail: str
    likely_cause: str
    remedy: str
    now: str
    next_steps: tuple[tuple[str, str], ...]


def explain(letter: DeadLetterMessage, environment: str) -> Explanation:
    """Explain what happened to the event of a dead letter of a stage, and what to do."""
    now = still_broken(letter.body)
    reason = DeadLetterReason.named(letter.reason)
    meaning, cause, remedy = (reason.meaning, reason.cause, reason.remedy) if reason else _UNKNOWN
    return Explanation(
        what_happened=meaning,
        detail=letter.detail,
        likely_cause=cause,
        remedy=remedy,
        now=now,
        next_steps=tuple(_next_steps(letter, reason, now, environment)),
    )


def _next_steps(
    letter: DeadLetterMessage, reason: DeadLetterReason | None, now: str, environment: str
) -> list[tuple[str, str]]:
    command = names.command(environment, "dead-letters")
    mine = f"--id {letter.message_id[:8]}"
    discard = (f"{command} discard {mine} --export discarded.ndjson", "delete it; a copy stays in the file")
    repair = reason.repair if reason else Repair.REDRIVE
    if repair is Repair.PUBLISH_AGAIN or not is_editable(letter.body):
        return [
            (f"{command} show {letter.message_id[:8]}", "see what the producer sent; --set cannot change it"),
            (
                names.command(environment, "publish events.ndjson"),
                "publish the event again after the producer has corrected it",
            ),
            discard,
        ]
    if repair is Repair.SET_SOURCE:
        edit = f"--set source={SOURCE}"
        if broken_after([letter], [Edit("source", SOURCE)]):
            edit += " --set detail-type=shipment.TYPE --set event_type=shipment.TYPE"
        return [
            (
                f"{command} redrive {mine} {edit} --export originals.ndjson",
                "if it is a shipment event, correct it and store it",
            ),
            discard,
        ]
    if now:
        field = field_to_correct(problem_of(letter.body))
        # Somebody may copy the command, so it names no field of the producer's own.
        name = field if field in FIELDS else "FIELD"
        return [
            (
                f"{command} redrive {mine} --set {name}=VALUE --export originals.ndjson",
                "correct the field and store it, after asking the producer what is right",
            ),
            discard,
        ]
    if reason is None:
        # Somebody may copy the command, so it must not contain an unknown reason from outside.
        return [(f"{command} redrive {mine}", "store it")]
    return [
        (f"{command} redrive --reason {reason.value} --dry-run", "see how many others have this reason"),
        (f"{command} redrive --reason {reason.value}", "store all of them after the cause is gone"),
    ]
