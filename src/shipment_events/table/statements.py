"""Run the statements of a BatchExecuteStatement request, and return the response to each statement.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.table.results import Rejected, Unavailable

MAX_STATEMENTS: Final = 25
# DynamoDB refuses a whole request with these codes if one statement is invalid or the request is too large.
_REFUSED_WHOLE: Final = frozenset(
    {"ValidationException", "SerializationException", "RequestEntityTooLargeException", "413"}
)

Send = Callable[[str], Mapping[str, Any]]
"""Sends a BatchExecuteStatement request, given as JSON text, and returns the response."""


@dataclass(frozen=True, slots=True)
class Done:
    """DynamoDB confirmed that it executed the statement."""


@dataclass(frozen=True, slots=True)
class ConditionFailed:
    """The item is not as the statement requires. ``item`` is the item, or empty if it was not returned."""

    item: Mapping[str, Any]


StatementResult = Done | ConditionFailed | Unavailable | Rejected


def run_each(send: Send, statements: Sequence[str]) -> list[StatementResult]:
    """Run statements in one request, or in several if DynamoDB refuses the whole request.

    Args:
        statements: at most 25, each as JSON text and for another item.

    Returns:
        One result per statement, in the same order.
    """
    try:
        answer = send(f'{{"Statements":[{",".join(statements)}]}}')
    except ClientError as error:
        if error_code(error) not in _REFUSED_WHOLE:
            return [Unavailable(error_code(error))] * len(statements)
        # The error does not name the statement. The halves are sent separately until the invalid statement
        # is alone, so that the other events are stored.
        if len(statements) == 1:
            return [Rejected(error.response["Error"].get("Message", ""))]
        middle = len(statements) // 2
        return run_each(send, statements[:middle]) + run_each(send, statements[middle:])
    except BotoCoreError as error:
        return [Unavailable(error_code(error))] * len(statements)
    responses: Sequence[Mapping[str, Any]] = answer.get("Responses", [])
    if len(responses) != len(statements):
        return [Unavailable("IncompleteResponse")] * len(statements)
    return list(map(_result, responses))


def _result(response: Mapping[str, Any]) -> StatementResult:
    """The result of one statement. A statement can fail although the HTTP status is 200.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
    """
    error = response.get("Error")
    if not error:
        return Done()
    code = error.get("Code", "Unknown")
    # The API reference names DuplicateItem for an INSERT. Other statements return ConditionalCheckFailed.
    if code in {"DuplicateItem", "ConditionalCheckFailed"}:
        return ConditionFailed(error.get("Item", {}))
    if code == "ValidationError":
        return Rejected(error.get("Message", code))
    return Unavailable(code)
