"""Incidents of containers, connections and the engine. ``faults.py`` has the faults of requests."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from workbench.drill.faults import DYNAMODB, EVENTS, SERVICES, SQS, NamedRule, outage
from workbench.drill.partial_proxy import WriteHook
from workbench.drill.proxy import FaultProxies
from workbench.drill.stage import Stage

KILLED_BEFORE_WRITE: Final = "killed_before_write"
KILLED_AFTER_WRITE: Final = "killed_after_write"
KILLED_AFTER_ANNOUNCING: Final = "killed_after_announcing"
KILLED_AFTER_STATE: Final = "killed_after_state"
FUNCTION_TIMEOUT: Final = "function_timeout"
REFUSED: Final = "refused_connections"
TABLE_OUTAGE: Final = "table_outage_begun"
ENGINE_RESTART: Final = "engine_restart"

_HOOK_SECONDS: Final = 5.0
# The pause lets requests end before the engine stops and writes its state.
_SETTLE_SECONDS: Final = 0.5


@dataclass(slots=True)
class Incidents:
    """Causes the incidents, one after the other.

    Attributes:
        seconds: time over which the incidents are spread.
        calm: returns the faults of a service while it has no incident.
        fired: number of incidents by kind.
        missed: number of incidents by kind for which no container wrote in time.
        last_fired_at: end of the last incident, seconds since 1970; 0 if there was none.
        current: the present incident, for the progress display.
    """

    stage: Stage
    proxies: FaultProxies
    seed: int
    seconds: float
    calm: Callable[[str], list[NamedRule]]
    fired: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    last_fired_at: float = 0.0
    current: str = ""

    def throw(self, stopped: threading.Event) -> None:
        """Cause incidents until their time is over or ``stopped`` is set.

        Raises:
            LocalEngineError: the engine could not be restarted.
        """
        start = time.monotonic()
        for due, incident in self._plan():
            if stopped.wait(max(0.0, start + due - time.monotonic())):
                return
            incident(stopped)
            self.last_fired_at = time.time()
            self.current = ""

    def _plan(self) -> list[tuple[float, Callable[[threading.Event], None]]]:
        rng = Random(self.seed)  # noqa: S311 - a drill must be repeatable
        repeated: list[Callable[[threading.Event], None]] = [
            self._kill_before,
            self._kill_after,
            self._kill_after_announcing,
            self._kill_after_state,
            self._freeze,
            lambda stopped: self._refuse(DYNAMODB, stopped),
            lambda stopped: self._refuse(SQS, stopped),
            lambda stopped: self._refuse(EVENTS, stopped),
            self._break_table,
        ]
        rounds = max(1, round(self.seconds / 45))
        plan: list[Callable[[threading.Event], None]] = []
        for _ in range(rounds):
            plan += rng.sample(repeated, len(repeated))
        plan.insert(len(plan) // 2, self._restart_engine)
        step = 0.9 * self.seconds / len(plan)
        return [(step * (number + rng.random() / 2), incident) for number, incident in enumerate(plan)]

    def _kill_before(self, _: threading.Event) -> None:
        self._at_write(KILLED_BEFORE_WRITE, self._events, after_write=False)

    def _kill_after(self, _: threading.Event) -> None:
        self._at_write(KILLED_AFTER_WRITE, self._events, after_write=True)

    def _kill_after_announcing(self, _: threading.Event) -> None:
        # The tracker announces changes before it writes the states.
        self._at_write(KILLED_AFTER_ANNOUNCING, self._states, after_write=False)

    def _kill_after_state(self, _: threading.Event) -> None:
        self._at_write(KILLED_AFTER_STATE, self._states, after_write=True)

    def _freeze(self, stopped: threading.Event) -> None:
        if self._at_write(FUNCTION_TIMEOUT, self._events, after_write=False, number=signal.SIGSTOP):
            stopped.wait(self.stage.function_timeout + 0.5)
            # The service has ended the processes that ran a batch. The idle ones continue.
            self.stage.signal_workers(signal.SIGCONT)

    @property
    def _events(self) -> str:
        return self.stage.resources.table_name

    @property
    def _states(self) -> str:
        return self.stage.shipments_table_name

    def _at_write(
        self, kind: str, table: str, *, after_write: bool, number: signal.Signals = signal.SIGKILL
    ) -> bool:
        """Send the containers a signal while one of them writes; False if none wrote in time."""
        self.current = kind
        done = threading.Event()

        def act() -> None:
            self.stage.signal_workers(number)
            done.set()

        self.proxies.at_next_write(WriteHook(table, after_write, act))
        if not done.wait(_HOOK_SECONDS):
            self.proxies.at_next_write(None)
        # The hook may have been called after the wait and before its removal.
        (self.fired if done.is_set() else self.missed)[kind] += 1
        return done.is_set()

    def _refuse(self, service: str, stopped: threading.Event) -> None:
        self.current = f"{REFUSED} ({service})"
        self.proxies.refuse(service)
        self.fired[REFUSED] += 1
        stopped.wait(self._length(0.02))
        self.proxies.accept(service)

    def _break_table(self, stopped: threading.Event) -> None:
        self.current = TABLE_OUTAGE
        self.proxies.set_faults(DYNAMODB, outage())
        self.fired[TABLE_OUTAGE] += 1
        stopped.wait(self._length(0.03))
        self.proxies.set_faults(DYNAMODB, self.calm(DYNAMODB))

    def _restart_engine(self, _: threading.Event) -> None:
        self.current = ENGINE_RESTART
        for service in SERVICES:
            self.proxies.refuse(service)
        time.sleep(_SETTLE_SECONDS)
        self.stage.restart()
        for service in SERVICES:
            self.proxies.accept(service)
        self.fired[ENGINE_RESTART] += 1

    def _length(self, share: float) -> float:
        return min(4.0, max(0.5, share * self.seconds))
