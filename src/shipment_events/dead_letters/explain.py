"""What a dead letter means in plain words, and what to do about it."""

from dataclasses import dataclass
from typing import Final

from shipment_events.contract.names import SOURCE
from shipment_events.dead_letters.edits import Edit, broken_after, is_editable, still_broken
from shipment_events.dead_letters.letters import DeadLetterMessage
from shipment_events.dead_letters.reasons import DeadLetterReason

_UNKNOWN: Final = (
    "The message has a reason that this version does not know.",
    "A newer version of the processor, or somebody else, sent it.",
    "Look at the message before you redrive or discard it.",
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A dead letter for people.

    Attributes:
        what_happened: a sentence; likewise ``likely_cause`` and ``remedy``.
        detail: which field, what was expected and what was found, as far as it is known.
        now: what the contract says of the event today; empty where it would be stored.
        next_steps: commands, each with what it is for.
    """

    what_happened: str
    detail: str
    likely_cause: str
    remedy: str
    now: str
    next_steps: tuple[tuple[str, str], ...]


def explain(letter: DeadLetterMessage) -> Explanation:
    """Say what happened to the event of a dead letter, and what to do."""
    now = still_broken(letter.body)
    reason = DeadLetterReason.named(letter.reason)
    meaning, cause, remedy = (reason.meaning, reason.cause, reason.remedy) if reason else _UNKNOWN
    return Explanation(
        what_happened=meaning,
        detail=letter.detail,
        likely_cause=cause,
        remedy=remedy,
        now=now,
        next_steps=tuple(_next_steps(letter, reason, now)),
    )


def _next_steps(
    letter: DeadLetterMessage, reason: DeadLetterReason | None, now: str
) -> list[tuple[str, str]]:
    command = "shipments dead-letters"
    mine = f"--id {letter.message_id[:8]}"
    discard = (f"{command} discard {mine} --export discarded.ndjson", "give it up; a copy stays in the file")
    if not is_editable(letter.body):
        return [
            (f"{command} show {letter.message_id[:8]}", "see what the producer sent; --set cannot change it"),
            ("shipments publish events.ndjson", "publish the event anew, once the producer has mended it"),
            discard,
        ]
    if reason in {DeadLetterReason.UNMATCHED, DeadLetterReason.SOURCE_MISMATCH}:
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
        return [
            (
                f"{command} redrive {mine} --set FIELD=VALUE --export originals.ndjson",
                "correct the field and store it, after asking the producer what is right",
            ),
            discard,
        ]
    if reason is None:
        # Foreign text has no place in a command that somebody copies.
        return [(f"{command} redrive {mine}", "store it")]
    return [
        (f"{command} redrive --reason {reason.value} --dry-run", "how many more are like it"),
        (f"{command} redrive --reason {reason.value}", "once the cause is gone: all of them are stored"),
    ]
