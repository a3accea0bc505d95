"""Keep received messages hidden for as long as a command works, and no longer."""

from collections.abc import Iterable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Final, Self

from shipment_events.queue.queue import Queue

# So many are prolonged in a second or two; where there are more, each is hidden for longer.
_PER_HOLD: Final = 1_000


class Holds:
    """Messages that nobody else receives; a thread prolongs them until this is closed.

    Closing makes them visible again. A process that is killed cannot, and its thread is gone with it: then
    they come back when the hold ends, so that can be short, however long the work takes.

    Args:
        hold_seconds: for which a message was hidden when it was received.
    """

    def __init__(self, queue: Queue, hold_seconds: int) -> None:
        self._queue = queue
        self._hold = hold_seconds
        self._now = queue.timing.clock.now
        self._held: dict[str, tuple[str, float]] = {}
        self._next_look = self._now() + hold_seconds / 4
        self._lock = Lock()
        self._closed = Event()
        self._thread = Thread(target=self._run, name="holds", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()
        self._queue.hide([handle for handle, _ in self._held.values()], 0)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._held

    def __len__(self) -> int:
        return len(self._held)

    def add(self, message_id: str, handle: str) -> None:
        """Hold a message that was received just now, or received again under another handle."""
        with self._lock:
            self._held[message_id] = handle, self._now() + self._hold

    def handles(self, message_ids: Iterable[str]) -> list[str]:
        """The handle of each message's last receive: an older one may delete nothing.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
        """
        with self._lock:
            return [self._held[message_id][0] for message_id in message_ids]

    def drop(self, message_ids: Iterable[str]) -> None:
        """Forget messages that are deleted."""
        with self._lock:
            for message_id in message_ids:
                self._held.pop(message_id, None)

    def keep(self) -> None:
        """Prolong the holds that end soon; a walk asks for it, and the thread does while the walk waits."""
        with self._lock:
            if self._now() < self._next_look:
                return
            self._next_look = self._now() + self._hold / 4
            soon = self._now() + self._hold * 0.6
            due = {key: handle for key, (handle, until) in self._held.items() if until < soon}
            seconds = min(11 * 3600, self._hold * (1 + len(self._held) // _PER_HOLD))
            until = self._now() + seconds
        self._queue.hide(list(due.values()), seconds)
        with self._lock:
            for key, handle in due.items():
                if self._held.get(key, ("", 0.0))[0] == handle:
                    self._held[key] = handle, until

    def _run(self) -> None:
        while not self._closed.wait(self._hold / 4):
            self.keep()
