"""What a dead letter means in plain words, and what to do about it."""

from dataclasses import dataclass
from typing import Final

from shipment_events.contract.names import SOURCE
from shipment_events.contract.outcome import Reason
from shipment_events.dead_letters.letters import (
    DELIVERY_FAILED,
    RETRIES_EXHAUSTED,
    UNMATCHED,
    DeadLetterMessage,
)
from shipment_events.dead_letters.redrive import still_broken

_BROKEN: Final = (
    "The processor read the event and set it aside at first sight: it can never be stored as it is."
)
_WHAT_HAPPENED: Final = {
    UNMATCHED: "The bus accepted the event, but its source or detail-type is none that the rule takes.",
    DELIVERY_FAILED: "EventBridge could not put the event into the queue and gave up.",
    RETRIES_EXHAUSTED: "The processor received the event as often as the queue allows and could not store it:"
    " the table was not available, or the function failed. The event itself may be good.",
    Reason.INVALID_JSON.value: "The body of the message is no JSON, so no event can be read from it.",
    Reason.INVALID_ENVELOPE.value: "The message is no EventBridge envelope: somebody wrote to the queue"
    " itself.",
}
_CAUSES: Final = {
    UNMATCHED: "A producer that is new, or misspells source or detail-type.",
    DELIVERY_FAILED: "The queue's policy or its key was changed, or the queue was gone.",
    RETRIES_EXHAUSTED: "An outage or throttling of the table, or a deployment of the processor that fails.",
}
_PRODUCER: Final = (
    "The producer sends what the contract forbids, or the contract was tightened by a deployment."
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A dead letter for people.

    Attributes:
        what_happened: a sentence.
        detail: which field, what was expected and what was found, as far as it is known.
        likely_cause: a sentence.
        now: what the contract says of the event today; empty where it would be stored.
        next_steps: commands, each with what it is for.
    """

    what_happened: str
    detail: str
    likely_cause: str
    now: str
    next_steps: tuple[tuple[str, str], ...]


def explain(letter: DeadLetterMessage) -> Explanation:
    """Say what happened to the event of a dead letter, and what to do."""
    now = still_broken(letter.body)
    return Explanation(
        what_happened=_WHAT_HAPPENED.get(letter.reason, _BROKEN),
        detail=letter.detail,
        likely_cause=_CAUSES.get(letter.reason, _PRODUCER),
        now=now,
        next_steps=tuple(_next_steps(letter, now)),
    )


def _next_steps(letter: DeadLetterMessage, now: str) -> list[tuple[str, str]]:
    command = "shipments dead-letters"
    mine = f"--id {letter.message_id[:8]}"
    discard = (f"{command} discard {mine} --export discarded.ndjson", "give it up; a copy stays in the file")
    if letter.reason == UNMATCHED:
        edit = f"--set source={SOURCE}"
        if now:
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
    return [
        (f"{command} redrive --reason {letter.reason} --dry-run", "how many more are like it"),
        (f"{command} redrive --reason {letter.reason}", "once the cause is gone: all of them are stored"),
    ]
