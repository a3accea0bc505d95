"""Runs the statements of one BatchExecuteStatement request, and tells of each what the service says of it.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.table.results import Rejected, Unavailable

MAX_STATEMENTS: Final = 25
# The service refuses a whole request with these for what one of its statements holds, or for its size.
_REFUSED_WHOLE: Final = frozenset(
    {"ValidationException", "SerializationException", "RequestEntityTooLargeException", "413"}
)

Send = Callable[[str], Mapping[str, Any]]
"""Sends a request of BatchExecuteStatement that is JSON text, and returns its answer."""


def run_each(send: Send, statements: Sequence[str]) -> list[Mapping[str, Any] | Unavailable | Rejected]:
    """Run statements in one request, or in several where the service refuses it as a whole.

    Args:
        statements: at most 25, each as JSON text, and no two for the same item.

    Returns:
        For each statement, in the same order, the response to it, which may be an error of its own.
    """
    try:
        answer = send(f'{{"Statements":[{",".join(statements)}]}}')
    except ClientError as error:
        if error_code(error) not in _REFUSED_WHOLE:
            return [Unavailable(error_code(error))] * len(statements)
        # It does not say for which statement: one foreign event must not take its neighbours with it,
        # so they part until it stands alone.
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
