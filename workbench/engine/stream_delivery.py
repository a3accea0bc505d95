"""How Lambda delivers a batch of a table's stream and handles failures.

The engine implements only a part of this, so ``adaptations.py`` adds these rules. Sources:
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html and
https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html.

The engine's own interpreter runs this file, so it imports nothing but the standard library.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

RETRIES_EXHAUSTED: Final = "RetryAttemptsExhausted"
TOO_OLD: Final = "RecordAgeExceeded"

# A record of the stream in the function's event.
Record = Mapping[str, Any]
# The engine's result of an invocation: ``body`` (the function's answer), ``error``, ``throttle``.
Answer = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How an event source mapping handles failures. None means no limit.

    ``retries`` does not count the first attempt. ``maximum_age`` is in seconds.
    """

    reports_failures: bool = False
    bisects: bool = False
    retries: int | None = None
    maximum_age: float | None = None

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> "Rules":
        """The rules of a mapping with the names of Lambda's API, where -1 means no limit."""
        retries = int(mapping.get("MaximumRetryAttempts", -1))
        age = int(mapping.get("MaximumRecordAgeInSeconds", -1))
        return cls(
            reports_failures="ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []),
            bisects=bool(mapping.get("BisectBatchOnFunctionError")),
            retries=None if retries < 0 else retries,
            maximum_age=None if age < 0 else age,
        )


class Reader(Protocol):
    """Reads a stream for one mapping."""

    def active(self) -> bool:
        """Whether the mapping is still active."""

    def age(self, record: Record) -> float:
        """Seconds since the record was written."""

    def invoke(self, records: Sequence[Record]) -> Answer:
        """Invoke the function with the records and wait for its answer."""

    def checkpoint(self, last: Record) -> None:
        """Note that this record and all earlier ones are not delivered again."""

    def discard(self, records: Sequence[Record], condition: str, answer: Answer) -> None:
        """Report the records to the mapping's destination for failures. They are not delivered again."""

    def back_off(self) -> None:
        """Wait before the next attempt."""


def deliver(batch: Sequence[Record], rules: Rules, reader: Reader) -> bool:
    """Deliver the records in their order until each one is processed or discarded.

    A record after a failed one is delivered only when the failed one is processed or discarded. Returns False
    if the mapping became inactive first. The remaining records then have no checkpoint.
    """
    pending = [(batch, 0)] if batch else []
    while pending and reader.active():
        records, retries = pending.pop()
        records = _discard_old(records, rules, reader)
        if not records:
            continue
        answer = reader.invoke(records)
        failed = first_failed(records, answer, rules)
        rest = records[failed:]
        if failed > 0:
            reader.checkpoint(records[failed - 1])
        if not rest:
            continue
        if answer.get("throttle"):
            # The function was not invoked, so this does not count as a retry.
            reader.back_off()
            pending.append((rest, retries))
        elif rules.bisects and (failed > 0 or len(rest) > 1):
            # A split does not count as a retry. The parts are reversed because the last is taken first.
            pending += [(part, retries) for part in reversed(_parts(rest, at_checkpoint=failed > 0))]
        elif retries == rules.retries:
            reader.discard(rest, RETRIES_EXHAUSTED, answer)
            reader.checkpoint(rest[-1])
        else:
            reader.back_off()
            pending.append((rest, retries + 1))
    return not pending


def first_failed(records: Sequence[Record], answer: Answer, rules: Rules) -> int:
    """Index of the first record to deliver again. It is the number of records if there is no such record.

    Any answer without failures is a success. If a failure names no record of the batch, the whole batch
    failed.
    """
    if answer.get("error"):
        return 0
    body = answer.get("body")
    failures = body.get("batchItemFailures") if isinstance(body, dict) else None
    if not rules.reports_failures or not failures:
        return len(records)
    if not isinstance(failures, list) or not all(isinstance(failure, dict) for failure in failures):
        return 0
    indexes = {sequence_number(record): index for index, record in enumerate(records)}
    return min(indexes.get(str(failure.get("itemIdentifier")), 0) for failure in failures)


def sequence_number(record: Record) -> str:
    """The record's place in the stream."""
    return str(record["dynamodb"]["SequenceNumber"])


def _parts(records: Sequence[Record], *, at_checkpoint: bool) -> list[Sequence[Record]]:
    if at_checkpoint:
        return [records]
    middle = len(records) // 2
    return [records[:middle], records[middle:]]


def _discard_old(records: Sequence[Record], rules: Rules, reader: Reader) -> Sequence[Record]:
    """Discard the records that are older than the mapping allows. Return the others."""
    limit = rules.maximum_age
    if limit is None:
        return records
    ages = (reader.age(record) for record in records)
    old = sum(1 for _ in itertools.takewhile(lambda age: age > limit, ages))
    if old > 0:
        reader.discard(records[:old], TOO_OLD, {})
        reader.checkpoint(records[old - 1])
    return records[old:]
