"""The dead letters that a person has read, so that the page can show them without receiving them again."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from shipment_events.dead_letters.letters import DeadLetterMessage, Reading


@dataclass(frozen=True, slots=True)
class Gone:
    """What became of a dead letter of an earlier view.

    Attributes:
        what: ``redriven`` or ``discarded``.
        job: number of the job that did it.
    """

    what: str
    at: datetime
    job: int


class Shelf:
    """The last reading, without what was redriven or discarded since then. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._letters: dict[str, DeadLetterMessage] = {}
        self._gone: dict[str, Gone] = {}
        self._hidden = 0
        self._read_at: datetime | None = None

    @property
    def read_at(self) -> datetime | None:
        """When the letters were read; None before the first reading."""
        with self._lock:
            return self._read_at

    @property
    def hidden(self) -> int:
        """How many more the queue counted then, approximately."""
        with self._lock:
            return self._hidden

    def put(self, reading: Reading) -> None:
        """Replace the letters."""
        with self._lock:
            self._letters = {letter.message_id: letter for letter in reading.letters}
            self._hidden = reading.hidden
            self._read_at = datetime.now(UTC)

    def letters(self, reason: str = "", shipment_id: str = "") -> list[DeadLetterMessage]:
        """The letters with this reason and shipment, if given; first queued first."""
        with self._lock:
            found = list(self._letters.values())
        return sorted(
            (
                letter
                for letter in found
                if reason in ("", letter.reason) and shipment_id in ("", letter.shipment_id)
            ),
            key=lambda letter: (letter.sent_at, letter.message_id),
        )

    def named(self, message_ids: Iterable[str]) -> list[DeadLetterMessage]:
        """The letters with these ids that are there."""
        with self._lock:
            return [self._letters[one] for one in dict.fromkeys(message_ids) if one in self._letters]

    def gone(self, message_id: str) -> Gone | None:
        """What this server did with a letter."""
        with self._lock:
            return self._gone.get(message_id)

    def take(self, message_ids: Collection[str], what: str, job: int) -> None:
        """Remove letters that were settled."""
        gone = Gone(what, datetime.now(UTC), job)
        with self._lock:
            for one in message_ids:
                self._letters.pop(one, None)
                self._gone[one] = gone
