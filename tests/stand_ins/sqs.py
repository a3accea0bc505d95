"""A stand-in for SQS that is as inexact as AWS documents a standard queue to be, and a clock to move.

The local engine is exact, so nothing that was tried on it says what a command does on AWS.

* Counts lag: "at least 1 minute", says
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
* A short poll asks a part of the servers only, a receive returns fewer messages than asked for, and in rare
  cases even a long poll is empty though there are messages:
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/confirm-queue-is-empty.html
* A message may come again while it is hidden and after it was deleted; only the handle of its last receive
  deletes it: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, cast

from shipment_events.queue.timing import AWS_TIMING, Clock, QueueTiming
from tests.stand_ins.fakes import client_error, md5_of, require_valid

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BEGIN: Final = datetime(2026, 5, 4, 10, tzinfo=UTC)
_SERVERS: Final = 3
_TRUE_POLLS: Final = 4
_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass
class MovableClock:
    """Time that passes when somebody waits. ``later`` runs at its moment, in the order of moments."""

    seconds: float = 0.0
    later: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        until = self.seconds + seconds
        while due := [one for one in self.later if one[0] <= until]:
            first = min(due, key=lambda one: one[0])
            self.later.remove(first)
            self.seconds = max(self.seconds, first[0])
            first[1]()
        self.seconds = until

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        self.later.append((seconds, act))

    @property
    def timing(self) -> QueueTiming:
        """That of AWS, by this clock."""
        return replace(AWS_TIMING, clock=Clock(self.now, self.sleep))


@dataclass
class Message:
    """A message of a queue; ``copies`` are receives of it that ignore that it is hidden or deleted."""

    message_id: str
    body: str
    server: int
    sent_at: float
    visible_at: float = 0.0
    handle: str = ""
    receives: int = 0
    is_deleted: bool = False
    copies: int = 0


@dataclass
class AwsSqs:
    """Standard queues by URL.

    Attributes:
        count_lag: seconds for which a count is out of date.
        false_empties: how many long polls in a row come back empty though there are messages, before the
            next four do not.
        repeats: how often each message is delivered once more than it should be.
        most: messages that a receive returns at most.
        before_receive: called before each receive.
    """

    clock: MovableClock = field(default_factory=MovableClock)
    count_lag: float = 0.0
    false_empties: int = 0
    repeats: int = 0
    most: int = 10
    before_receive: Callable[[], None] = lambda: None
    messages: dict[str, list[Message]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    _counts: dict[str, list[tuple[float, tuple[int, int]]]] = field(default_factory=dict)
    _polls: int = 0
    _serial: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(1))
    _lock: RLock = field(default_factory=RLock)

    @property
    def client(self) -> "SQSClient":
        return cast("SQSClient", self)

    def put(self, url: str, *bodies: str) -> list[str]:
        """Put messages into a queue; returns their ids."""
        with self._lock:
            self._note(url)
            put = [Message(self._next("m"), body, self._serial % _SERVERS, self._now()) for body in bodies]
            for message in put:
                message.copies = self.repeats
            self.messages.setdefault(url, []).extend(put)
            self._note(url)
            return [message.message_id for message in put]

    def bodies(self, url: str) -> list[str]:
        """Of the messages that are in a queue, hidden ones among them."""
        return [message.body for message in self.messages.get(url, []) if not message.is_deleted]

    def hide(self, url: str, seconds: float) -> None:
        """Let somebody else receive all messages of a queue."""
        self._note(url)
        for message in self.messages[url]:
            message.visible_at = self._now() + seconds
        self._note(url)

    def take(self, url: str, body: str) -> None:
        """Let the consumer of a queue finish with a message."""
        self._note(url)
        for message in self.messages[url]:
            message.is_deleted |= message.body == body
        self._note(url)

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        entries = _entries("SendMessageBatch", request)
        with self._lock:
            ids = self.put(request["QueueUrl"], *(entry["MessageBody"] for entry in entries))
            self.sent += [entry["MessageBody"] for entry in entries]
        return {
            "Successful": [
                {"Id": entry["Id"], "MessageId": message_id, "MD5OfMessageBody": md5_of(entry["MessageBody"])}
                for entry, message_id in zip(entries, ids, strict=True)
            ]
        }

    def receive_message(self, **request: Any) -> dict[str, Any]:
        require_valid("sqs", "ReceiveMessage", request)
        self.before_receive()
        with self._lock:
            url, wait = request["QueueUrl"], request.get("WaitTimeSeconds", 0)
            self._note(url)
            if not wait:
                server = self._random.randrange(_SERVERS)
                return self._deliver(
                    url, [message for message in self._available(url) if message.server == server], request
                )
            is_false = self._polls % (self.false_empties + _TRUE_POLLS) < self.false_empties
            self._polls += 1
            until = self._now() + wait
            while (is_false or not self._available(url)) and self._now() < until:
                self.clock.sleep(min(0.5, until - self._now()))
            return self._deliver(url, [] if is_false else self._available(url), request)

    def delete_message_batch(self, **request: Any) -> dict[str, Any]:
        entries = _entries("DeleteMessageBatch", request)
        with self._lock:
            self._note(request["QueueUrl"])
            for entry in entries:
                for message in self.messages[request["QueueUrl"]]:
                    # An old handle succeeds, and deletes nothing.
                    message.is_deleted |= message.handle == entry["ReceiptHandle"]
            self._note(request["QueueUrl"])
        return {"Successful": [{"Id": entry["Id"]} for entry in entries]}

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        entries = _entries("ChangeMessageVisibilityBatch", request)
        answer: dict[str, list[dict[str, Any]]] = {"Successful": [], "Failed": []}
        with self._lock:
            self._note(request["QueueUrl"])
            by_handle = {message.handle: message for message in self.messages[request["QueueUrl"]]}
            for entry in entries:
                message = by_handle.get(entry["ReceiptHandle"])
                if message and not message.is_deleted and message.visible_at > self._now():
                    message.visible_at = self._now() + entry["VisibilityTimeout"]
                    answer["Successful"].append({"Id": entry["Id"]})
                else:
                    code = "InvalidParameterValue"
                    answer["Failed"].append({"Id": entry["Id"], "SenderFault": True, "Code": code})
            self._note(request["QueueUrl"])
        return answer

    def get_queue_url(self, **request: Any) -> dict[str, Any]:
        require_valid("sqs", "GetQueueUrl", request)
        found = next((url for url in self._counts if url.endswith(f"/{request['QueueName']}")), None)
        if found is None:
            raise client_error("AWS.SimpleQueueService.NonExistentQueue", "there is no such queue")
        return {"QueueUrl": found}

    def get_queue_attributes(self, **request: Any) -> dict[str, Any]:
        require_valid("sqs", "GetQueueAttributes", request)
        with self._lock:
            self._note(request["QueueUrl"])
            known = self._now() - self.count_lag
            past = [counts for at, counts in self._counts[request["QueueUrl"]] if at <= known]
            visible, hidden = past[-1] if past else (0, 0)
        return {"Attributes": dict(zip(_COUNTS, (str(visible), str(hidden), "0"), strict=True))}

    def _available(self, url: str) -> list[Message]:
        there = self.messages.get(url, [])
        visible = [one for one in there if not one.is_deleted and one.visible_at <= self._now()]
        # A copy on a server that does not know what became of the message.
        return visible or [one for one in there if one.copies and one.receives]

    def _deliver(self, url: str, messages: Sequence[Message], request: Mapping[str, Any]) -> dict[str, Any]:
        most = min(self.most, request["MaxNumberOfMessages"], len(messages))
        chosen = self._random.sample(list(messages), most)
        for message in chosen:
            if message.is_deleted or message.visible_at > self._now():
                message.copies -= 1
            # The copy of a deleted message stays until it is deleted as well.
            message.is_deleted = False
            message.visible_at = self._now() + request["VisibilityTimeout"]
            message.handle = self._next("handle")
            message.receives += 1
        self._note(url)
        return {"Messages": [self._shown(message) for message in chosen]} if chosen else {}

    def _shown(self, message: Message) -> dict[str, Any]:
        sent = round((BEGIN.timestamp() + message.sent_at) * 1000)
        return {
            "MessageId": message.message_id,
            "ReceiptHandle": message.handle,
            "Body": message.body,
            "Attributes": {"SentTimestamp": str(sent), "ApproximateReceiveCount": str(message.receives)},
        }

    def _note(self, url: str) -> None:
        """Remember the counts of now, for who asks later."""
        there = [message for message in self.messages.get(url, []) if not message.is_deleted]
        visible = sum(message.visible_at <= self._now() for message in there)
        self._counts.setdefault(url, []).append((self._now(), (visible, len(there) - visible)))

    def _now(self) -> float:
        return self.clock.seconds

    def _next(self, name: str) -> str:
        self._serial += 1
        return f"{name}{self._serial:06}"


def _entries(operation: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
    require_valid("sqs", operation, request)
    entries: list[dict[str, Any]] = request["Entries"]
    assert 1 <= len(entries) <= 10
    assert len({entry["Id"] for entry in entries}) == len(entries)
    return entries
