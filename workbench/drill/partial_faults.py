"""Answers of HTTP status 200 in which single statements, keys or entries failed.

A fault proxy fails whole requests. AWS also fails parts of a request. A client that checks only the status
loses these parts. The proxy removes the failed parts from the request, so the service does not act on them.
If only the answer of a statement is lost, the service acts on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

FAILED_STATEMENTS: Final = "failed_statements"
UNANSWERED_STATEMENTS: Final = "unanswered_statements"
UNPROCESSED_KEYS: Final = "unprocessed_keys"
FAILED_ENTRIES: Final = "failed_entries"
FAILED_MESSAGES: Final = "failed_messages"

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
_STATEMENT_ERRORS: Final = (
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "RequestLimitExceeded",
    "TransactionConflict",
    "InternalServerError",
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PartialFault:
    """A fault in parts of one request.

    Attributes:
        kind: name of the fault, for the report.
        request: the rest of the request for the service; None if all parts failed.
        complete: makes the client's answer from the service's answer.
    """

    kind: str
    request: Json | None
    complete: Callable[[Json], Json]


def partial_fault(operation: str, request: Json, rng: Random) -> PartialFault | None:
    """A fault for a part of this request, or None if the operation has no parts that can fail."""
    match operation:
        case "BatchExecuteStatement":
            # The service executes an unanswered statement, but its answer is an error.
            fault = _fail_statements if rng.random() < 0.7 else _unanswer_statements
            return fault(request, rng)
        case "BatchGetItem":
            return _leave_keys(request, rng)
        case "PutEvents":
            return _fail_entries(request, rng)
        case "SendMessageBatch" | "ChangeMessageVisibilityBatch":
            return _fail_messages(request, rng)
    return None


def _fail_statements(request: Json, rng: Random) -> PartialFault:
    statements = request["Statements"]
    failed = _some(statements, rng)
    code = rng.choice(_STATEMENT_ERRORS)

    def complete(answer: Json) -> Json:
        responses = iter(answer.get("Responses", []))
        return {
            **answer,
            "Responses": [
                _statement_error(code) if index in failed else next(responses)
                for index in range(len(statements))
            ],
        }

    return PartialFault(FAILED_STATEMENTS, _without(request, "Statements", failed), complete)


def _unanswer_statements(request: Json, rng: Random) -> PartialFault:
    failed = _some(request["Statements"], rng)

    def complete(answer: Json) -> Json:
        return {
            **answer,
            "Responses": [
                _statement_error("InternalServerError") if index in failed else response
                for index, response in enumerate(answer.get("Responses", []))
            ],
        }

    return PartialFault(UNANSWERED_STATEMENTS, request, complete)


def _leave_keys(request: Json, rng: Random) -> PartialFault:
    ((table, wanted),) = request["RequestItems"].items()
    left = _some(wanted["Keys"], rng)
    rest = _without(wanted, "Keys", left)

    def complete(answer: Json) -> Json:
        unprocessed = {**wanted, "Keys": [key for index, key in enumerate(wanted["Keys"]) if index in left]}
        return {"Responses": {table: []}, **answer, "UnprocessedKeys": {table: unprocessed}}

    forwarded = None if rest is None else {**request, "RequestItems": {table: rest}}
    return PartialFault(UNPROCESSED_KEYS, forwarded, complete)


def _fail_entries(request: Json, rng: Random) -> PartialFault:
    entries = request["Entries"]
    failed = _some(entries, rng)
    code = rng.choice(("ThrottlingException", "InternalFailure"))

    def complete(answer: Json) -> Json:
        accepted = iter(answer.get("Entries", []))
        return {
            "FailedEntryCount": answer.get("FailedEntryCount", 0) + len(failed),
            "Entries": [
                {"ErrorCode": code, "ErrorMessage": "made by the drill"}
                if index in failed
                else next(accepted)
                for index in range(len(entries))
            ],
        }

    return PartialFault(FAILED_ENTRIES, _without(request, "Entries", failed), complete)


def _fail_messages(request: Json, rng: Random) -> PartialFault:
    failed = _some(request["Entries"], rng)

    def complete(answer: Json) -> Json:
        errors = [
            {"Id": request["Entries"][index]["Id"], "SenderFault": False, "Code": "InternalError"}
            for index in sorted(failed)
        ]
        return {"Successful": answer.get("Successful", []), "Failed": [*answer.get("Failed", []), *errors]}

    return PartialFault(FAILED_MESSAGES, _without(request, "Entries", failed), complete)


def _some(parts: Sequence[Any], rng: Random) -> frozenset[int]:
    return frozenset(rng.sample(range(len(parts)), rng.randint(1, len(parts))))


def _without(request: Json, name: str, indices: frozenset[int]) -> Json | None:
    rest = [part for index, part in enumerate(request[name]) if index not in indices]
    return {**request, name: rest} if rest else None


def _statement_error(code: str) -> Json:
    return {"Error": {"Code": code, "Message": "made by the drill"}}
