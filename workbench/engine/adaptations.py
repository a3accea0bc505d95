"""Changes private functions of the engine at its start, where it differs from AWS and has no public API.

The adaptations concern a table's stream and its delivery to a function. ``gaps.py`` lists the gaps.
``tests/integration/test_streams.py`` shows each gap on the unchanged engine. The start fails if a function of
the engine is not the one that the adaptation was written for.

The engine's own interpreter runs this file, so it imports nothing but the engine, the standard library and
``stream_delivery.py``.
"""

import contextlib
import copy
import functools
import hashlib
import inspect
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import dynamodb, lambda_svc

from workbench.engine.stream_delivery import Answer, Record, Rules, deliver, sequence_number

# Lambda polls a shard four times a second: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
POLL_SECONDS: Final = 0.25
# The largest event of a synchronous invocation:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
PAYLOAD_BYTES: Final = 6 * 1024 * 1024


def adapt() -> None:
    """Make all changes. Raises NotAsExpectedError if the engine has other functions than expected."""
    write_stream_records_of_partiql()
    keep_stream_records()
    deliver_streams_as_lambda_does()


class NotAsExpectedError(Exception):
    """A private function of the engine is not the one that its adaptation was written for."""


def require(module: ModuleType | type, **fingerprints: str) -> None:
    """Raise NotAsExpectedError unless each function here has the source with the fingerprint."""
    for name, expected in fingerprints.items():
        function = getattr(module, name, None)
        source = inspect.getsource(function) if inspect.isfunction(function) else ""
        found = hashlib.sha256(source.encode()).hexdigest()[:12]
        if found != expected:
            raise NotAsExpectedError(
                f"{module.__name__}.{name} is not as its adaptation in workbench/engine expects it "
                f"(fingerprint {found}, expected {expected}). Compare it with the engine's former version. "
                "Remove the adaptation if the engine no longer needs it, or fit it to the new function."
            )


def write_stream_records_of_partiql() -> None:
    """Let PartiQL's INSERT, UPDATE and DELETE write stream records, as PutItem does.

    Each change is noted when the engine stores it. The records are written after the statement succeeded,
    because a transaction may be rolled back.
    """
    require(
        dynamodb,
        _set_item="4e78ad492132",
        _remove_item="5cce50c99688",
        _partiql_insert="53c143f0d22e",
        _partiql_update="ca421900a6ad",
        _partiql_delete="f6995ca7e868",
        _execute_statement="eb23887a1366",
        _execute_transaction="1f50148b67a4",
        _emit_stream_event="8568d0446f26",
    )
    set_item, remove_item = dynamodb._set_item, dynamodb._remove_item
    noted = threading.local()

    def note(table: dict[str, Any], old: Any, new: Any) -> None:
        changes = getattr(noted, "changes", None)
        if changes is not None and (old is not None or new is not None):
            name = "REMOVE" if new is None else "INSERT" if old is None else "MODIFY"
            changes.append((table["TableName"], name, old, new))

    def noting_set_item(table: dict[str, Any], pk_val: Any, sk_val: Any, item: Any) -> Any:
        old = set_item(table, pk_val, sk_val, item)
        note(table, old, item)
        return old

    def noting_remove_item(table: dict[str, Any], pk_val: Any, sk_val: Any) -> Any:
        old = remove_item(table, pk_val, sk_val)
        note(table, old, None)
        return old

    dynamodb._set_item, dynamodb._remove_item = noting_set_item, noting_remove_item
    dynamodb._execute_statement = _emitting(dynamodb._execute_statement, noted)
    dynamodb._execute_transaction = _emitting(dynamodb._execute_transaction, noted)


def _emitting(execute: Callable[[Any], Any], noted: threading.local) -> Callable[[Any], Any]:
    """``execute``, which then writes stream records of what was noted meanwhile, if it succeeded."""

    @functools.wraps(execute)
    def run(data: Any) -> Any:
        changes: list[Any] = []
        noted.changes = changes
        try:
            answer = execute(data)
        finally:
            noted.changes = None
        if answer[0] == 200:
            for change in changes:
                dynamodb._emit_stream_event(*change)
        return answer

    return run


def keep_stream_records() -> None:
    """Save and load the records of streams with the tables. The engine saves only readers' positions."""
    require(dynamodb, get_state="ce90690a6033", load_persisted_state="6f58d9dc1e6e")
    get_state, load_state = dynamodb.get_state, dynamodb.load_persisted_state
    stores = ("_stream_records", "_stream_trimmed", "_closed_streams")

    def get_state_with_streams() -> dict[str, Any]:
        state: dict[str, Any] = get_state()
        for name in stores:
            state[name] = saved = AccountRegionScopedDict()
            for scope, value in getattr(dynamodb, name).all_items():
                # Records do not change, so a copy of their list is enough.
                saved.set_scoped(*scope, copy.copy(value))
        return state

    def load_state_with_streams(data: Mapping[str, Any]) -> None:
        load_state(data)
        for name in stores:
            getattr(dynamodb, name).update(data.get(name, {}))

    dynamodb.get_state, dynamodb.load_persisted_state = get_state_with_streams, load_state_with_streams


def deliver_streams_as_lambda_does() -> None:
    """Read each mapping's stream on its own thread and handle failures by the mapping's settings.

    The engine reads streams and queues on one thread, which waits for each function. It supports neither
    partial failures nor retries.
    """
    require(
        lambda_svc,
        _poll_loop="6a443090919a",
        _poll_dynamodb_streams="2b2460e933a9",
        _dispatch_esm_batch="b91ab76fad0b",
        _apply_filter_criteria="d8d7d5c8f77e",
        _send_ddb_stream_failure_record="0efd5f5ffe2d",
        _execute_function="3ceb16d6480a",
        _init_stream_position="bef560b23a1a",
    )

    def poll() -> bool:
        started = False
        for account, region, mapping in lambda_svc._iter_all_esms():
            busy = lambda_svc._esm_inflight.get(mapping["UUID"], 0) > 0
            if busy or ":dynamodb:" not in mapping.get("EventSourceArn", ""):
                continue
            with _scope(account, region):
                reader = StreamReader(mapping)
                if reader.active() and reader.waiting():
                    lambda_svc._dispatch_esm_batch(mapping["UUID"], reader.run)
                    started = True
        return started

    lambda_svc._poll_dynamodb_streams = poll


@contextlib.contextmanager
def _scope(account: str, region: str) -> Iterator[None]:
    """Use the resources of this account and region, also on threads that start in the block."""
    tokens = lambda_svc._request_account_id.set(account), lambda_svc._request_region.set(region)
    try:
        yield
    finally:
        lambda_svc._request_account_id.reset(tokens[0])
        lambda_svc._request_region.reset(tokens[1])


class StreamReader:
    """Delivers a stream to the function of one mapping until nothing is left (``stream_delivery.Reader``)."""

    def __init__(self, mapping: dict[str, Any]) -> None:
        self._mapping = mapping
        self._id = mapping["UUID"]
        self._stream = mapping["EventSourceArn"]
        self._table = self._stream.split("/")[1]
        # Positions of the records in delivery, by sequence number.
        self._places: dict[str, int] = {}

    def run(self) -> None:
        """Deliver records and poll as often as Lambda does, until a poll finds none."""
        size = int(self._mapping.get("BatchSize", 100))
        while self.active():
            start = self._position()
            read = self._read(start, size)
            if not read:
                return
            self._places = {sequence_number(record): start + index for index, record in enumerate(read)}
            wanted = lambda_svc._apply_filter_criteria(read, self._mapping)
            batch = _within_payload(wanted)
            settled = deliver(batch, Rules.of(self._mapping), self)
            if settled and len(batch) == len(wanted):
                # The filter may have removed the records at the end. They need no delivery.
                self._move_to(start + len(read))
            if len(read) < size:
                time.sleep(POLL_SECONDS)

    def waiting(self) -> bool:
        """Whether the stream has records that are not delivered yet."""
        return bool(self._read(self._position(), 1))

    def active(self) -> bool:
        """See the protocol: the mapping and the stream exist, and the mapping is enabled."""
        mapping = lambda_svc._esms.get(self._id)
        table = dynamodb._tables.get(self._table)
        return (
            mapping is self._mapping
            and mapping.get("Enabled", True)
            and table is not None
            and table.get("LatestStreamArn") == self._stream
            and self._function() is not None
        )

    def age(self, record: Record) -> float:
        """See the protocol."""
        return time.time() - float(record["dynamodb"]["ApproximateCreationDateTime"])

    def invoke(self, records: Sequence[Record]) -> Answer:
        """See the protocol."""
        answer: Answer = lambda_svc._execute_function(self._function(), {"Records": records})
        self._mapping["LastProcessingResult"] = "FAILED" if answer.get("error") else "OK"
        if answer.get("error"):
            lambda_svc.logger.warning(
                "Lambda %s failed on %d records of %s: %s\n%s",
                self._mapping["FunctionName"],
                len(records),
                self._stream,
                answer.get("body"),
                answer.get("log", ""),
            )
        return answer

    def checkpoint(self, last: Record) -> None:
        """See the protocol."""
        self._move_to(self._places[sequence_number(last)] + 1)

    def discard(self, records: Sequence[Record], condition: str, answer: Answer) -> None:
        """See the protocol."""
        lambda_svc._send_ddb_stream_failure_record(
            self._mapping, self._function(), records, self._stream, answer, condition
        )

    def back_off(self) -> None:
        """See the protocol. How long Lambda waits is not documented; the engine waits for a second."""
        time.sleep(lambda_svc._ESM_BACKOFF_SECONDS)

    def _function(self) -> Any:
        names = self._mapping["FunctionName"], self._mapping.get("Qualifier")
        function, _ = lambda_svc._get_func_record_for_qualifier(*names)
        return function

    def _position(self) -> int:
        start = self._mapping.get("StartingPosition", "LATEST")
        lambda_svc._init_stream_position(self._id, self._stream, start)
        # Records older than a day are no longer in the stream.
        return max(
            int(lambda_svc._dynamodb_stream_positions[self._id]),
            int(dynamodb.stream_start_position(self._table)),
        )

    def _read(self, position: int, limit: int) -> list[Record]:
        records: list[Record] = dynamodb.stream_records_since(self._table, position, limit)
        return records

    def _move_to(self, position: int) -> None:
        with lambda_svc._dynamodb_stream_positions_lock:
            # A mapping that was deleted in the meantime has no position.
            if self._id in lambda_svc._dynamodb_stream_positions:
                lambda_svc._dynamodb_stream_positions[self._id] = position


def _within_payload(records: list[Record]) -> list[Record]:
    """The first records that fit into one invocation, at least one."""
    total = 0
    for index, record in enumerate(records):
        total += len(json.dumps(record))
        if total > PAYLOAD_BYTES and index > 0:
            return records[:index]
    return records
