"""Run the statements of a BatchExecuteStatement request, and return the response to each statement.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
"""

from collections.abc import Callable, Mapping, Sequence
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


def run_each(send: Send, statements: Sequence[str]) -> list[Mapping[str, Any] | Unavailable | Rejected]:
    """Run statements in one request, or in several if DynamoDB refuses the whole request.

    Args:
        statements: at most 25, each as JSON text and for another item.

    Returns:
        One response per statement, in the same order. A response can contain an error.
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
    return list(responses)
