"""The context that Lambda passes to a handler."""

from typing import Protocol


class LambdaContext(Protocol):
    """The attributes that our handlers use.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    aws_request_id: str
    function_version: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's timeout."""
