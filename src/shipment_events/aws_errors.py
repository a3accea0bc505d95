"""Errors of AWS calls: as a code for logs and reports, and as a sentence for people."""

import re
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's, which is not Python's
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from shipment_events.errors import ShipmentEventsError


def error_code(error: ClientError | BotoCoreError) -> str:
    """The service's error code. If there was no response, the name of botocore's exception."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "Unknown")
    return type(error).__name__


_NOT_AUTHORIZED: Final = re.compile(r"not authorized to perform:? ([\w-]+:\w+)")
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError"})


def missing_permission(error: Exception) -> str:
    """The IAM action that the caller lacks, or the operation if the message does not name the action.

    Empty for any other error. Most services name the action in the message:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    if not isinstance(error, ClientError) or error_code(error) not in _DENIED:
        return ""
    named = _NOT_AUTHORIZED.search(error.response.get("Error", {}).get("Message", ""))
    return named[1] if named else error.operation_name


def explained(error: Exception) -> ShipmentEventsError | None:
    """Convert an error of botocore into ours, with the next step.

    Returns:
        Our own error unchanged; None for any other exception.
    """
    match error:
        case ShipmentEventsError():
            return error
        case NoCredentialsError() | PartialCredentialsError():
            return ShipmentEventsError(
                "no AWS credentials",
                "For the local engine run 'eval \"$(shipments local env)\"'; for AWS sign in, for example"
                " with 'aws sso login', or set AWS_PROFILE.",
            )
        case NoRegionError():
            return ShipmentEventsError(
                "no AWS region",
                "Set AWS_REGION, for example to eu-central-1; for the local engine run"
                " 'eval \"$(shipments local env)\"'.",
            )
        case ClientError():
            message = error.response.get("Error", {}).get("Message", "")
            return ShipmentEventsError(f"{error.operation_name}: {error_code(error)}: {message}")
        case ConnectionError() | HTTPClientError():
            return ShipmentEventsError(
                str(error), "Check the endpoint (AWS_ENDPOINT_URL). For the local engine run 'make up'."
            )
        case BotoCoreError():
            return ShipmentEventsError(str(error))
        # botocore raises a plain ValueError for this.
        case ValueError() if str(error).startswith("Invalid endpoint"):
            return ShipmentEventsError(
                str(error), "Set AWS_ENDPOINT_URL to a whole URL, for example http://127.0.0.1:4566"
            )
    return None
