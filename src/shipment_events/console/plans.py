"""Changes that were shown and wait for a confirmation."""

import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from shipment_events.dead_letters.edits import Edit
from shipment_events.dead_letters.letters import DeadLetterMessage

REDRIVE: Final = "redrive"
DISCARD: Final = "discard"
VERBS: Final[Mapping[str, str]] = {REDRIVE: "redriven", DISCARD: "discarded"}
_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """A change of exactly these dead letters.

    Attributes:
        file: where the copies will be.
    """

    key: str
    action: str
    letters: Sequence[DeadLetterMessage]
    edits: Sequence[Edit]
    file: Path


class Plans:
    """The last plans. Each can be carried out once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._plans: OrderedDict[str, Plan] = OrderedDict()

    def add(
        self, action: str, letters: Sequence[DeadLetterMessage], edits: Sequence[Edit], file: Path
    ) -> Plan:
        """Keep a plan. The oldest one is forgotten."""
        plan = Plan(secrets.token_urlsafe(16), action, letters, edits, file)
        self.put_back(plan)
        return plan

    def put_back(self, plan: Plan) -> None:
        """Keep a plan that could not be carried out now."""
        with self._lock:
            self._plans[plan.key] = plan
            while len(self._plans) > _KEPT:
                self._plans.popitem(last=False)

    def find(self, key: str) -> Plan | None:
        """The plan with this key; None if it was carried out or forgotten."""
        with self._lock:
            return self._plans.get(key)

    def take(self, plan: Plan) -> Plan | None:
        """Take a plan to carry it out; None if somebody else took it."""
        with self._lock:
            return self._plans.pop(plan.key, None)
