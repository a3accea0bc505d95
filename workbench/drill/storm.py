"""The part of the drill that sends events under faults."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from shipment_events.publishing.entries import Entry
from shipment_events.publishing.publisher import Accepted, Publisher
from workbench.drill.faults import SERVICES, Client, NamedRule, background
from workbench.drill.incidents import Incidents
from workbench.drill.proxy import FaultProxies
from workbench.drill.stage import Stage
from workbench.drill.traffic import Traffic

_PARTIAL_SHARE: Final = 0.12
_MOST_SHARE: Final = 0.35
# Measured: each event takes a tenth of a request to the bus. The rest goes to the table and the queues,
# because batches are seldom full and there are retries.
_REQUESTS_AN_EVENT: Final = 0.4
_SHOW_SECONDS: Final = 0.2


@dataclass(slots=True)
class Storm:
    """Faults of requests and incidents over a time.

    Attributes:
        seconds: duration; up to double if events or faults are too few by then.
        clients: those for which slow faults are too slow, by service.
    """

    stage: Stage
    proxies: FaultProxies
    publisher: Publisher
    seed: int
    seconds: float
    clients: Mapping[str, Client]
    _incidents: Incidents | None = field(default=None)
    _accepted: int = 0

    def rage(
        self,
        traffic: Traffic,
        events: int,
        faults: int,
        note: Callable[[Accepted], None],
        show: Callable[[int, str], None],
    ) -> list[Entry]:
        """Send under faults until the time is over and events and faults are enough.

        Args:
            note: called with each event that the bus accepted.
            show: called now and then with the number of faults and the present incident.

        Returns:
            Entries that the publisher could not send.

        Raises:
            LocalEngineError: the engine could not be restarted.
        """
        share = min(_MOST_SHARE, faults / (events * _REQUESTS_AN_EVENT))

        def calm(service: str) -> list[NamedRule]:
            return background(service, share, self.clients[service])

        for service in SERVICES:
            self.proxies.set_faults(service, calm(service))
        self.proxies.set_partial_faults(_PARTIAL_SHARE)
        self._incidents = incidents = Incidents(self.stage, self.proxies, self.seed, self.seconds, calm)
        unsent: list[Entry] = []
        entries = self._until_over(traffic.entries(events, 0.95 * self.seconds), events, faults)
        shown_at = 0.0
        with _thrown(incidents) as thrown:
            for receipt in self.publisher.send(entries):
                if isinstance(receipt, Accepted):
                    self._accepted += 1
                    note(receipt)
                else:
                    unsent.append(receipt.entry)
                if time.monotonic() - shown_at > _SHOW_SECONDS:
                    shown_at = time.monotonic()
                    show(self.fired().total(), incidents.current)
                if thrown.done():
                    # Raises the error of the incidents' thread.
                    thrown.result()
        self.proxies.set_partial_faults(0)
        for service in SERVICES:
            self.proxies.set_faults(service, [])
        return unsent

    def _until_over(self, entries: Iterator[Entry], events: int, faults: int) -> Iterator[Entry]:
        # The iterator ends here. Closing the publisher instead would not wait for the last receipts.
        start = time.monotonic()
        for entry in entries:
            yield entry
            elapsed = time.monotonic() - start
            enough = self._accepted >= events and self.fired().total() >= faults
            if elapsed >= self.seconds and (enough or elapsed >= 2 * self.seconds):
                return

    def fired(self) -> Counter[str]:
        """Faults by kind: the proxies' own records and the log of incidents."""
        return self.proxies.fired() + (self._incidents.fired if self._incidents else Counter())

    def missed(self) -> Counter[str]:
        """Incidents by kind that did not happen."""
        return self._incidents.missed if self._incidents else Counter()

    def last_fault_at(self) -> float:
        """End of the last fault, seconds since 1970."""
        return max(self.proxies.last_fired_at(), self._incidents.last_fired_at if self._incidents else 0.0)


@contextmanager
def _thrown(incidents: Incidents) -> Iterator[Future[None]]:
    """Throw incidents in a thread while the block runs. Raises the thread's error after the block."""
    stopped = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="incidents") as pool:
        thrown = pool.submit(incidents.throw, stopped)
        try:
            yield thrown
        finally:
            stopped.set()
        thrown.result()
